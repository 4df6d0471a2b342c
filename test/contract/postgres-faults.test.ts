import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { type SessionStore, type StoredSession, StoreUnavailable } from '../../src/sessions/store.ts';
import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { seededRandom } from '../support/fake-clock.ts';
import { openPostgresSessions, postgresConfig } from '../support/postgres-sessions.ts';
import {
  missingPostgres,
  type Pgbouncer,
  type PostgresTestServer,
  startPgbouncer,
  startPostgresServer,
} from '../support/postgres-server.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { openRelay, type Relay } from '../support/relay.ts';

/** Real servers that restart, die, freeze and change their roles under the session store. */

const random = seededRandom('postgres faults');
const record = (over: Partial<StoredSession> = {}): StoredSession => ({
  key: random.bytes(32).toString('base64url'),
  version: 1,
  publicId: random.bytes(9).toString('base64url'),
  userId: 'john',
  sid: null,
  createdAt: 1000,
  expiresAt: 5000,
  lastActivity: 1000,
  sealed: random.bytes(200),
  ...over,
});

/** Recovery counts from here on. */
const RECOVERED_MS = 2000;

describe.skipIf(missingPostgres() !== undefined && !mustBeComplete)('sessions in PostgreSQL', () => {
  const opened: SessionStore[] = [];
  const open = async (
    port: number,
    over: Readonly<Record<string, unknown>> = {},
    logger = recordingLogger(),
  ): Promise<SessionStore> => {
    const store = await openPostgresSessions(postgresConfig(port, over), { logger });
    opened.push(store);
    return store;
  };
  /** Milliseconds until the session is found again. Until then nothing but StoreUnavailable may come. */
  const recover = async (what: string, store: SessionStore, session: StoredSession): Promise<number> => {
    const start = performance.now();
    await eventually(what, 10_000, async () => {
      try {
        expect(await store.findMany([session.key])).toEqual([session]);
        return true;
      } catch (error) {
        if (error instanceof StoreUnavailable) return undefined;
        return Promise.reject(error);
      }
    });
    const ms = performance.now() - start;
    announce(`PostgreSQL, ${what}: answers again after ${Math.round(ms)} ms`);
    return ms;
  };
  /** Asks on and on, until the pauses between attempts to connect are at their longest. */
  const sufferFor = (ms: number, store: SessionStore): Promise<true> => {
    const start = performance.now();
    return eventually('the outage is over', ms + 5000, async () => {
      await unavailable(() => store.findMany([]));
      return performance.now() - start > ms || undefined;
    });
  };
  const unavailable = (run: () => unknown) => expect(async () => run()).rejects.toThrow(StoreUnavailable);

  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
  });

  describe('one server', () => {
    let server: PostgresTestServer;
    let relay: Relay;
    let store: SessionStore;
    let one: StoredSession;

    beforeAll(async () => {
      // The log reaches the disk late, unless a statement insists.
      server = await startPostgresServer({
        settings: { synchronous_commit: 'off', wal_writer_delay: '10s', max_connections: '30' },
      });
      relay = await openRelay(server.port);
    });
    afterAll(async () => {
      await relay?.close();
      await server?.stop();
    });
    beforeEach(async () => {
      store = await open(relay.port);
      one = record();
      await store.insert(one);
    });

    test('goes down orderly and comes back', async () => {
      await server.shutDown();
      await sufferFor(1500, store);
      await server.start();
      expect(await recover('fast restart', store, one)).toBeLessThan(RECOVERED_MS);
    });

    test('is killed and comes back', async () => {
      await server.ask('checkpoint');
      const running = Promise.allSettled(Array.from({ length: 20 }, async () => store.findMany([one.key])));
      await server.kill();
      await running;
      await sufferFor(1500, store);
      await server.start();
      expect(await recover('SIGKILL and crash recovery', store, one)).toBeLessThan(RECOVERED_MS);
    });

    test('a delete that was confirmed outlives a crash, whatever synchronous_commit says', async () => {
      const sessions = Array.from({ length: 4 }, () => record());
      const [a, b, c, d] = sessions as [StoredSession, StoredSession, StoredSession, StoredSession];
      for (const session of sessions) await store.insert(session);
      await server.ask('checkpoint');
      // Shows that the server would have forgotten it.
      await server.ask(`update proxy_sessions set sid = 'lost' where public_id = '${d.publicId}'`);
      await server.kill();
      await server.start();
      expect(await server.ask(`select sid from proxy_sessions where public_id = '${d.publicId}'`)).toEqual([
        [null],
      ]);

      expect(await recover('second crash', store, d)).toBeLessThan(RECOVERED_MS);
      expect(await store.delete(a.key)).toBe(a.publicId);
      await server.kill();
      await server.start();
      expect(await recover('after a delete', store, b)).toBeLessThan(RECOVERED_MS);
      expect(await store.findMany([a.key])).toEqual([null]);

      const next = record({ publicId: b.publicId, version: 2 });
      expect(await store.replace(b.key, 1, next)).toBe(true);
      await server.kill();
      await server.start();
      expect(await recover('after a rotation', store, c)).toBeLessThan(RECOVERED_MS);
      expect(await store.findMany([b.key, next.key])).toEqual([null, next]);

      expect(await store.deleteByUser('john', d.publicId)).toContain(c.publicId);
      await server.kill();
      await server.start();
      expect(await recover('after the end of all sessions', store, d)).toBeLessThan(RECOVERED_MS);
      expect(await store.listByUser('john')).toEqual([d]);
    });

    test('is frozen, and goes on', async () => {
      server.freeze();
      const start = performance.now();
      await unavailable(() => store.findMany([one.key]));
      expect(performance.now() - start).toBeLessThan(2500);
      server.thaw();
      expect(await recover('frozen for 2 s', store, one)).toBeLessThan(RECOVERED_MS);
    });

    test('cannot be heard, with all connections in use', async () => {
      await Promise.all(Array.from({ length: 8 }, async () => store.ping()));
      relay.silence();
      const start = performance.now();
      const results = await Promise.allSettled(
        Array.from({ length: 30 }, async () => store.findMany([one.key])),
      );
      expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['rejected']));
      expect(performance.now() - start).toBeLessThan(2500);
      await relay.heal();
      expect(await recover('blackhole for 2 s', store, one)).toBeLessThan(RECOVERED_MS);
    });

    test('cuts idle connections: nobody falls', async () => {
      await Promise.all(Array.from({ length: 8 }, async () => store.ping()));
      await server.ask(
        `select pg_terminate_backend(pid, 1000) from pg_stat_activity where usename = 'gateway'`,
      );
      expect(await recover('idle connections cut', store, one)).toBeLessThan(RECOVERED_MS);
    });

    test('a locked table holds up nobody for longer than 2 s, and leaves nothing behind', async () => {
      const locked = server.ask('begin; lock table proxy_sessions; select pg_sleep(60)').catch(() => []);
      await eventually(
        'it is locked',
        2000,
        async () =>
          (await server.ask(`select 1 from pg_locks where mode = 'AccessExclusiveLock' and granted`))
            .length || undefined,
      );
      const results = await Promise.allSettled(
        Array.from({ length: 12 }, async () => store.findMany([one.key])),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toEqual([]);
      await eventually('the statements are given up on the server, too', 3000, async () => {
        const waiting = await server.ask(
          `select 1 from pg_stat_activity where usename = 'gateway' and wait_event_type = 'Lock'`,
        );
        return waiting.length === 0 || undefined;
      });
      await server.ask(
        `select pg_terminate_backend(pid) from pg_locks where mode = 'AccessExclusiveLock' and granted`,
      );
      await locked;
      expect(await recover('locked table', store, one)).toBeLessThan(RECOVERED_MS);
    });

    test('has no room for more connections', async () => {
      await server.ask('alter role gateway connection limit 2');
      const busy = await open(relay.port);
      const results = await Promise.allSettled(
        Array.from({ length: 40 }, async () => busy.findMany([one.key])),
      );
      await server.ask('alter role gateway connection limit -1');
      expect(results.map(({ status }) => status)).toContain('fulfilled');
      expect(await recover('no connections left', busy, one)).toBeLessThan(RECOVERED_MS);
    });

    test('is set to read only: refused like a standby', async () => {
      const logger = recordingLogger();
      await server.ask(`alter role gateway set default_transaction_read_only = on`);
      const readOnly = await open(relay.port, {}, logger);
      await expect(async () => readOnly.findMany([one.key])).rejects.toThrow('is set to read only');
      await server.ask(`alter role gateway reset default_transaction_read_only`);
      expect(await recover('read only', readOnly, one)).toBeLessThan(RECOVERED_MS);
    });

    test('bounds what waits', async () => {
      const results = await Promise.allSettled(Array.from({ length: 1000 }, async () => store.ping()));
      const refused = results.filter(({ status }) => status === 'rejected');
      expect(refused.length).toBe(1000 - 8 * 64 - 1);
      await store.ping();
    });

    test('statements that lock the same rows in any order all succeed', async () => {
      const stores = [store, await open(relay.port), await open(relay.port)];
      const sessions = Array.from({ length: 60 }, () => record({ userId: 'crowd' }));
      for (const session of sessions) await store.insert(session);
      const touches = sessions.map(({ key }, at) => ({ key, at: 2000 + at }));
      await Promise.all(
        stores.map(async (each, i) => each.touchMany(i === 1 ? touches.toReversed() : touches)),
      );
      const ended = await Promise.all([
        ...stores.map(async (each) => each.deleteByUser('crowd')),
        ...stores.map(async (each) => {
          await each.touchMany(touches);
          return [];
        }),
      ]);
      expect(ended.flat().toSorted()).toEqual(sessions.map(({ publicId }) => publicId).toSorted());
    });

    test('sign out everywhere ends a session that is rotated at that moment', async () => {
      const other = await open(relay.port);
      for (let round = 0; round < 40; round++) {
        const before = record({ userId: 'hasty' });
        const after = { ...before, key: record().key, version: 2 };
        await store.insert(before);
        await Promise.all([store.replace(before.key, 1, after), other.deleteByUser('hasty')]);
        const left = await store.listByUser('hasty');
        if (left.length > 0) await store.deleteByUser('hasty');
        expect(left).toEqual([]);
      }
    });

    test('is swept by one process at a time', async () => {
      const stores = [store, await open(relay.port), await open(relay.port)];
      for (let i = 0; i < 50; i++) await store.insert(record({ userId: 'old', expiresAt: 10 }));
      await server.ask(`create function slow() returns trigger language plpgsql as
        'begin perform pg_sleep(0.01); return old; end'; create trigger slow before delete on proxy_sessions
        for each row when (old.user_id = 'old') execute function slow()`);
      const swept = await Promise.all(stores.map(async (each) => each.sweep(20, 20)));
      expect(swept.toSorted((a, b) => a - b)).toEqual([0, 0, 20]);
      await server.ask('drop function slow cascade');
      expect(await store.sweep(20, 100)).toBe(30);
    });

    test('reads 32 sessions at once', async () => {
      const sessions = Array.from({ length: 32 }, () =>
        record({ userId: 'many', sealed: random.bytes(400) }),
      );
      for (const session of sessions) await store.insert(session);
      const direct = await open(server.port);
      const keys = sessions.map(({ key }) => key);
      for (let i = 0; i < 100; i++) await direct.findMany(keys);
      const rounds = 300;
      const start = performance.now();
      for (let i = 0; i < rounds; i++) await direct.findMany(keys);
      const each = ((performance.now() - start) / rounds) * 1000;
      announce(`PostgreSQL, findMany of 32: ${Math.round(each)} µs`);
      expect(await direct.findMany(keys)).toEqual(sessions);
      await direct.deleteByUser('many');
    });
  });

  describe('behind pgbouncer', () => {
    let server: PostgresTestServer;
    let pgbouncer: Pgbouncer;
    beforeAll(async () => {
      server = await startPostgresServer();
      pgbouncer = await startPgbouncer(server.port);
    });
    afterAll(async () => {
      await pgbouncer?.stop();
      await server?.stop();
    });

    test('the bouncer is killed and comes back, then the server', async () => {
      const store = await open(pgbouncer.port);
      const one = record();
      await store.insert(one);
      await pgbouncer.restart();
      expect(await recover('pgbouncer restarted', store, one)).toBeLessThan(RECOVERED_MS);
      await server.shutDown();
      await unavailable(() => store.findMany([one.key]));
      await server.start();
      expect(await recover('server behind pgbouncer restarted', store, one)).toBeLessThan(RECOVERED_MS);
    });
  });

  describe('a primary and its standby', () => {
    let primary: PostgresTestServer;
    let standby: PostgresTestServer;
    beforeEach(async () => {
      primary = await startPostgresServer();
      standby = await startPostgresServer({ standbyOf: primary });
    });
    afterEach(async () => {
      await standby?.stop();
      await primary?.stop();
    });
    const both = (): [number, Readonly<Record<string, unknown>>] => [
      standby.port,
      { servers: [{ address: `tcp://127.0.0.1:${primary.port}` }] },
    ];
    const caughtUp = (session: StoredSession) =>
      eventually(
        'the standby has it',
        5000,
        async () =>
          (await standby.ask(`select 1 from proxy_sessions where public_id = '${session.publicId}'`))
            .length || undefined,
      );

    test('the primary is found, and its successor when it is killed', async () => {
      const logger = recordingLogger();
      const [port, over] = both();
      const store = await open(port, over, logger);
      const one = record();
      await store.insert(one);
      expect(logger.entries.map(({ message }) => message)).toContainEqual(
        expect.stringContaining('none of them synchronous'),
      );
      await caughtUp(one);
      await primary.kill();
      await expect(async () => store.findMany([one.key])).rejects.toThrow(StoreUnavailable);
      await sufferFor(1500, store);
      await standby.promote();
      expect(await recover('promotion after SIGKILL', store, one)).toBeLessThan(RECOVERED_MS);
      expect(await store.delete(one.key)).toBe(one.publicId);
    });

    test('a primary that is frozen does not hold up its successor', async () => {
      const [port, over] = both();
      const store = await open(port, over);
      const one = record();
      await store.insert(one);
      await caughtUp(one);
      primary.freeze();
      await unavailable(() => store.findMany([one.key]));
      await standby.promote();
      expect(await recover('promotion beside a frozen primary', store, one)).toBeLessThan(RECOVERED_MS);
      primary.thaw();
      expect(await store.delete(one.key)).toBe(one.publicId);
      expect(await store.findMany([one.key])).toEqual([null]);
    });

    test('a pgbouncer that leads to a standby is not believed, also when it led to the primary before', async () => {
      const relay = await openRelay(primary.port);
      const bouncer = await startPgbouncer(relay.port);
      try {
        const store = await open(bouncer.port);
        const one = record();
        await store.insert(one);
        await caughtUp(one);
        expect(await store.findMany([one.key])).toEqual([one]);
        await relay.cut();
        await relay.heal(standby.port);
        const said: string[] = [];
        await eventually('both ways of seeing it', 5000, async () => {
          const [result] = await Promise.allSettled([store.findMany([one.key])]);
          said.push(result.status === 'rejected' ? String(result.reason) : 'a stale answer');
          return (
            ['became a standby', 'is a standby'].every((text) => said.join().includes(text)) || undefined
          );
        });
        expect(said).not.toContain('a stale answer');
        await relay.cut();
        await relay.heal(primary.port);
        expect(await recover('pgbouncer leads to the primary again', store, one)).toBeLessThan(RECOVERED_MS);
      } finally {
        await bouncer.stop();
        await relay.close();
      }
    });
  });
});
