import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll } from 'vitest';

import { filesystemDriver } from '../../src/sessions/drivers/filesystem.ts';
import { openMemoryStore } from '../../src/sessions/drivers/memory.ts';
import type { sessionDrivers } from '../../src/sessions/registry.ts';
import type { SessionStore } from '../../src/sessions/store.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import {
  missingPostgres,
  startPgbouncer,
  startPostgresServer,
  testAccount,
} from '../support/postgres-server.ts';
import { openPostgresSessions, postgresConfig } from '../support/postgres-sessions.ts';
import { openRelay } from '../support/relay.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { missingRedis } from '../support/redis-server.ts';
import { createRedisPlace, createSentinelPlace } from './redis-places.ts';

/** One place where sessions are kept: a server, a folder, a process. */
export interface StorePlace {
  /** A store over this place, for a realm. Several may be open at once, as replicas are. */
  open(realm: string): Promise<SessionStore>;
  /** From now on the place cannot be reached. */
  cutOff(): Promise<void>;
  dispose(): Promise<void>;
}

/** How to get a place without sessions, and how to break it. */
export interface SessionStoreHarness {
  create(deps: { readonly clock: Clock }): Promise<StorePlace>;
  /** A program that must be installed first. */
  readonly missing?: string | undefined;
  /** Contract cases that do not hold for this driver, each with the reason; they are printed as skipped. */
  readonly exceptions: readonly { readonly test: string; readonly reason: string }[];
}

/** Typed by the registry: a driver without a harness does not compile. A driver may be run in several surroundings. */
export const sessionStoreHarnesses: Readonly<
  Record<
    keyof typeof sessionDrivers | 'redis behind Sentinels' | 'postgres behind pgbouncer',
    SessionStoreHarness
  >
> = {
  memory: {
    create: createMemoryPlace,
    exceptions: [
      {
        test: 'every operation throws StoreUnavailable when the store cannot answer',
        reason: 'the memory of this process is never out of reach',
      },
      {
        test: 'two stores over one place see the same sessions',
        reason: 'memory is shared with nobody',
      },
    ],
  },
  filesystem: {
    create: createFilesystemPlace,
    exceptions: [
      {
        test: 'every operation throws StoreUnavailable when the store cannot answer',
        reason: 'reads come from memory when the disk is gone; filesystem-store.test.ts shows what throws',
      },
      {
        test: 'two stores over one place see the same sessions',
        reason: 'the folder is held by one store, a second one is refused',
      },
    ],
  },
  redis: { missing: missingRedis(), create: createRedisPlace, exceptions: [] },
  'redis behind Sentinels': { missing: missingRedis(), create: createSentinelPlace, exceptions: [] },
  postgres: {
    missing: missingPostgres(),
    create: (deps) => createPostgresPlace(deps, async () => (await postgresServer()).port),
    exceptions: [],
  },
  'postgres behind pgbouncer': {
    missing: missingPostgres(),
    create: (deps) => createPostgresPlace(deps, async () => (await pgbouncer()).port),
    exceptions: [],
  },
};

async function createMemoryPlace({ clock }: { readonly clock: Clock }): Promise<StorePlace> {
  const opened: SessionStore[] = [];
  return {
    async open() {
      const store = openMemoryStore({}, { clock });
      opened.push(store);
      return store;
    },
    async cutOff() {
      // Nothing to cut.
    },
    async dispose() {
      for (const store of opened) await store.close();
    },
  };
}

async function createFilesystemPlace({ clock }: { readonly clock: Clock }): Promise<StorePlace> {
  const folder = await temporaryFolder('sessions');
  const path = join(folder.path, 'sessions');
  const opened: SessionStore[] = [];
  return {
    async open(realm) {
      const deps = { realm, clock, random: systemRandom, logger: recordingLogger() };
      const store = await filesystemDriver.open({ path }, deps);
      opened.push(store);
      return store;
    },
    cutOff: () => rm(path, { recursive: true }),
    async dispose() {
      for (const store of opened) await store.close();
      await folder.remove();
    },
  };
}

/** One server for all places; each has a schema of its own and a way to it that can be cut. */
const postgresServer = once(() => stopAtTheEnd(startPostgresServer()));
const pgbouncer = once(async () => stopAtTheEnd(startPgbouncer((await postgresServer()).port)));
let places = 0;

async function createPostgresPlace(
  { clock }: { readonly clock: Clock },
  findPort: () => Promise<number>,
): Promise<StorePlace> {
  const server = await postgresServer();
  const relay = await openRelay(await findPort());
  const number = ++places;
  await server.ask(`create schema "place ""${number}""" authorization ${testAccount.username}`);
  const config = postgresConfig(relay.port, { schema: `place "${number}"` });
  const opened: SessionStore[] = [];
  return {
    async open(realm) {
      const store = await openPostgresSessions(config, { realm, clock });
      opened.push(store);
      return store;
    },
    cutOff: () => relay.cut(),
    async dispose() {
      for (const store of opened) await store.close();
      await relay.close();
    },
  };
}

const toStop: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  for (const server of toStop.toReversed()) await server.stop();
});

async function stopAtTheEnd<T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const server = await starting;
  toStop.push(server);
  return server;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | null = null;
  return () => (made ??= make());
}
