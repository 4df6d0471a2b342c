import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';

import { systemRandom } from '../../src/lib/random.ts';
import { postgresDriver } from '../../src/sessions/drivers/postgres.ts';
import type { SessionStore, StoredSession } from '../../src/sessions/store.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { fakeClock, seededRandom } from '../support/fake-clock.ts';
import { freePort } from '../support/free-port.ts';
import { openPostgresSessions, postgresConfig } from '../support/postgres-sessions.ts';
import {
  missingPostgres,
  type PostgresTestServer,
  startPgbouncer,
  startPostgresServer,
} from '../support/postgres-server.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate, type TestCertificate } from '../support/test-authority.ts';

/** What `session.postgres` may be, and what is said when it cannot work. */

const random = seededRandom('postgres settings');
const one: StoredSession = {
  key: random.bytes(32).toString('base64url'),
  version: 1,
  publicId: 'public',
  userId: 'john',
  sid: null,
  createdAt: 1,
  expiresAt: 2,
  lastActivity: 1,
  sealed: random.bytes(100),
};

const ours = `key bytea not null, realm text not null, public_id text not null, user_id text not null, sid text,
version integer not null, created_at timestamptz not null, last_activity timestamptz not null,
expires_at timestamptz not null, sealed bytea not null`;

describe.skipIf(missingPostgres() !== undefined && !mustBeComplete)('session.postgres', () => {
  let server: PostgresTestServer;
  let folder: TemporaryFolder;
  let certificate: TestCertificate;
  const opened: SessionStore[] = [];
  const open = async (
    over: Readonly<Record<string, unknown>> = {},
    port = server.port,
    logger = recordingLogger(),
  ): Promise<SessionStore> => {
    const store = await openPostgresSessions(postgresConfig(port, over), { logger });
    opened.push(store);
    return store;
  };
  const refusal = async (over: Readonly<Record<string, unknown>>, port?: number): Promise<string> =>
    open(over, port).then(
      () => 'opened',
      (error: unknown) => (error instanceof Error ? error.message : 'no error'),
    );
  const newSchema = async (name: string, owner = 'gateway'): Promise<string> => {
    await server.ask(`create schema ${name} authorization ${owner}`);
    return name;
  };

  beforeAll(async () => {
    folder = await temporaryFolder('postgres-settings');
    certificate = await createTestCertificate(folder.path, ['db.example.com']);
    server = await startPostgresServer({ tls: certificate });
    setDefaultCACertificates([...getCACertificates('default'), certificate.authority]);
  });
  afterAll(async () => {
    await server?.stop();
    await folder?.remove();
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });

  describe('the table', () => {
    test('is made when it is missing, also by ten replicas at once', async () => {
      const schema = await newSchema('crowd');
      const stores = await Promise.all(Array.from({ length: 10 }, () => open({ schema })));
      expect(await stores[0]?.insert(one)).toBe(true);
      for (const store of stores) expect(await store.findMany([one.key])).toEqual([one]);
      expect(
        (await server.ask(`select indexname from pg_indexes where schemaname = 'crowd' order by 1`)).flat(),
      ).toEqual([
        'proxy_sessions_expiry',
        'proxy_sessions_pkey',
        'proxy_sessions_realm_public_id_key',
        'proxy_sessions_sid',
        'proxy_sessions_user',
      ]);
    });

    test('that somebody dropped is made again', async () => {
      const store = await open({ schema: await newSchema('dropped') });
      await server.ask('drop table dropped.proxy_sessions');
      await expect(async () => store.insert(one)).rejects.toThrow('does not exist');
      expect(await store.insert(one)).toBe(true);
    });

    test('cannot be made: says the SQL, which helps', async () => {
      await newSchema('closed', 'postgres');
      const message = await refusal({ schema: 'closed' });
      expect(message).toMatch(/^session\.postgres\.schema: gateway may not make the table "closed"\./);
      const [, sql = ''] = /run:\n([^]*)$/.exec(message) ?? [];
      await server.ask(sql);
      const store = await open({ schema: 'closed' });
      expect(await store.insert(one)).toBe(true);
      expect(await store.delete(one.key)).toBe('public');
    });

    test('may not be written to: says which rights are missing', async () => {
      await newSchema('rights', 'postgres');
      await server.ask(`create table rights.proxy_sessions (${ours}, primary key (realm, key), unique (realm, public_id));
        grant usage on schema rights to gateway; grant select, insert on rights.proxy_sessions to gateway`);
      const message = await refusal({ schema: 'rights' });
      expect(message).toContain(
        'session.postgres.username: gateway may not update, delete from "rights".proxy_sessions',
      );
      await server.ask(message.slice(message.indexOf('grant')));
      expect(await (await open({ schema: 'rights' })).findMany([one.key])).toEqual([null]);
    });

    test('of somebody else is refused with its columns', async () => {
      await newSchema('theirs');
      await server.ask(
        'create table theirs.proxy_sessions (uuid uuid primary key, session_key text not null, expires timestamptz)',
      );
      expect(await refusal({ schema: 'theirs' })).toMatch(
        /^session\.postgres\.schema: "theirs"\.proxy_sessions is a table of somebody else\. It has the columns uuid uuid not null, session_key text not null, expires timestamp with time zone; needed are key bytea not null, .*Name another schema/,
      );
    });

    test('may have more columns, if they can be left out', async () => {
      await newSchema('newer');
      await server.ask(`set role gateway; create table newer.proxy_sessions (${ours}, device text, seen int not null default 0,
        primary key (realm, key), unique (realm, public_id))`);
      expect(await (await open({ schema: 'newer' })).insert(one)).toBe(true);
      await server.ask(
        'alter table newer.proxy_sessions add must text not null default 1; alter table newer.proxy_sessions alter must drop default',
      );
      expect(await refusal({ schema: 'newer' })).toContain('nothing in must');
    });

    test('without the unique indexes is refused', async () => {
      await newSchema('bare');
      await server.ask(
        `set role gateway; create table bare.proxy_sessions (${ours}, primary key (realm, key))`,
      );
      expect(await refusal({ schema: 'bare' })).toContain('lacks a unique index on (public_id, realm)');
    });

    test('times are exact whatever the server writes, and whoever looks', async () => {
      await server.ask(`alter role gateway set datestyle = 'German'; alter role gateway set timezone = 'Pacific/Chatham';
        alter role gateway set bytea_output = 'escape'; alter role gateway set extra_float_digits = -10`);
      const store = await open({ schema: await newSchema('times') });
      for (const time of [1, 999, 1_800_000_000_123, 253_402_300_800_001, 2_000_000_000_000_001]) {
        const session = { ...one, createdAt: time, expiresAt: time, lastActivity: time };
        await store.insert(session);
        await store.touchMany([{ key: one.key, at: time + 1 }]);
        expect(await store.findMany([one.key])).toEqual([{ ...session, lastActivity: time + 1 }]);
        await store.delete(one.key);
      }
      await server.ask('alter role gateway reset all');
    });
  });

  describe('access', () => {
    test('one pool serves all stores of a process', async () => {
      const config = postgresConfig(server.port, {
        schema: await newSchema('realms'),
        maximum_connections: 3,
      });
      const deps = { clock: fakeClock(), random: systemRandom, logger: recordingLogger() };
      const realms = ['gateway', 'outpost:1', 'outpost:2'];
      const stores = await Promise.all(
        realms.map((realm) => postgresDriver.open(config, { ...deps, realm })),
      );
      opened.push(...stores);
      await Promise.all(stores.flatMap((store) => Array.from({ length: 20 }, async () => store.ping())));
      const sessions = `select count(*)::int from pg_stat_activity where usename = 'gateway'`;
      expect(await server.ask(sessions)).toEqual([[3]]);
      await stores[0]?.close();
      await stores[1]?.ping();
      await Promise.all(stores.map((store) => store.close()));
      await eventually(
        'all are closed',
        2000,
        async () => (await server.ask(sessions))[0]?.[0] === 0 || undefined,
      );
    });

    test('nothing is said at the start that a pgbouncer does not know, whatever the environment says', async () => {
      for (const [name, value] of [
        ['PGOPTIONS', '-c statement_timeout=1'],
        ['PGAPPNAME', 'other'],
        ['PGUSER', 'other'],
        ['PGSSLMODE', 'require'],
        ['PGCLIENTENCODING', 'LATIN1'],
      ] as const) {
        vi.stubEnv(name, value);
      }
      const heard: Buffer[] = [];
      const listener = createServer((socket) =>
        socket.once('data', (bytes: Buffer) => socket.end(void heard.push(bytes))),
      );
      listener.listen(0, '127.0.0.1');
      await once(listener, 'listening');
      const store = await open({}, (listener.address() as AddressInfo).port);
      await store.close();
      listener.close();
      vi.unstubAllEnvs();
      expect(heard[0]?.subarray(8).toString().split('\0').filter(Boolean)).toEqual([
        'user',
        'gateway',
        'database',
        'gateway',
        'application_name',
        'sallyport',
        'client_encoding',
        'UTF8',
      ]);
    });

    test('a wrong password, user or database is refused by its key', async () => {
      expect(await refusal({ password: 'wrong' })).toMatch(
        /^session\.postgres\.password: the server 127\.0\.0\.1:\d+ does not let gateway into gateway: password authentication failed/,
      );
      expect(await refusal({ password: '' })).toMatch(/^session\.postgres\.password: .*asks for a password/);
      expect(await refusal({ password: undefined })).toMatch(
        /^session\.postgres\.password: .*asks for a password/,
      );
      expect(await refusal({ username: 'nobody' })).toMatch(/^session\.postgres\.password: /);
      expect(await refusal({ database: 'nowhere' })).toMatch(
        /^session\.postgres\.database: .*database "nowhere" does not exist/,
      );
      await server.ask('create role idle password $$x$$');
      expect(await refusal({ username: 'idle', password: 'x' })).toMatch(
        /^session\.postgres\.username: .*not permitted to log in/,
      );
      expect(await refusal({ schema: 'no "such"' })).toMatch(
        /^session\.postgres\.schema: the database has no schema "no ""such"""\. Let somebody who may run:\ncreate schema "no ""such""";$/,
      );
    });

    test('by Unix socket, named by its folder or by itself', async () => {
      await newSchema('socket');
      const file = `${server.socketFolder}/.s.PGSQL.${server.port}`;
      const store = await open({ address: `unix://${file}`, password: undefined, schema: 'socket' });
      expect(await store.insert(one)).toBe(true);
      // A folder means the usual port, and nobody listens there.
      const down = await open({ address: server.socketFolder, schema: 'socket' });
      await expect(async () => down.ping()).rejects.toThrow('.s.PGSQL.5432');
    });

    test('a server that is down when we start is no reason to stop', async () => {
      const logger = recordingLogger();
      const store = await open({}, await freePort(), logger);
      await expect(async () => store.findMany([one.key])).rejects.toThrow(/cannot answer: .*ECONNREFUSED/);
      expect(logger.entries.filter(({ level }) => level === 'warn').map(({ message }) => message)).toEqual([
        'No connection to PostgreSQL',
        'The session store in PostgreSQL is not there yet',
      ]);
    });

    test('credentials come from files, which are read again when the server refuses them', async () => {
      await server.ask(
        `create role rotated login password 'first'; create schema rotated authorization rotated`,
      );
      const file = (name: string): string => join(folder.path, name);
      await Promise.all([
        writeFile(file('username'), 'rotated\n'),
        writeFile(file('password'), 'first\n'),
        writeFile(file('database'), 'gateway'),
      ]);
      const over = Object.fromEntries(
        ['username', 'password', 'database'].map((name) => [name, `file://${file(name)}`]),
      );
      const store = await open({ ...over, schema: 'rotated' });
      expect(await store.insert(one)).toBe(true);

      // The file is early: the old password is good for as long as the server takes it.
      await writeFile(file('password'), 'second\n');
      const loseAll = () =>
        server.ask(`select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = 'rotated'`);
      await loseAll();
      await eventually(
        'the old password is still used',
        2000,
        async () => (await store.findMany([one.key]))[0] ?? undefined,
      );
      await server.ask(`alter role rotated password 'second'`);
      await loseAll();
      await eventually(
        'the new password is used',
        2000,
        async () => (await store.findMany([one.key]))[0] ?? undefined,
      );

      // The file is late.
      await server.ask(`alter role rotated password 'third'`);
      await loseAll();
      await expect(async () => store.ping()).rejects.toThrow(/password authentication failed|terminated/);
      await writeFile(file('password'), 'third');
      await eventually(
        'the file is read again',
        5000,
        async () => (await store.findMany([one.key]))[0] ?? undefined,
      );
      expect(await refusal({ ...over, password: `file://${file('nothing')}` })).toBe(
        `session.postgres.password: the file ${file('nothing')} cannot be read (ENOENT)`,
      );
    });

    test('a pgbouncer in front, with its own idea of what it refuses', async () => {
      const pgbouncer = await startPgbouncer(server.port);
      try {
        const schema = await newSchema('pooled');
        const store = await open({ schema }, pgbouncer.port);
        expect(await store.insert(one)).toBe(true);
        // It has one code for everything from a wrong password to a database that is down: so we go on trying, and say it.
        const refused = await open({ schema, password: 'wrong' }, pgbouncer.port);
        await expect(async () => refused.ping()).rejects.toThrow(
          /SASL authentication failed|password authentication failed/,
        );
      } finally {
        await pgbouncer.stop();
      }
    });
  });

  describe('TLS', () => {
    let strict: PostgresTestServer;
    beforeAll(async () => {
      strict = await startPostgresServer({ tls: certificate, requireTls: true, clientCertificates: true });
    });
    afterAll(() => strict?.stop());
    const name = { server_name: 'db.example.com' };

    test('checks the authority and the name', async () => {
      const store = await open({ tls: name });
      await store.ping();
      expect((await server.ask(`select count(*)::int from pg_stat_ssl where ssl`)).flat()).toEqual([1]);
      expect(await refusal({ tls: {} })).toMatch(
        /^session\.postgres\.tls: no TLS with the server .*ERR_TLS_CERT_ALTNAME_INVALID/,
      );
      expect(await refusal({ tls: { server_name: 'other.example.com' } })).toContain(
        'ERR_TLS_CERT_ALTNAME_INVALID',
      );
      setDefaultCACertificates(getCACertificates('bundled'));
      expect(await refusal({ tls: name })).toMatch(
        /^session\.postgres\.tls: no TLS with the server .*SELF_SIGNED_CERT_IN_CHAIN/,
      );
      await (await open({ tls: { skip_verify: true } })).ping();
      setDefaultCACertificates([...getCACertificates('bundled'), certificate.authority]);
    });

    test('keeps to the versions', async () => {
      const store = await open({ tls: { ...name, maximum_version: 'TLS1.2' } });
      await store.ping();
      expect(
        (
          await server.ask(`select distinct version from pg_stat_ssl where ssl and version = 'TLSv1.2'`)
        ).flat(),
      ).toEqual(['TLSv1.2']);
      await server.ask(`alter system set ssl_max_protocol_version = 'TLSv1.2'`);
      await server.ask('select pg_reload_conf()');
      await eventually(
        'TLS 1.3 is refused',
        3000,
        async () =>
          (await refusal({ tls: { ...name, minimum_version: 'TLS1.3' } })).startsWith(
            'session.postgres.tls: ',
          ) || undefined,
      );
      await server.ask(`alter system reset ssl_max_protocol_version`);
      await server.ask('select pg_reload_conf()');
    });

    test('shows a client certificate', async () => {
      const [certificate_chain, private_key] = await Promise.all([
        readFile(certificate.certificateFile, 'utf8'),
        readFile(certificate.keyFile, 'utf8'),
      ]);
      expect(await refusal({ tls: name }, strict.port)).toMatch(
        /^session\.postgres\.username: .*certificate/,
      );
      await (await open({ tls: { ...name, certificate_chain, private_key } }, strict.port)).ping();
    });

    test('is never left out: not when the server has none, and not when the server insists and we do not', async () => {
      expect(await refusal({}, strict.port)).toMatch(/^session\.postgres\.username: .*no encryption/);
      const plain = await startPostgresServer();
      try {
        expect(await refusal({ tls: { skip_verify: true } }, plain.port)).toMatch(
          /^session\.postgres\.tls: the server 127\.0\.0\.1:\d+ offers no TLS$/,
        );
      } finally {
        await plain.stop();
      }
    });
  });
});
