import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { systemClock } from '../../src/lib/clock.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../../src/sessions/store.ts';
import { announce } from '../support/announce.ts';
import { mustBeComplete, root } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { seededRandom } from '../support/fake-clock.ts';
import { freePort } from '../support/free-port.ts';
import { openRelay } from '../support/relay.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { missingRedis, type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { storedSessions } from '../support/stored-session.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate, type TestCertificate } from '../support/test-authority.ts';
import { openRedis } from './redis-places.ts';

/** What only Redis has: its settings, its faults, what it keeps. The contract is in session-store.test.ts. */

const missing = missingRedis();
if (missing !== undefined && !mustBeComplete)
  announce(`SKIPPED: ${missing} is not installed (scripts/install-test-servers)`);

const clock = systemClock;
const start = clock.now();
const random = seededRandom('redis store');

const record = storedSessions(random, start);

describe.skipIf(missing !== undefined && !mustBeComplete)('the Redis session store', () => {
  const stores: SessionStore[] = [];
  const servers: RedisServer[] = [];
  const started = async (...options: Parameters<typeof startRedisServer>): Promise<RedisServer> => {
    const server = await startRedisServer(...options);
    servers.push(server);
    return server;
  };
  const opened = async (
    section: Readonly<Record<string, unknown>>,
    deps: Partial<Parameters<typeof openRedis>[1]> = {},
  ): Promise<SessionStore> => {
    const store = await openRedis({ host: '127.0.0.1', ...section }, { clock, ...deps });
    stores.push(store);
    return store;
  };
  const find = async (store: SessionStore, key: string): Promise<StoredSession | null> =>
    (await store.findMany([key]))[0] ?? null;
  const unavailable = (run: () => unknown): Promise<void> =>
    expect((async () => run())()).rejects.toThrow(StoreUnavailable);
  const isBack = (store: SessionStore): Promise<true> =>
    eventually('the store answers', 4000, async () => {
      await store.ping();
      return true as const;
    });
  /** Connections of gateways, by the name that they give. */
  const connectionsAt = async (server: RedisServer): Promise<string[]> =>
    String(await server.ask('CLIENT', 'LIST'))
      .split('\n')
      .filter((line) => line.includes(' name=sallyport '));

  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedisServer({ lines: ['user extra on >of-the-extra ~* &* +@all'] });
  });
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    for (const one of servers.splice(0)) await one.stop();
    await server.ask('FLUSHALL');
  });
  afterAll(() => server?.stop());

  test('the client library is loaded when a store is opened, and not before', () => {
    const code = `
      import { createRequire } from 'node:module';
      const { sessionDrivers } = await import('./src/sessions/registry.ts');
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('@redis/client'));
      process.stdout.write(sessionDrivers.redis.shared + ' ' + loaded());`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: root });
    expect(output.toString()).toBe('true false');
  });

  describe('what it keeps', () => {
    test('keys stand below prefix and realm, and a session that ended leaves none', async () => {
      const store = await opened({ port: server.port, key_prefix: 'my:' });
      const [one, two] = [record(), record()];
      await store.insert(one);
      await store.insert(two);
      await store.touchMany([{ key: one.key, at: start + 5 }]);
      expect((await server.ask('KEYS', '*')) as string[]).toSatisfy((keys: string[]) =>
        keys.every((key) => key.startsWith('my:gateway:')),
      );
      await store.delete(one.key);
      await store.deleteByUser('john');
      expect(await server.ask('KEYS', '*')).toEqual([]);
    });

    test('activity never changes the record', async () => {
      const store = await opened({ port: server.port });
      const one = record();
      await store.insert(one);
      const name = `sallyport:gateway:s:${one.key}`;
      const before = await server.ask('GET', name);
      await store.touchMany([{ key: one.key, at: start + 5000 }]);
      expect(await server.ask('GET', name)).toEqual(before);
      expect(await store.activityOf(one.key)).toBe(start + 5000);
    });

    test('Redis forgets a record a day after its end, and sweep takes what it left behind', async () => {
      const store = await opened({ port: server.port });
      const one = record({ expiresAt: start + 60_000 });
      await store.insert(one);
      const name = `sallyport:gateway:s:${one.key}`;
      const left = Number(await server.ask('PTTL', name));
      expect(left).toBeGreaterThan(86_400_000 + 50_000);
      expect(left).toBeLessThanOrEqual(86_400_000 + 60_000);
      await server.ask('DEL', name);
      await store.touchMany([{ key: one.key, at: start + 10 }]);
      expect(await find(store, one.key)).toBeNull();
      expect(await store.listByUser('john')).toEqual([]);
      expect(await store.sweep(start + 60_001, 10)).toBe(0);
      expect(await server.ask('KEYS', '*')).toEqual([]);
    });

    test('a value that is no session is none, and harms no other', async () => {
      const store = await opened({ port: server.port });
      const one = record();
      await store.insert(one);
      for (const [key, value] of [
        ['text', 'hello'],
        ['cut', Buffer.from([1, 0, 0])],
        ['long', Buffer.concat([Buffer.from([1]), Buffer.alloc(34, 0xff)])],
        ['newer', Buffer.alloc(100, 2)],
      ] as const) {
        await server.ask('SET', `sallyport:gateway:s:${key}`, value);
        expect(await store.findMany([one.key, key]), key).toEqual([one, null]);
        expect(await store.replace(key, 1, record({ key })), key).toBe(false);
        expect(await store.delete(key), key).toBeNull();
        expect(await server.ask('EXISTS', `sallyport:gateway:s:${key}`)).toBe(0);
      }
    });

    test('sign out everywhere takes a session that is rotated meanwhile', async () => {
      const store = await opened({ port: server.port });
      for (let i = 0; i < 20; i++) {
        const sessions = Array.from({ length: 5 }, () => record());
        for (const session of sessions) await store.insert(session);
        await Promise.all([
          ...sessions.map(({ key, publicId }) => store.replace(key, 1, record({ publicId, version: 2 }))),
          store.deleteByUser('john'),
          ...sessions.map(({ key, publicId }) => store.replace(key, 1, record({ publicId, version: 2 }))),
        ]);
        expect(await store.listByUser('john')).toEqual([]);
      }
    });
  });

  describe('settings', () => {
    test('a Unix socket, by an absolute path', async () => {
      const store = await opened({ host: server.socket });
      expect(await store.insert(record())).toBe(true);
    });

    test('an IPv6 address in brackets', async () => {
      const six = await started({ lines: ['bind ::1 127.0.0.1'] });
      const store = await opened({ host: '[::1]', port: six.port });
      expect(await store.insert(record())).toBe(true);
    });

    test('database_index', async () => {
      const store = await opened({ port: server.port, database_index: 3 });
      const one = record();
      await store.insert(one);
      expect(await find(await opened({ port: server.port }), one.key)).toBeNull();
      expect(await find(await opened({ port: server.port, database_index: 3 }), one.key)).toEqual(one);
      await expect(opened({ port: server.port, database_index: 99 })).rejects.toThrow(
        'session.redis.database_index',
      );
    });

    test('username and password; refused ones are an error that names them', async () => {
      const locked = await started({
        administrator: { username: 'boss', password: 'of-the-boss' },
        lines: [
          'user default on >common-secret ~* &* +@all',
          'user boss on >of-the-boss ~* &* +@all',
          'user gateway on >of-the-gateway ~sallyport:* resetchannels -@all +@connection +@read +@write +@scripting',
          'user open on nopass ~* &* +@all',
          'user reader on >of-the-reader ~* -@all +@connection +@read +@scripting',
        ],
      });
      const { port } = locked;
      for (const [who, password] of [
        ['gateway', 'of-the-gateway'],
        [undefined, 'common-secret'],
        ['open', undefined],
      ]) {
        const store = await opened({
          port,
          ...(who ? { username: who } : {}),
          ...(password ? { password } : {}),
        });
        const one = record();
        expect(await store.insert(one)).toBe(true);
        expect(await store.delete(one.key)).toBe(one.publicId);
      }
      for (const section of [
        { username: 'gateway', password: 'wrong' },
        { username: 'nobody', password: 'of-the-gateway' },
        { password: 'wrong' },
        {},
      ]) {
        await expect(opened({ port, ...section })).rejects.toThrow('session.redis.password');
      }
      await expect(
        opened({ port, username: 'gateway', password: 'of-the-gateway', key_prefix: 'other:' }),
      ).rejects.toThrow('session.redis.username');
    });

    test.each([
      [{ maximum_active_connections: 1 }, 1],
      [{ maximum_active_connections: 2, minimum_idle_connections: 8 }, 2],
      [{}, 2],
      [{ minimum_idle_connections: 5 }, 5],
      [{ minimum_idle_connections: 20 }, 8],
    ])('connections with %o: %i', async (section, count) => {
      const config = { port: server.port, ...section };
      const store = await opened(config);
      await eventually('all connections', 2000, async () =>
        (await connectionsAt(server)).length === count ? true : undefined,
      );
      const sessions = Array.from({ length: 50 }, () => record());
      await Promise.all([
        ...sessions.map(async (session) => {
          await store.insert(session);
          expect(await find(store, session.key)).toEqual(session);
        }),
        ...sessions.map(({ key }) => store.touchMany([{ key, at: start }])),
      ]);
      expect(await connectionsAt(server)).toHaveLength(count);
    });

    test('a server of a cluster, or one without a command that is needed, is refused', async () => {
      const clustered = await started({ lines: ['cluster-enabled yes'] });
      await expect(opened({ port: clustered.port })).rejects.toThrow('Redis Cluster');
      await clustered.ask('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
      await eventually('the slots are served', 4000, async () =>
        String(await clustered.ask('CLUSTER', 'INFO')).includes('cluster_state:ok') ? true : undefined,
      );
      await expect(opened({ port: clustered.port })).rejects.toThrow('Redis Cluster');
      const old = await started({ lines: ['rename-command ZMSCORE ""'] });
      await expect(opened({ port: old.port })).rejects.toThrow('Redis 6.2');
    });

    test('what loses sessions is warned of at start', async () => {
      const loose = await started({ lines: ['maxmemory 50mb', 'maxmemory-policy allkeys-lru', 'save ""'] });
      const logger = recordingLogger();
      await opened({ port: loose.port }, { logger });
      await eventually('both warnings', 2000, () =>
        logger.entries.filter(({ level }) => level === 'warn').length === 2 ? true : undefined,
      );
      expect(logger.entries.map(({ message }) => message).join()).toMatch(/noeviction.*appendonly/);

      const sound = await started({ lines: ['appendonly yes', 'maxmemory 50mb'] });
      const quiet = recordingLogger();
      const store = await opened({ port: sound.port }, { logger: quiet });
      await eventually('the settings are read', 2000, async () =>
        String(await sound.ask('INFO', 'commandstats')).includes('cmdstat_config|get:calls=4')
          ? true
          : undefined,
      );
      await store.ping();
      expect(quiet.entries.filter(({ level }) => level === 'warn')).toEqual([]);
    });
  });

  describe('faults', () => {
    test('a server that is down at start: the store opens, fails at once, and is there within 2 s of the server', async () => {
      const port = await freePort();
      const logger = recordingLogger();
      const store = await opened({ port }, { logger });
      const before = performance.now();
      for (let i = 0; i < 20; i++) await unavailable(() => store.findMany(['x']));
      await unavailable(() => store.insert(record()));
      expect(performance.now() - before).toBeLessThan(200);
      expect(logger.entries.filter(({ level }) => level === 'warn')).toHaveLength(1);
      expect(JSON.stringify(logger.entries)).toContain('out of reach');
    });

    test('killed and restarted: recovered within 2 s, sessions from its file', async () => {
      const own = await started({ lines: ['appendonly yes', 'appendfsync always'] });
      const store = await opened({ port: own.port });
      const one = record();
      await store.insert(one);
      await own.kill();
      const before = performance.now();
      await unavailable(() => store.findMany([one.key]));
      await unavailable(() => store.delete(one.key));
      expect(performance.now() - before).toBeLessThan(450);
      await own.restart();
      const back = performance.now();
      await isBack(store);
      expect(performance.now() - back).toBeLessThan(2000);
      expect(await find(store, one.key)).toEqual(one);
      expect(await store.delete(one.key)).toBe(one.publicId);
    });

    test('frozen: what waits is refused in the end, and it is recovered within 2 s of the thaw', async () => {
      const own = await started();
      const store = await opened({ port: own.port });
      const one = record();
      await store.insert(one);
      own.freeze();
      await Promise.all([
        unavailable(() => store.findMany([one.key])),
        unavailable(() => store.insert(record())),
      ]);
      // By now it is known to be out of reach: no more waiting.
      const before = performance.now();
      await unavailable(() => store.findMany([one.key]));
      expect(performance.now() - before).toBeLessThan(100);
      own.thaw();
      const back = performance.now();
      await isBack(store);
      expect(performance.now() - back).toBeLessThan(2000);
      expect(await find(store, one.key)).toEqual(one);
    });

    test('a network that goes silent: recovered within 2 s of the end of the silence', async () => {
      const relay = await openRelay(server.port);
      const store = await opened({ port: relay.port });
      const one = record();
      await store.insert(one);
      relay.silence();
      await unavailable(() => store.findMany([one.key]));
      // Long enough for a dial to hang.
      const end = performance.now() + 1500;
      await eventually('a while', 3000, async () => {
        await unavailable(() => store.findMany([one.key]));
        return performance.now() > end ? true : undefined;
      });
      await relay.heal();
      const back = performance.now();
      await isBack(store);
      expect(performance.now() - back).toBeLessThan(2000);
      expect(await find(store, one.key)).toEqual(one);
      await relay.close();
    });

    test('a connection that falls costs no read, but where repeating is switched off', async () => {
      const one = record();
      const patient = await opened({ port: server.port });
      const strict = await opened({ port: server.port, max_retries: -1 });
      await patient.insert(one);
      const refused: unknown[] = [];
      const strictly = async (): Promise<void> => {
        try {
          await strict.findMany([one.key]);
        } catch (error) {
          refused.push(error);
        }
      };
      for (let i = 0; i < 4; i++) {
        await eventually('all connections', 2000, async () =>
          (await connectionsAt(server)).length === 4 ? true : undefined,
        );
        const before = [find(patient, one.key), strictly()];
        await server.ask('CLIENT', 'KILL', 'TYPE', 'normal');
        const after = [find(patient, one.key), strictly()];
        expect(await before[0]).toEqual(one);
        expect(await after[0]).toEqual(one);
        await Promise.all([...before, ...after]);
      }
      expect(refused.length).toBeGreaterThan(0);
      for (const error of refused) expect(error).toBeInstanceOf(StoreUnavailable);
    });

    test.each([
      ['OOM', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
      ['READONLY', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
      [
        'NOREPLICAS',
        ['CONFIG', 'SET', 'min-replicas-to-write', '3'],
        ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
      ],
    ])('%s: writes are refused, reads go on', async (code, breakIt, mendIt) => {
      const store = await opened({ port: server.port });
      const one = record();
      await store.insert(one);
      await server.ask(...breakIt);
      try {
        await expect((async () => store.insert(record()))()).rejects.toThrow(code);
        await unavailable(() => store.insert(record()));
        expect(await find(store, one.key)).toEqual(one);
        // To sign out frees memory.
        if (code === 'OOM') expect(await store.delete(one.key)).toBe(one.publicId);
        else await unavailable(() => store.delete(one.key));
      } finally {
        await server.ask(...mendIt);
      }
      expect(await store.insert(record())).toBe(true);
    });

    test('a password that is changed later: 503 with a clear log, no busy loop, and back when it is changed again', async () => {
      await server.ask('ACL', 'SETUSER', 'extra', 'on', 'resetpass', '>first');
      const logger = recordingLogger();
      const store = await opened({ port: server.port, username: 'extra', password: 'first' }, { logger });
      await server.ask('ACL', 'SETUSER', 'extra', 'resetpass', '>second');
      await server.ask('CLIENT', 'KILL', 'USER', 'extra');
      await eventually('it is refused', 2000, async () => {
        await unavailable(() => store.ping());
        const warnings = logger.entries.filter(({ message }) => message.includes('out of reach'));
        return warnings.some(({ fields }) => String(fields.cause).includes('WRONGPASS')) ? true : undefined;
      });
      expect(logger.entries.filter(({ message }) => message.includes('out of reach')).length).toBeLessThan(3);
      await server.ask('ACL', 'SETUSER', 'extra', 'resetpass', '>first');
      await isBack(store);
    });

    test('scripts that the server has forgotten are told again', async () => {
      const store = await opened({ port: server.port });
      await server.ask('SCRIPT', 'FLUSH');
      const one = record();
      expect(await store.insert(one)).toBe(true);
      await server.ask('SCRIPT', 'FLUSH');
      expect(await store.delete(one.key)).toBe(one.publicId);
    });

    test('the stores of several realms share the connections; the last to close closes them', async () => {
      const section = { host: '127.0.0.1', port: server.port };
      const { redisConfig } = await import('./redis-places.ts');
      const { redisDriver } = await import('../../src/sessions/drivers/redis/redis-driver.ts');
      const { systemRandom } = await import('../../src/lib/random.ts');
      const config = redisConfig(section);
      const deps = { clock, random: systemRandom, logger: recordingLogger() };
      const one = await redisDriver.open(config, { ...deps, realm: 'gateway' });
      const two = await redisDriver.open(config, { ...deps, realm: 'outpost:1' });
      stores.push(one, two);
      await eventually('two connections', 2000, async () =>
        (await connectionsAt(server)).length === 2 ? true : undefined,
      );
      await one.close();
      await one.close();
      expect(await two.insert(record())).toBe(true);
      await two.close();
      await eventually('no connection', 2000, async () =>
        (await connectionsAt(server)).length === 0 ? true : undefined,
      );
    });
  });

  describe('TLS', () => {
    const trusted = getCACertificates('default');
    let folder: TemporaryFolder;
    let certificate: TestCertificate;
    let open: RedisServer;
    beforeAll(async () => {
      folder = await temporaryFolder('redis-tls');
      certificate = await createTestCertificate(folder.path, ['redis.test', 'localhost']);
      open = await startRedisServer({ tls: certificate, lines: ['tls-protocols "TLSv1.2"'] });
    });
    afterAll(async () => {
      setDefaultCACertificates(trusted);
      await open?.stop();
      await folder?.remove();
    });
    const works = async (section: Readonly<Record<string, unknown>>): Promise<void> => {
      const store = await opened(section);
      expect(await store.insert(record())).toBe(true);
    };

    test('an authority that is not trusted is refused, but with skip_verify', async () => {
      setDefaultCACertificates(trusted);
      await expect(opened({ port: open.port, tls: { server_name: 'redis.test' } })).rejects.toThrow(
        'session.redis.tls',
      );
      await works({ port: open.port, tls: { skip_verify: true } });
    });

    test('server_name is what the certificate must carry; the host without it', async () => {
      setDefaultCACertificates([...trusted, certificate.authority]);
      await works({ port: open.port, tls: { server_name: 'redis.test' } });
      await works({ port: open.port, host: 'localhost', tls: {} });
      await expect(opened({ port: open.port, tls: { server_name: 'other.test' } })).rejects.toThrow(
        'session.redis.tls.server_name',
      );
      await expect(opened({ port: open.port, tls: {} })).rejects.toThrow('session.redis.tls.server_name');
    });

    test('minimum_version and maximum_version', async () => {
      setDefaultCACertificates([...trusted, certificate.authority]);
      const section = { port: open.port, host: 'localhost' };
      await works({ ...section, tls: { maximum_version: 'TLS1.2' } });
      await expect(opened({ ...section, tls: { minimum_version: 'TLS1.3' } })).rejects.toThrow(
        'session.redis.tls',
      );
      const newer = await started({ tls: certificate, lines: ['tls-protocols "TLSv1.3"'] });
      await works({ ...section, port: newer.port, tls: { minimum_version: 'TLS1.3' } });
      await expect(
        opened({ ...section, port: newer.port, tls: { maximum_version: 'TLS1.2' } }),
      ).rejects.toThrow('session.redis.tls');
    });

    test('certificate_chain and private_key', async () => {
      setDefaultCACertificates([...trusted, certificate.authority]);
      const strict = await started({ tls: certificate, clientCertificates: true });
      const section = { port: strict.port, host: 'localhost' };
      const own = {
        certificate_chain: readFileSync(certificate.certificateFile, 'utf8'),
        private_key: readFileSync(certificate.keyFile, 'utf8'),
      };
      await works({ ...section, tls: own });
      await works({ ...section, tls: { ...own, maximum_version: 'TLS1.2' } });
      // A server may also just close the connection, which is no proof of a wrong setting.
      await expect(opened({ ...section, tls: {} }).then((store) => store.ping())).rejects.toThrow(
        /session\.redis\.tls|store failed/,
      );
    });
  });
});
