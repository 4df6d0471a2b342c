import { existsSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterAll } from 'vitest';

import { systemRandom } from '../../src/lib/random.ts';
import { systemTimers } from '../../src/lib/timers.ts';
import { type StorageConfig, storageSchema } from '../../src/storage/config.ts';
import type { Migration } from '../../src/storage/migrations.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import type { storageDialects } from '../../src/storage/registry.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { type FakeClock, fakeClock } from '../support/fake-clock.ts';
import {
  type MariadbTestServer,
  mariadbAccount,
  missingMariadb,
  startMariadbServer,
} from '../support/mariadb-server.ts';
import {
  missingPostgres,
  type PostgresTestServer,
  startPgbouncer,
  startPostgresServer,
  testAccount,
} from '../support/postgres-server.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { openRelay } from '../support/relay.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** An empty database. */
export interface DatabasePlace {
  /** As it would stand under `storage`; each call is a replica of its own. */
  config(over?: Readonly<Record<string, unknown>>): StorageConfig;
  /** Statements past the storage, by somebody who may do everything; the rows of the last, as lists. */
  ask(sql: string): Promise<readonly (readonly unknown[])[]>;
  /** From now on the place cannot be reached; a file that is there already can still be read. */
  cutOff(): Promise<void>;
  heal(): Promise<void>;
  dispose(): Promise<void>;
}

export interface StorageHarness {
  create(): Promise<DatabasePlace>;
  /** A program that must be installed first. */
  readonly missing?: string | undefined;
}

/** Typed by the registry: a dialect without a harness does not compile. MySQL's runs on MariaDB, which Debian has. */
export const storageHarnesses: Readonly<
  Record<keyof typeof storageDialects | 'postgres behind pgbouncer', StorageHarness>
> = {
  local: { create: createSqlitePlace },
  mysql: { missing: missingMariadb(), create: createMariadbPlace },
  postgres: {
    missing: missingPostgres(),
    create: () => createPostgresPlace(async () => (await postgresServer()).port),
  },
  'postgres behind pgbouncer': {
    missing: missingPostgres(),
    create: () => createPostgresPlace(async () => (await pgbouncer()).port),
  },
};

export const encryptionKey = 'an encryption key of the tests';

/** Opens a place as a gateway would. */
export function openAt(
  config: StorageConfig,
  deps: {
    readonly clock?: FakeClock;
    readonly logger?: ReturnType<typeof recordingLogger>;
    readonly migrations?: readonly Migration[];
  } = {},
): Promise<Storage> {
  return openStorage(config, {
    clock: fakeClock(),
    random: systemRandom,
    timers: systemTimers,
    logger: recordingLogger(),
    application: '0.0.0-test',
    ...deps,
  });
}

/** Differing timeouts make differing pools: each is a replica of its own, although all live in this process. */
let replicas = 0;

async function createSqlitePlace(): Promise<DatabasePlace> {
  const folder = await temporaryFolder('storage');
  const path = join(folder.path, 'db.sqlite3');
  let lock: DatabaseSync | null = null;
  return {
    config: (over) => storageSchema.parse({ encryption_key: encryptionKey, local: { path }, ...over }),
    async ask(sql) {
      const database = new DatabaseSync(path, { timeout: 1000 });
      try {
        const statements = sql
          .split(';')
          .map((text) => text.trim())
          .filter(Boolean);
        let rows: readonly (readonly unknown[])[] = [];
        for (const text of statements)
          rows = database
            .prepare(text)
            .all()
            .map((row) => Object.values(row));
        return rows;
      } finally {
        database.close();
      }
    },
    async cutOff() {
      if (existsSync(path)) {
        lock = new DatabaseSync(path);
        lock.exec('begin immediate');
      } else mkdirSync(path);
    },
    async heal() {
      if (lock === null) rmdirSync(path);
      else lock.close();
      lock = null;
    },
    dispose: () => folder.remove(),
  };
}

const postgresServer = once(() => stopAtTheEnd(startPostgresServer()));
const pgbouncer = once(async () => stopAtTheEnd(startPgbouncer((await postgresServer()).port)));
const mariadbServer = once(() => stopAtTheEnd(startMariadbServer()));
let places = 0;

async function createPostgresPlace(findPort: () => Promise<number>): Promise<DatabasePlace> {
  const server: PostgresTestServer = await postgresServer();
  const relay = await openRelay(await findPort());
  const schema = `place "${++places}"`;
  const quoted = `"${schema.replaceAll('"', '""')}"`;
  await server.ask(`create schema ${quoted} authorization ${testAccount.username}`);
  return {
    config: (over) =>
      storageSchema.parse({
        encryption_key: encryptionKey,
        postgres: {
          address: `tcp://127.0.0.1:${relay.port}`,
          ...testAccount,
          schema,
          timeout: `${2000 + ++replicas}ms`,
        },
        ...over,
      }),
    ask: (sql) => server.ask(`set search_path to ${quoted}; set role ${testAccount.username}; ${sql}`),
    cutOff: () => relay.cut(),
    heal: () => relay.heal(),
    dispose: () => relay.close(),
  };
}

async function createMariadbPlace(): Promise<DatabasePlace> {
  const server: MariadbTestServer = await mariadbServer();
  const relay = await openRelay(server.port);
  const database = `gateway${++places}`;
  // As careless as a default can be: our tables bring their own collation.
  await server.ask(`create database ${database} character set latin1 collate latin1_swedish_ci`);
  return {
    config: (over) =>
      storageSchema.parse({
        encryption_key: encryptionKey,
        mysql: { address: `tcp://127.0.0.1:${relay.port}`, database, ...mariadbAccount },
        ...over,
      }),
    async ask(sql) {
      let rows: readonly (readonly unknown[])[] = [];
      for (const text of sql.split(';').filter((text) => text.trim() !== '')) {
        rows = await server.ask(text, database);
      }
      return rows;
    },
    cutOff: () => relay.cut(),
    heal: () => relay.heal(),
    dispose: () => relay.close(),
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
