import type { Random } from '../../../src/lib/random.ts';
import { systemRandom } from '../../../src/lib/random.ts';
import { openHashQueue } from '../../../src/users/hash-queue.ts';
import type { HashQueue } from '../../../src/users/hash-queue.ts';
import { DEFAULT_PASSWORD_OPTIONS } from '../../../src/users/password-options.ts';
import type { PasswordOptions } from '../../../src/users/password-options.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

/** Parameters that cost next to nothing. */
export const cheapPasswords: PasswordOptions = {
  ...DEFAULT_PASSWORD_OPTIONS,
  argon2: { ...DEFAULT_PASSWORD_OPTIONS.argon2, iterations: 1, memory: 64, parallelism: 1 },
  scrypt: { ...DEFAULT_PASSWORD_OPTIONS.scrypt, iterations: 4 },
  pbkdf2: { ...DEFAULT_PASSWORD_OPTIONS.pbkdf2, iterations: 100 },
  sha2crypt: { ...DEFAULT_PASSWORD_OPTIONS.sha2crypt, iterations: 1_000 },
  bcrypt: { ...DEFAULT_PASSWORD_OPTIONS.bcrypt, cost: 4 },
};

export const random: Random = systemRandom;

/** A queue that notes the memory of every hash it runs. */
export function countingQueue(): HashQueue & { readonly costs: number[] } {
  const costs: number[] = [];
  const queue = openHashQueue({}, { timers: fakeTimers() });
  return {
    costs,
    run(memory, job) {
      costs.push(memory);
      return queue.run(memory, job);
    },
  };
}

export interface Entry {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
}

/** A logger that keeps what it is told. */
export function listLogger() {
  const entries: Entry[] = [];
  const at = (level: Entry['level']) => (_fields: Record<string, unknown>, message: string) => {
    entries.push({ level, message });
  };
  return { entries, info: at('info'), warn: at('warn'), error: at('error') };
}
