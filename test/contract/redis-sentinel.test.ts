import { setTimeout as pause } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { systemClock } from '../../src/lib/clock.ts';
import type { RedisReply } from '../../src/lib/redis.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../../src/sessions/store.ts';
import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { seededRandom } from '../support/fake-clock.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { type RedisSentinels, startRedisSentinels } from '../support/redis-sentinels.ts';
import { missingRedis, type RedisServer } from '../support/redis-server.ts';
import { storedSessions } from '../support/stored-session.ts';
import { temporaryFolder, type TemporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate, type TestCertificate } from '../support/test-authority.ts';
import { openRedis } from './redis-places.ts';

/** The Redis session store behind Sentinels whose servers die, freeze and change places. */

const missing = missingRedis();
if (missing !== undefined && !mustBeComplete)
  announce(`SKIPPED: ${missing} is not installed (scripts/install-test-servers)`);

const clock = systemClock;
const start = clock.now();
const random = seededRandom('redis sentinel');

const record = storedSessions(random, start);

describe.skipIf(missing !== undefined && !mustBeComplete)('Redis Sentinel', () => {
  let cluster: RedisSentinels | undefined;
  let logger = recordingLogger();
  const stores: SessionStore[] = [];
  const started = async (
    options: Parameters<typeof startRedisSentinels>[0] = {},
  ): Promise<RedisSentinels> => {
    cluster = await startRedisSentinels(options);
    return cluster;
  };
  const opened = async (section: Readonly<Record<string, unknown>>): Promise<SessionStore> => {
    logger = recordingLogger();
    const store = await openRedis(section, { clock, logger });
    stores.push(store);
    return store;
  };
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
    await cluster?.stop();
    cluster = undefined;
  });

  const find = async (store: SessionStore, key: string): Promise<StoredSession | null> =>
    (await store.findMany([key]))[0] ?? null;
  const inserted = async (store: SessionStore): Promise<StoredSession> => {
    const one = record();
    expect(await store.insert(one)).toBe(true);
    return one;
  };
  const unavailable = (run: () => unknown): Promise<void> =>
    expect((async () => run())()).rejects.toThrow(StoreUnavailable);
  const masterOf = async ({ servers, masterPort }: RedisSentinels): Promise<RedisServer> => {
    const port = await masterPort();
    const master = servers.find((server) => server.port === port);
    if (master === undefined) throw new Error(`nobody has the port ${port}`);
    return master;
  };
  const warnings = (): string[] =>
    logger.entries.filter(({ level }) => level === 'warn').map(({ message }) => message);

  /** When the first Sentinel names another master than `old`. */
  const election = (sentinels: readonly RedisServer[], old: RedisServer): Promise<number> =>
    eventually('another master is elected', 15_000, async () => {
      const ports = await Promise.all(
        sentinels.map(async (sentinel) => {
          const reply = await sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'sessions').catch(() => []);
          return Array.isArray(reply) ? Number(reply[1]) : 0;
        }),
      );
      return ports.some((port) => port > 0 && port !== old.port) ? performance.now() : undefined;
    });
  /** When a session is written to another server than `old`. */
  const service = ({ servers }: RedisSentinels, old: RedisServer, store: SessionStore): Promise<number> =>
    eventually('a session is written to the new master', 20_000, async () => {
      const one = await inserted(store);
      const now = performance.now();
      for (const server of servers.filter((server) => server !== old)) {
        if ((await server.ask('EXISTS', `sallyport:gateway:s:${one.key}`)) === 1) return now;
      }
      return undefined;
    });
  const follow = async (
    what: string,
    cluster: RedisSentinels,
    old: RedisServer,
    store: SessionStore,
    sentinels = cluster.sentinels,
  ): Promise<void> => {
    const [elected, served] = await Promise.all([election(sentinels, old), service(cluster, old, store)]);
    const took = Math.max(0, Math.round(served - elected));
    announce(`Redis Sentinel, ${what}: ${took} ms from the election to the first write`);
    expect(took).toBeLessThan(1000);
  };

  test('a master that is killed: followed within a second of the election, nothing confirmed is lost', async () => {
    const cluster = await started({ withAccessControl: true });
    const store = await opened(cluster.section);
    const one = await inserted(store);
    const gone = await inserted(store);
    expect(await store.delete(gone.key)).toBe(gone.publicId);
    const old = await masterOf(cluster);
    await old.kill();
    await follow('master killed', cluster, old, store);
    expect(await store.findMany([one.key, gone.key])).toEqual([one, null]);
    // What was master has to follow when it is back.
    await old.restart();
    expect(await store.findMany([one.key, gone.key])).toEqual([one, null]);
    expect(warnings()).toContain('Redis has a new master');

    const { high_availability: sentinel, ...section } = cluster.section as { high_availability: object };
    for (const [wrong, key] of [
      [{ sentinel_password: 'wrong' }, 'session.redis.high_availability.sentinel_password'],
      [{ sentinel_name: 'other' }, 'session.redis.high_availability.sentinel_name'],
    ] as const) {
      await expect(opened({ ...section, high_availability: { ...sentinel, ...wrong } })).rejects.toThrow(key);
    }
    await expect(opened({ ...section, password: 'wrong', high_availability: sentinel })).rejects.toThrow(
      'session.redis.password',
    );
  });

  test('a master that is frozen: followed within a second of the election, and never gone back to', async () => {
    const cluster = await started();
    const store = await opened(cluster.section);
    const one = await inserted(store);
    const old = await masterOf(cluster);
    const [cutOff, ...others] = cluster.sentinels;
    old.freeze();
    cutOff?.freeze();
    await follow('master frozen', cluster, old, store, others);
    expect(await store.delete(one.key)).toBe(one.publicId);
    // Both are back with what they knew: the old master with the session, the Sentinel with the old master.
    const stale = old.ask('EXISTS', `sallyport:gateway:s:${one.key}`);
    cutOff?.thaw();
    old.thaw();
    const end = performance.now() + 1500;
    for (let reads = 0; performance.now() < end || reads < 20; reads++) {
      expect(await find(store, one.key)).toBeNull();
      await eventually('the next moment', 100, () => true);
    }
    expect(await stale).toBe(1);
    expect(warnings().filter((message) => message === 'Redis has a new master')).toHaveLength(1);
  });

  test('a planned failover is over within a second of the election; nothing confirmed is lost or comes back', async () => {
    const cluster = await started();
    const [store, ending] = [await opened(cluster.section), await opened(cluster.section)];
    const old = await masterOf(cluster);
    const sessions = Array.from({ length: 2000 }, () => record());
    await Promise.all(sessions.map((session) => store.insert(session)));
    let end = Number.POSITIVE_INFINITY;
    const [ended, begun]: [string[], string[]] = [[], []];
    const unlessUnavailable = (error: unknown): void => expect(error).toBeInstanceOf(StoreUnavailable);
    const keepEnding = async (): Promise<void> => {
      while (performance.now() < end) {
        const one = sessions.pop();
        await pause(2);
        await (async () => one && (await ending.delete(one.key)) !== null && ended.push(one.key))().catch(
          unlessUnavailable,
        );
      }
    };
    let [last, longest, resumed] = [performance.now(), 0, 0];
    const keepBeginning = async (): Promise<void> => {
      while (performance.now() < end) {
        await pause(2);
        await inserted(store).then(({ key }) => {
          begun.push(key);
          const now = performance.now();
          if (now - last > longest) [longest, resumed] = [now - last, now];
          last = now;
        }, unlessUnavailable);
      }
    };
    const running = [keepEnding(), keepEnding(), keepBeginning(), keepBeginning(), keepBeginning()];
    await eventually('some sessions ended and began', 2000, () =>
      Math.min(ended.length, begun.length) > 20 ? true : undefined,
    );
    await cluster.sentinels[0]?.ask('SENTINEL', 'FAILOVER', 'sessions');
    const elected = await election(cluster.sentinels, old);
    end = elected + 1500;
    await Promise.all(running);
    const after = Math.max(0, Math.round(resumed - elected));
    announce(
      `Redis Sentinel, planned failover: ${Math.round(longest)} ms without a write at the longest, until ${after} ms after the election`,
    );
    expect(after).toBeLessThan(1000);
    expect(await masterOf(cluster)).not.toBe(old);
    const found = await store.findMany([...ended, ...begun]);
    expect(found.slice(0, ended.length).filter((session) => session !== null)).toEqual([]);
    expect(found.slice(ended.length).filter((session) => session === null)).toEqual([]);
  });

  test('however many sessions begin at once, they wait for a replica together', async () => {
    const cluster = await started();
    const store = await opened(cluster.section);
    const [master] = cluster.servers;
    const waits = async (): Promise<number> => {
      const stats = String(await master?.ask('INFO', 'commandstats'));
      return Number(/cmdstat_wait:calls=(\d+)/.exec(stats)?.[1] ?? 0);
    };
    const before = await waits();
    const [first] = await Promise.all(Array.from({ length: 500 }, () => inserted(store)));
    // One that cannot be done takes none of the others with it.
    const odd = record();
    await master?.ask('RPUSH', `sallyport:gateway:s:${odd.key}`, 'no session');
    const mixed = [
      store.insert(first as StoredSession),
      store.replace(odd.key, 1, { ...odd, version: 2 }),
      store.insert(record()),
    ];
    expect((await Promise.allSettled(mixed)).map((one) => 'value' in one && one.value)).toEqual([
      false,
      false,
      true,
    ]);
    await unavailable(() => mixed[1]);
    expect((await waits()) - before).toBeLessThan(20);
  });

  test('a session that begins or ends does so once a replica knows, and not before', async () => {
    const cluster = await started({ downAfter: 60_000 });
    const store = await opened(cluster.section);
    const [one, two, three] = [await inserted(store), await inserted(store), await inserted(store)];
    const [, ...replicas] = cluster.servers;
    for (const replica of replicas) replica.freeze();
    // Also when it is repeated and the key is gone already.
    for (let i = 0; i < 2; i++) {
      await unavailable(() => store.delete(one.key));
      await unavailable(() => store.deleteByUser('john', two.publicId));
    }
    // Reads do not wait behind it, nor does what is only noted.
    const changing = [
      unavailable(() => store.delete(two.key)),
      unavailable(() => store.insert(record())),
      unavailable(() => store.replace(three.key, 1, { ...three, version: 2 })),
    ];
    const before = performance.now();
    await store.findMany([three.key]);
    await store.touchMany([{ key: three.key, at: start + 1 }]);
    expect(performance.now() - before).toBeLessThan(150);
    await Promise.all(changing);
    replicas[0]?.thaw();
    expect(await store.delete(one.key)).toBeNull();
    expect(await store.deleteByUser('john')).toHaveLength(1);
    expect(await store.deleteByUser('john')).toEqual([]);

    // Nobody that could take the master's place: nothing to wait for.
    const last = await inserted(store);
    for (const replica of replicas) await replica.kill();
    await unavailable(() => store.delete(last.key));
    for (const sentinel of cluster.sentinels)
      await sentinel.ask('SENTINEL', 'SET', 'sessions', 'down-after-milliseconds', '200');
    await eventually('the Sentinels give the replicas up', 5000, async () => {
      expect(await store.delete(last.key)).toBeNull();
      return true;
    });
    const alone = await inserted(store);
    expect(await store.delete(alone.key)).toBe(alone.publicId);
  });

  test('a Sentinel that is cut off with the master vouches for nothing', async () => {
    const cluster = await started();
    const store = await opened(cluster.section);
    const one = await inserted(store);
    const [alone, ...others] = cluster.sentinels;
    const gone = [...others, ...cluster.servers.slice(1)];
    for (const server of gone) server.freeze();
    await eventually('it sees no replica any more', 5000, async () => {
      const replicas = (await alone?.ask('SENTINEL', 'REPLICAS', 'sessions')) as readonly RedisReply[];
      return replicas.every((replica) => /s_down/.test(JSON.stringify(replica))) || undefined;
    });
    await eventually('the store sees it too', 3000, async () => {
      await unavailable(() => store.findMany([one.key]));
      return true;
    });
    // Longer than it needs to ask the one that is left.
    const end = performance.now() + 1500;
    for (let asked = 0; performance.now() < end || asked < 5; asked++) {
      await unavailable(() => store.findMany([one.key]));
      await unavailable(() => store.insert(record()));
      await pause(50);
    }
    for (const server of gone) server.thaw();
    expect(await eventually('all are back', 8000, () => find(store, one.key))).toEqual(one);
    await eventually('a session is written', 8000, () => inserted(store));
  });

  test('without Sentinels the last known master goes on; a demoted one is left at once', async () => {
    const cluster = await started({ replicas: 1 });
    const store = await opened({ ...cluster.section, maximum_active_connections: 1 });
    const one = await inserted(store);
    const master = await masterOf(cluster);
    for (const sentinel of cluster.sentinels) sentinel.freeze();
    await eventually('it is noticed', 4000, () =>
      warnings().some((message) => message.startsWith('No Redis Sentinel')) ? true : undefined,
    );
    expect(await find(store, one.key)).toEqual(one);
    await master.ask('CLIENT', 'KILL', 'TYPE', 'normal');
    expect(await find(store, one.key)).toEqual(one);
    expect(await inserted(store)).toBeTruthy();
    await store.ping();

    // Nobody follows it any more: the replica may be somebody else's by now, or master itself.
    cluster.servers[1]?.freeze();
    await eventually('it is believed no more', 3000, async () => {
      await unavailable(() => store.findMany([one.key]));
      return true;
    });
    cluster.servers[1]?.thaw();
    await eventually('it is believed again', 3000, () => find(store, one.key));

    await master.ask('REPLICAOF', '127.0.0.1', String(cluster.servers[1]?.port));
    const before = performance.now();
    await eventually('it is left', 2000, async () => {
      await unavailable(() => store.findMany([one.key]));
      return true;
    });
    const took = performance.now() - before;
    announce(`Redis Sentinel, master demoted by hand: left after ${Math.round(took)} ms`);
    expect(took).toBeLessThan(1000);
    await master.ask('REPLICAOF', 'NO', 'ONE');
    await eventually('it is back', 3000, () => find(store, one.key));
    for (const sentinel of cluster.sentinels) sentinel.thaw();
    await eventually('the Sentinels are back', 4000, () =>
      logger.entries.some(({ message }) => message === 'Redis Sentinels are within reach again')
        ? true
        : undefined,
    );
  });

  test('no Sentinel at start: the store opens and fails at once; one Sentinel is enough', async () => {
    const cluster = await started({ replicas: 0 });
    for (const sentinel of cluster.sentinels) await sentinel.kill();
    const store = await opened(cluster.section);
    const before = performance.now();
    await unavailable(() => store.findMany(['x']));
    await unavailable(() => store.insert(record()));
    expect(performance.now() - before).toBeLessThan(100);
    await cluster.sentinels[2]?.restart();
    const back = performance.now();
    await eventually('the store answers', 4000, () => inserted(store));
    expect(performance.now() - back).toBeLessThan(2000);
  });

  describe('with TLS at both layers', () => {
    const trusted = getCACertificates('default');
    let folder: TemporaryFolder;
    let certificate: TestCertificate;
    beforeAll(async () => {
      folder = await temporaryFolder('redis-tls');
      certificate = await createTestCertificate(folder.path, ['redis.test']);
      setDefaultCACertificates([...trusted, certificate.authority]);
    });
    afterAll(async () => {
      setDefaultCACertificates(trusted);
      await folder?.remove();
    });

    test('and users, in any order of the Sentinels', async () => {
      const cluster = await started({ tls: certificate, withAccessControl: true, replicas: 1 });
      const { high_availability: sentinel, ...section } = cluster.section as { high_availability: object };
      for (const order of [{}, { route_by_latency: true }, { route_randomly: true }]) {
        const store = await opened({
          ...section,
          tls: { server_name: 'redis.test' },
          high_availability: { ...sentinel, ...order },
        });
        const one = await inserted(store);
        expect(await find(store, one.key)).toEqual(one);
        expect(await store.delete(one.key)).toBe(one.publicId);
      }
      await expect(
        opened({ ...section, tls: { server_name: 'other.test' }, high_availability: sentinel }),
      ).rejects.toThrow('session.redis.tls.server_name');
    });
  });
});
