import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { systemRandom } from '../../src/lib/random.ts';
import { systemTimers } from '../../src/lib/timers.ts';
import { createColumnCipher } from '../../src/storage/column-cipher.ts';
import type { StorageConfig } from '../../src/storage/config.ts';
import { createConsumeOnce } from '../../src/storage/consume-once.ts';
import { changeKey, checkValues } from '../../src/storage/encryption-values.ts';
import { StorageUnavailable, StorageUnfit } from '../../src/storage/errors.ts';
import { listMigrations, migrateTo, type Migration, migrations } from '../../src/storage/migrations.ts';
import { cipherOf, openUnprepared } from '../../src/storage/open-storage.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { createTotpCredentials } from '../../src/storage/totp-credentials.ts';
import { mustBeComplete } from '../support/environment.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { type DatabasePlace, encryptionKey, openAt, storageHarnesses } from './storage-harnesses.ts';

/** What migrations.ts, open-storage.ts and the encryption files say, on every engine. */

const child = join(import.meta.dirname, 'storage-child.ts');
const clock = fakeClock();

/** As it would stand in a file: for a process of its own. */
const asWritten = (config: StorageConfig): string => {
  const { local, mysql, postgres } = config;
  const server = mysql ?? postgres;
  return JSON.stringify({
    encryption_key: config.encryption_key,
    ...(local ? { local } : {}),
    ...(server
      ? {
          [mysql ? 'mysql' : 'postgres']: {
            address: `tcp://127.0.0.1:${server.address.port}`,
            database: server.database,
            username: server.username,
            password: server.password,
            ...(postgres ? { schema: postgres.schema } : {}),
          },
        }
      : {}),
  });
};

const startChildProcess = (config: StorageConfig, ...args: string[]) =>
  promisify(execFile)(process.execPath, [child, asWritten(config), ...args]);

/** A few of Authelia's tables (its schema version 26), each with a row. */
const AUTHELIA = `create table authentication_logs (id integer primary key, successful integer, username varchar(100), auth_type varchar(8));
insert into authentication_logs values (1, 1, 'john', '1FA');
create table totp_configurations (id integer primary key, username varchar(100) unique, secret varchar(500));
insert into totp_configurations values (1, 'john', 'encrypted by authelia');
create table migrations (id integer primary key, version_before integer, version_after integer, application_version varchar(128));
insert into migrations values (1, 0, 26, '4.39.21');
create table encryption (id integer primary key, name varchar(100) unique, value varchar(500));
insert into encryption values (1, 'check', 'a canary of authelia');
create table banned_user (id integer primary key, username varchar(100), revoked integer);
insert into banned_user values (1, 'jane', 0)`;
const AUTHELIA_TABLES = [
  'authentication_logs',
  'totp_configurations',
  'migrations',
  'encryption',
  'banned_user',
];

describe.each(Object.keys(storageHarnesses) as (keyof typeof storageHarnesses)[])('schema on %s', (name) => {
  const harness = storageHarnesses[name];
  const opened: { close(): Promise<void> }[] = [];
  let place: DatabasePlace;

  beforeEach(async ({ skip }) => {
    skip(harness.missing !== undefined && !mustBeComplete, `${harness.missing} is not installed`);
    place = await harness.create();
  });
  afterEach(async () => {
    for (const storage of opened.splice(0)) await storage.close();
    await place.dispose();
  });

  const open = async (
    over?: Readonly<Record<string, unknown>>,
    more?: readonly Migration[],
  ): Promise<Storage> => {
    const storage = await openAt(place.config(over), { clock, ...(more ? { migrations: more } : {}) });
    opened.push(storage.database);
    return storage;
  };
  const openBare = async () => {
    const bare = await openUnprepared(place.config(), {
      clock,
      random: systemRandom,
      timers: systemTimers,
      logger: recordingLogger(),
    });
    opened.push(bare.database);
    return bare;
  };
  const migrate = async (target: number, more?: readonly Migration[]) => {
    const { engine, sql } = await openBare();
    return migrateTo(target, engine, sql, {
      clock,
      application: 'test',
      ...(more ? { migrations: more } : {}),
    });
  };
  const history = async () => {
    const { engine, sql } = await openBare();
    return listMigrations(engine, sql);
  };

  test('it is made beside the tables of Authelia, which stay as they are, also when it is taken down', async () => {
    await place.ask(AUTHELIA);
    const read = async () => Promise.all(AUTHELIA_TABLES.map((table) => place.ask(`select * from ${table}`)));
    const before = await read();
    const totp = createTotpCredentials(await open());
    expect(await totp.find('john')).toBeNull();
    expect(await read()).toEqual(before);
    await migrate(0);
    expect(await read()).toEqual(before);
    await expect(place.ask('select * from sallyport_audit')).rejects.toThrow();
    expect(before.map((rows) => rows.length)).toEqual([1, 1, 1, 1, 1]);
  });

  test('of several that start at once on an empty database all come up, and one makes the schema', async () => {
    const storages = await Promise.all(Array.from({ length: 4 }, () => open()));
    for (const [index, storage] of storages.entries()) {
      expect(await createConsumeOnce(storage)('start', String(index), 0)).toBe(true);
    }
    expect((await history()).map(({ version }) => version)).toEqual([1]);
  });

  test('processes that start at once on an empty database all come up, and share what can be had once', async () => {
    const config = place.config();
    const outputs = await Promise.all(
      Array.from({ length: 3 }, () => startChildProcess(config, 'consume', 'id', '40')),
    );
    const won = outputs.map(({ stdout }) => Number(stdout));
    expect(won.reduce((sum, count) => sum + count, 0)).toBe(40);
  });

  test.each([1, 2])('killed half-way (%i), the next one makes it whole', async (call) => {
    await expect(startChildProcess(place.config(), 'die', String(call))).rejects.toMatchObject({
      signal: 'SIGKILL',
    });
    const storage = await open();
    expect(await createConsumeOnce(storage)('after', 'one', 0)).toBe(true);
    const records = await history();
    expect(records.map(({ version, finishedAt }) => [version, finishedAt === null])).toEqual([[1, false]]);
  });

  test('a migration that fails half-way is not done, and the next one goes on', async () => {
    const step = (...texts: string[]): Migration => ({
      version: 2,
      name: 'next',
      up: () => texts,
      down: () => [],
    });
    await open();
    const first = `create table ${name.startsWith('postgres') ? `"${place.config().postgres?.schema.replaceAll('"', '""')}".` : ''}sallyport_next (a integer)`;
    await expect(migrate(2, [...migrations, step(first, 'no sql at all')])).rejects.toThrow();
    const done = await migrate(2, [...migrations, step(first, 'select 1')]);
    expect(done.map(({ version, versionBefore }) => [version, versionBefore])).toEqual([[2, 1]]);
    expect(await place.ask('select * from sallyport_next')).toEqual([]);
    await open(undefined, [...migrations, step(first, 'select 1')]);
  });

  test('a schema that is newer than the program is refused, with the way out', async () => {
    const next: Migration = { version: 2, name: 'next', up: () => ['select 1'], down: () => ['select 1'] };
    await open(undefined, [...migrations, next]);
    const failure = await openAt(place.config()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StorageUnfit);
    expect(String(failure)).toContain('schema version 2');
    expect(String(failure)).toContain('migrate down --target 1');
    await migrate(1, [...migrations, next]);
    await open();
    expect((await history()).map(({ version, versionBefore }) => [versionBefore, version])).toEqual([
      [0, 1],
      [1, 2],
      [2, 1],
    ]);
  });

  test('it goes down to nothing and up again', async () => {
    await createTotpCredentials(await open()).recordStep('john', 1);
    expect(await migrate(0)).toHaveLength(1);
    expect(await migrate(0)).toHaveLength(0);
    expect(await migrate(1)).toHaveLength(1);
    expect(await createTotpCredentials(await open()).recordStep('john', 1)).toBe(true);
  });

  test('a wrong key is refused, with the key to mend; the key can be changed while gateways work', async () => {
    const secret = Buffer.from('a secret of twenty b');
    const credential = (username: string) =>
      ({
        username,
        createdAt: 1,
        lastUsedAt: null,
        issuer: 'i',
        algorithm: 'SHA1',
        digits: 6,
        period: 30,
        secret,
      }) as const;
    const before = createTotpCredentials(await open());
    for (let index = 0; index < 130; index++) await before.replace(credential(`user${index}`));
    const next = 'the next encryption key of them';
    const failure = await openAt(place.config({ encryption_key: next })).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StorageUnfit);
    expect(String(failure)).toMatch(/storage\.encryption_key .*accepted_encryption_keys.*change-key/);
    expect(String(failure)).not.toContain(next);

    const both = await open({ encryption_key: next, accepted_encryption_keys: [encryptionKey] });
    const after = createTotpCredentials(both);
    expect((await after.find('user7'))?.secret).toEqual(secret);
    expect((await checkValues(both.database, both.cipher))[0]).toMatchObject({
      values: 130,
      previous: 130,
      undecipherable: [],
    });
    // Somebody who was stopped half-way has left some of both keys.
    await after.replace(credential('user7'));
    await changeKey(both.database, both.cipher);
    expect((await changeKey(both.database, both.cipher)).map(({ previous }) => previous)).toEqual([
      0, 0, 0, 0,
    ]);
    const alone = await open({ encryption_key: next });
    for (const user of ['user0', 'user7', 'user129']) {
      expect((await createTotpCredentials(alone).find(user))?.secret).toEqual(secret);
    }
    const former = createColumnCipher([encryptionKey], { random: systemRandom });
    const report = await checkValues(alone.database, former);
    expect(report.find(({ table }) => table === 'sallyport_totp_credentials')?.undecipherable).toHaveLength(
      130,
    );
    expect(cipherOf(place.config(), { random: systemRandom })).toBeDefined();
  });
});

describe('SQLite and other processes', () => {
  test('while another process holds the lock, a write is refused in time and the event loop goes on', async () => {
    const place = await storageHarnesses.local.create();
    const storage = await openAt(place.config());
    const consume = createConsumeOnce(storage);
    const holder = spawn(process.execPath, [child, asWritten(place.config()), 'hold'], { stdio: 'pipe' });
    await once(holder.stdout, 'data');
    let turns = 0;
    const timer = setInterval(() => turns++, 10);
    const begin = performance.now();
    await expect(consume('locked', 'one', 0)).rejects.toBeInstanceOf(StorageUnavailable);
    const took = performance.now() - begin;
    clearInterval(timer);
    expect(took).toBeGreaterThan(1000);
    expect(took).toBeLessThan(2300);
    expect(turns).toBeGreaterThan(30);
    const waiting = consume('locked', 'two', 0);
    holder.stdin.end();
    expect(await waiting).toBe(true);
    await storage.database.close();
    await place.dispose();
  });
});
