import { setTimeout as pause } from 'node:timers/promises';

import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { type StorageConfig, storageSchema } from '../../src/storage/config.ts';
import { createConsumeOnce } from '../../src/storage/consume-once.ts';
import { StorageUnavailable, StorageUnfit } from '../../src/storage/errors.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { findProgram, mustBeComplete } from '../support/environment.ts';
import {
  type MariadbTestServer,
  mariadbAccount,
  missingMariadb,
  startMariadbServer,
} from '../support/mariadb-server.ts';
import {
  missingPostgres,
  type PostgresTestServer,
  startPostgresServer,
  testAccount,
} from '../support/postgres-server.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate, type TestCertificate } from '../support/test-authority.ts';
import { encryptionKey, openAt } from './storage-harnesses.ts';

/** Servers that are slow, read-only, gone, or not who they should be. */

const opened: Storage[] = [];
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.database.close();
});

const open = async (config: StorageConfig): Promise<Storage> => {
  const storage = await openAt(config);
  opened.push(storage);
  return storage;
};

let uses = 0;
const useOf = (storage: Storage) => () => createConsumeOnce(storage)('fault', String(uses++), 0);

/** Rejects with StorageUnavailable, sooner than `most` milliseconds. */
async function refused(run: () => Promise<unknown>, most = 2600): Promise<string> {
  const begin = performance.now();
  const failure = await run().then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(StorageUnavailable);
  expect(performance.now() - begin).toBeLessThan(most);
  return (failure as Error).message;
}

async function recovers(run: () => Promise<unknown>): Promise<void> {
  await expect.poll(() => run().catch(String), { timeout: 6000, interval: 50 }).toBe(true);
}

describe.skipIf(missingMariadb() !== undefined && !mustBeComplete)('MariaDB', () => {
  let server: MariadbTestServer;
  let folder: TemporaryFolder;
  let certificate: TestCertificate | undefined;
  beforeAll(async () => {
    folder = await temporaryFolder('storage-tls');
    certificate =
      findProgram('openssl') === undefined
        ? undefined
        : await createTestCertificate(folder.path, ['localhost', 'db.example.com']);
    server = await startMariadbServer(certificate ? { tls: certificate } : {});
    await server.ask('create database gateway');
  });
  afterAll(async () => {
    await server.stop();
    await folder.remove();
  });
  const config = (over: Readonly<Record<string, unknown>> = {}): StorageConfig =>
    storageSchema.parse({
      encryption_key: encryptionKey,
      mysql: { address: `tcp://127.0.0.1:${server.port}`, database: 'gateway', ...mariadbAccount, ...over },
    });

  test('connections that the server has killed are replaced', async () => {
    const use = useOf(await open(config()));
    expect(new Set(await Promise.all(Array.from({ length: 20 }, use)))).toEqual(new Set([true]));
    for (const [id] of await server.ask(
      "select id from information_schema.processlist where user = 'gateway'",
    )) {
      await server.ask(`kill connection ${Number(id)}`);
    }
    await recovers(use);
  });

  test('a connection that the server has found idle for too long is replaced without an error', async () => {
    const use = useOf(await open(config()));
    await server.ask('set global wait_timeout = 1');
    const late = useOf(await open(config({ timeout: '4s' })));
    await late();
    await server.ask('set global wait_timeout = 28800');
    await pause(1600);
    expect(await late()).toBe(true);
    expect(await use()).toBe(true);
  });

  test('a server that takes no writes refuses, and serves again when it does', async () => {
    const use = useOf(await open(config()));
    expect(await use()).toBe(true);
    await server.ask('set global read_only = 1');
    expect(await refused(use)).toContain('takes no writes');
    await server.ask('set global read_only = 0');
    await recovers(use);
  });

  test('a locked table is not waited for beyond the deadline', async () => {
    const use = useOf(await open(config()));
    await use();
    const locker = await createConnection({ socketPath: server.socket, user: 'root', database: 'gateway' });
    await locker.query('lock tables sallyport_used_once write');
    // The server gives up first, so that nothing is left waiting there.
    expect(await refused(use)).toContain('a lock is held');
    await locker.end();
    await recovers(use);
  });

  test('frozen and killed, it answers within the deadline, and comes back', async () => {
    const use = useOf(await open(config()));
    await use();
    server.freeze();
    expect(await refused(use)).toContain('did not answer within 2000 ms');
    server.thaw();
    await recovers(use);
    await server.kill();
    await refused(use);
    await server.start();
    await recovers(use);
  });

  test.each([
    ['password', { password: 'wrong' }, 'storage.mysql.password'],
    ['database', { database: 'gateway_missing' }, 'storage.mysql.database'],
    ['user', { username: 'nobody' }, 'storage.mysql.password'],
  ])('a wrong %s is refused at the start, with its key', async (_name, over, key) => {
    const failure = await openAt(config(over)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StorageUnfit);
    expect(String(failure)).toContain(key);
  });

  test('TLS: the authority and the name in the certificate are checked, unless that is switched off', async ({
    skip,
  }) => {
    skip(certificate === undefined, 'openssl is not installed');
    const { setDefaultCACertificates, getCACertificates } = await import('node:tls');
    const before = getCACertificates('default');
    const attempt = (tls: object) =>
      openAt(config({ tls })).then(
        async (storage) => {
          const { rows } = await storage.database.sql.executeQuery<{ Value: string }>(
            (await import('kysely')).CompiledQuery.raw("show status like 'Ssl_cipher'"),
          );
          await storage.database.close();
          return rows[0]?.Value === '' ? 'plain' : 'encrypted';
        },
        (error: unknown) => (error instanceof StorageUnfit ? String(error) : 'other'),
      );
    expect(await attempt({ server_name: 'localhost' })).toContain('storage.mysql.tls');
    expect(await attempt({ skip_verify: true })).toBe('encrypted');
    setDefaultCACertificates([...before, certificate?.authority ?? '']);
    try {
      expect(await attempt({ server_name: 'localhost' })).toBe('encrypted');
      expect(await attempt({ server_name: 'db.example.com' })).toBe('encrypted');
      expect(await attempt({ server_name: 'other.example.com' })).toContain('storage.mysql.tls');
      // The address itself stands in no certificate.
      expect(await attempt({})).toContain('storage.mysql.tls');
    } finally {
      setDefaultCACertificates(before);
    }
  });
});

describe.skipIf(missingPostgres() !== undefined && !mustBeComplete)('PostgreSQL', () => {
  let server: PostgresTestServer;
  beforeAll(async () => {
    server = await startPostgresServer();
    await server.ask(`create schema storage authorization ${testAccount.username}; create schema forbidden`);
  });
  afterAll(() => server.stop());
  const config = (over: Readonly<Record<string, unknown>> = {}): StorageConfig =>
    storageSchema.parse({
      encryption_key: encryptionKey,
      postgres: { address: `tcp://127.0.0.1:${server.port}`, schema: 'storage', ...testAccount, ...over },
    });

  test('a locked table is not waited for beyond the deadline, nor do others wait for it', async () => {
    const storage = await open(config());
    const use = useOf(storage);
    await use();
    const locker = server.ask('begin; lock table storage.sallyport_used_once; select pg_sleep(3); commit');
    await pause(200);
    const [, pinged] = await Promise.all([
      refused(use),
      storage.database.ping().then(() => performance.now()),
    ]);
    expect(pinged).toBeGreaterThan(0);
    await locker;
    await recovers(use);
  });

  test('a server that takes no writes refuses, and serves again when it does', async () => {
    const use = useOf(await open(config()));
    expect(await use()).toBe(true);
    const admin = new Client({ host: server.socketFolder, port: server.port, user: 'postgres' });
    await admin.connect();
    await admin.query('set default_transaction_read_only = off');
    await admin.query('alter system set default_transaction_read_only = on');
    await admin.query('select pg_reload_conf()');
    await expect.poll(() => use().then(() => '', String), { timeout: 6000 }).toContain('StorageUnavailable');
    await admin.query('alter system reset default_transaction_read_only');
    await admin.query('select pg_reload_conf()');
    await admin.end();
    await recovers(use);
  });

  test('a transaction whose connection is lost is not committed', async () => {
    const storage = await open(config());
    await expect(
      storage.database.transaction(async (sql) => {
        await sql
          .insertInto('sallyport_leases')
          .values({ name: 'lost', owner: 'x', held_until: 1 })
          .execute();
        await server.ask("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'gateway'");
        await sql
          .insertInto('sallyport_leases')
          .values({ name: 'lost too', owner: 'x', held_until: 1 })
          .execute();
      }),
    ).rejects.toBeInstanceOf(StorageUnavailable);
    await recovers(useOf(storage));
    expect(await server.ask('select * from storage.sallyport_leases')).toEqual([]);
  });

  test.each([
    ['password', { password: 'wrong' }, 'storage.postgres.password'],
    ['database', { database: 'missing' }, 'storage.postgres.database'],
    ['schema', { schema: 'missing' }, 'storage.postgres.schema'],
    ['right', { schema: 'forbidden' }, 'storage.postgres.username lacks a right'],
  ])('a wrong or missing %s is refused at the start, with its key', async (_name, over, key) => {
    const failure = await openAt(config(over)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(StorageUnfit);
    expect(String(failure)).toContain(key);
  });

  test('TLS: the modes of the deprecated section ssl', async ({ skip }) => {
    skip(findProgram('openssl') === undefined, 'openssl is not installed');
    const folder = await temporaryFolder('storage-tls');
    const certificate = await createTestCertificate(folder.path, ['localhost']);
    const secure = await startPostgresServer({ tls: certificate, requireTls: true });
    await secure.ask(`create schema storage authorization ${testAccount.username}`);
    const attempt = async (host: string, ssl?: object): Promise<string> => {
      const address = `tcp://${host}:${secure.port}`;
      try {
        const storage = await openAt(config({ address, ...(ssl ? { ssl } : {}) }));
        const isThere = await storage.database.ping().then(
          () => 'encrypted',
          () => 'refused',
        );
        await storage.database.close();
        return isThere;
      } catch (error) {
        return String(error);
      }
    };
    const authority = { root_certificate: certificate.authorityFile };
    try {
      // The server lets nobody in without TLS, which to it is a matter of the user.
      expect(await attempt('127.0.0.1')).toContain('storage.postgres.');
      expect(await attempt('127.0.0.1', { mode: 'require' })).toBe('encrypted');
      expect(await attempt('127.0.0.1', { mode: 'verify-ca' })).toContain('storage.postgres.tls');
      expect(await attempt('127.0.0.1', { mode: 'verify-ca', ...authority })).toBe('encrypted');
      expect(await attempt('127.0.0.1', { mode: 'verify-full', ...authority })).toContain(
        'storage.postgres.tls',
      );
      expect(await attempt('localhost', { mode: 'verify-full', ...authority })).toBe('encrypted');
      expect(await attempt('localhost', { mode: 'verify-full', root_certificate: '/missing.pem' })).toContain(
        'storage.postgres.ssl.root_certificate: the file /missing.pem cannot be read',
      );
    } finally {
      await secure.stop();
      await folder.remove();
    }
  });
});
