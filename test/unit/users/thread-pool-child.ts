import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { systemRandom } from '../../../src/lib/random.ts';
import { blankDigest } from '../../../src/users/digest.ts';
import { hashConcurrency, openHashQueue } from '../../../src/users/hash-queue.ts';
import { DEFAULT_PASSWORD_OPTIONS } from '../../../src/users/password-options.ts';
import { systemTimers } from '../../../src/lib/timers.ts';

/**
 * Starts three times as many hashes as run at a time, then reads a file and looks up a name, and prints in which order
 * all of that finished. A program of its own because the size of libuv's pool is fixed when a process starts.
 */
const queue = openHashQueue({ deadline: 60_000 }, { timers: systemTimers });
const argon2 = { ...DEFAULT_PASSWORD_OPTIONS.argon2, iterations: 6 };
const digest = blankDigest({ ...DEFAULT_PASSWORD_OPTIONS, argon2 }, systemRandom);
const order: string[] = [];
const note = (event: string) => () => order.push(event);

const hashes = Array.from({ length: 3 * hashConcurrency() }, () =>
  queue.run(digest.memory, () => digest.matches('secret')).then(note('hash')),
);
await Promise.all([
  ...hashes,
  readFile(import.meta.filename).then(note('file')),
  lookup('localhost').then(note('name')),
]);
process.stdout.write(JSON.stringify(order));
