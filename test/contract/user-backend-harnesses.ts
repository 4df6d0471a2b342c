import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { UserBackend } from '../../src/users/backend.ts';
import { hashPassword } from '../../src/users/digest.ts';
import { openHashQueue } from '../../src/users/hash-queue.ts';
import type { userBackends } from '../../src/users/registry.ts';
import { openFileBackend } from '../../src/users/drivers/file.ts';
import { fakeTimers } from '../support/fake-timers.ts';
import { cheapPasswords, listLogger, random } from '../unit/users/fakes.ts';

/** A person as the contract speaks of one. */
export interface Somebody {
  readonly name: string;
  readonly password: string;
  readonly displayName?: string;
  readonly emails?: readonly string[];
  readonly groups?: readonly string[];
  readonly disabled?: boolean;
}

export interface OpenHarness {
  readonly backend: UserBackend;
  /** Replaces everybody in the backend's source; seen after `reload` at the latest. */
  readonly change: (people: readonly Somebody[]) => Promise<void>;
  /** Makes the source unusable. */
  readonly spoil: () => Promise<void>;
  /** From now on the backend cannot check a password: its work or its server is out of reach. */
  readonly cutOff: () => void;
  /** What the checks since the last call cost, in units of which equal ones mean equal time. */
  readonly takeCost: () => readonly number[];
  readonly dispose: () => Promise<void>;
}

/** How to get a backend with certain people in it, and how to break it. */
export interface UserBackendHarness {
  readonly open: (people: readonly Somebody[]) => Promise<OpenHarness>;
  /** Contract cases that do not hold for this driver, each with the reason; they are printed as skipped. */
  readonly exceptions: readonly { readonly test: string; readonly reason: string }[];
}

/** Typed by the registry: a driver without a harness does not compile. */
export const userBackendHarnesses: { readonly [K in keyof typeof userBackends]: UserBackendHarness } = {
  file: { open: openFileHarness, exceptions: [] },
};

async function openFileHarness(people: readonly Somebody[]): Promise<OpenHarness> {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-users-'));
  const path = join(folder, 'users.yml');
  const change = async (everybody: readonly Somebody[]): Promise<void> => {
    const users = await Promise.all(
      everybody.map(async (one) => [
        one.name,
        {
          displayname: one.displayName ?? one.name,
          password: await hashPassword(one.password, cheapPasswords, random),
          email: one.emails ?? [],
          groups: one.groups ?? [],
          disabled: one.disabled ?? false,
        },
      ]),
    );
    // JSON is YAML.
    await writeFile(path, JSON.stringify({ users: Object.fromEntries(users) as unknown }));
  };
  await change(people);

  let costs: number[] = [];
  let queue = openHashQueue({}, { timers: fakeTimers() });
  const backend = await openFileBackend(
    {
      path,
      watch: false,
      search: { email: false, case_insensitive: false },
      extra_attributes: {},
      password: cheapPasswords,
    },
    {
      random,
      timers: fakeTimers(),
      logger: listLogger(),
      hashQueue: {
        run(memory, job) {
          costs.push(memory);
          return queue.run(memory, job);
        },
      },
    },
  );
  return {
    backend,
    change,
    spoil: () => writeFile(path, 'users: ['),
    cutOff() {
      queue = openHashQueue({ concurrency: 1, maxWaiting: 0 }, { timers: fakeTimers() });
      void queue.run(1, () => Promise.withResolvers<never>().promise);
    },
    takeCost() {
      const taken = costs;
      costs = [];
      return taken;
    },
    async dispose() {
      await backend.close();
      await rm(folder, { recursive: true });
    },
  };
}
