import { readFile, rm, writeFile } from 'node:fs/promises';

import { describe, expect, test } from 'vitest';

import { storeKeyOf } from '../../src/sessions/token.ts';
import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { exchange, requestBytes } from '../support/raw-http.ts';
import { missingRedis, type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { openRelay } from '../support/relay.ts';
import { missingHaproxy, startHaproxy } from './haproxy.ts';
import { runRow } from './run-row.ts';
import { keep, keepOpen, type Replica, startReplica, startReplicas } from './stage.ts';
import { ask, COOKIE, PRIVATE, sessionOf, signIn, signOut } from './visitor.ts';

/** Gateways over one Redis that are stopped, killed, frozen, replaced, and given what is broken. */

const missing = missingRedis() ?? missingHaproxy();
if (missing !== undefined && !mustBeComplete)
  announce(`SKIPPED: ${missing} is not installed (scripts/install-test-servers)`);

const sectionOf = ({ port }: { readonly port: number }): { readonly redis: object } => ({
  redis: { host: '127.0.0.1', port },
});
const startRedis = async (): Promise<RedisServer> => keep(await startRedisServer());
const portsOf = (replicas: readonly Replica[]): readonly number[] => replicas.map(({ port }) => port);

async function signedIn(port: number): Promise<string> {
  const cookie = sessionOf(await signIn(port));
  if (cookie === undefined) throw new Error('signing in set no cookie');
  return cookie;
}

/** Stops and starts one after the other, the next when the last is ready. */
async function rollOver(replicas: readonly Replica[], session?: object): Promise<void> {
  for (const replica of replicas) {
    await replica.stop();
    expect(replica.exitCode).toBe(0);
    await replica.start(session as Parameters<Replica['start']>[0]);
    await eventually('it is ready', 10_000, async () => {
      const { status } = await exchange(replica, requestBytes('GET', '/api/ready', [['Host', 'localhost']]));
      return status === 200 || undefined;
    });
  }
}

describe.skipIf(missing !== undefined && !mustBeComplete)('faults of gateways', () => {
  test('F30', async () => {
    const redis = await startRedis();
    const [replica] = await startReplicas(sectionOf(redis), 1);
    if (!replica) throw new Error('no gateway');
    const cookie = await signedIn(replica.port);
    redis.freeze();
    const under = Array.from({ length: 100 }, () => ask(replica.port, PRIVATE, cookie));
    // They have arrived when this one, sent last, is answered.
    expect((await ask(replica.port, PRIVATE)).status).toBe(302);
    const start = performance.now();
    const stopped = replica.stop();
    await eventually('it accepts no more', 2000, async () => {
      const refused = await ask(replica.port, PRIVATE).then(
        () => false,
        () => true,
      );
      return refused || undefined;
    });
    redis.thaw();
    const statuses = (await Promise.all(under)).map(({ status }) => status);
    await stopped;
    announce(
      `F30 SIGTERM with 100 requests under way: all answered, ended after ${Math.round(performance.now() - start)} ms`,
    );
    expect(statuses.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    expect(replica.exitCode).toBe(0);
  });

  test('F31', { timeout: 180_000 }, async () => {
    const redis = await startRedis();
    const relay = keepOpen(await openRelay(redis.port));
    const [dying, other] = await Promise.all([
      startReplica(sectionOf(relay)),
      startReplica(sectionOf(redis)),
    ]);
    const statusAt = async (replica: Replica, cookie: string): Promise<number> =>
      (await ask(replica.port, PRIVATE, cookie)).status;
    /** Does something while the gateway is killed at the n-th piece on its way to Redis or back; whether it was killed. */
    const killedAt = async (
      direction: 'requests' | 'answers',
      n: number,
      act: () => Promise<unknown>,
    ): Promise<boolean> => {
      let kill: Promise<void> | undefined;
      relay.swallow(direction, n, () => void (kill = dying.kill()));
      await act().catch(() => {});
      if (!kill) {
        await relay.heal();
        return false;
      }
      await kill;
      await relay.cut();
      await relay.heal();
      await dying.start();
      return true;
    };
    let kills = 0;
    for (const direction of ['requests', 'answers'] as const) {
      for (const action of ['login', 'logout'] as const) {
        for (let n = 0; ; n++) {
          const cookie = await signedIn(other.port);
          let status = 0;
          const act = async (): Promise<void> => {
            const answer = action === 'login' ? await signIn(dying.port) : await signOut(dying.port, cookie);
            ({ status } = answer);
          };
          const killed = await killedAt(direction, n, act);
          const where = `${action}, ${direction} ${n}`;
          if (killed) kills++;
          const seen = [await statusAt(dying, cookie), await statusAt(other, cookie)];
          expect(seen[0], `${where}: both see the same`).toBe(seen[1]);
          if (action === 'login' || status !== 200) expect([200, 302], where).toContain(seen[0]);
          if (action === 'login') expect(seen[0], `${where}: others keep their session`).toBe(200);
          if (action === 'logout' && status === 200) expect(seen[0], where).toBe(302);
          // Whoever does it again succeeds, and what was ended stays so.
          expect((await signOut(dying.port, cookie)).status, where).toBe(200);
          expect([await statusAt(dying, cookie), await statusAt(other, cookie)], where).toEqual([302, 302]);
          expect(await statusAt(other, await signedIn(dying.port)), where).toBe(200);
          if (!killed || status !== 0) break;
        }
      }
    }
    announce(`F31 killed in the middle of login and logout: ${kills} points, no half state`);
    expect(kills).toBeGreaterThanOrEqual(4);
  });

  test('F32', async () => {
    const redis = await startRedis();
    const replicas = await startReplicas(sectionOf(redis), 3);
    const ports = [await startHaproxy(portsOf(replicas))];
    const row = {
      id: 'F32',
      fault: 'three gateways behind HAProxy restarted one by one',
      ports,
      rate: 100,
      hasProxy: true,
    };
    await runRow({ ...row, refuses: 'nothing' }, () => rollOver(replicas));
  });

  test('F33', async () => {
    const redis = await startRedis();
    const replicas = await startReplicas(sectionOf(redis), 3);
    const ports = [await startHaproxy(portsOf(replicas))];
    const row = {
      id: 'F33',
      fault: 'one of three gateways behind HAProxy frozen',
      ports,
      hasProxy: true,
    } as const;
    await runRow({ ...row, refuses: 'writes' }, async ({ hold }) => {
      replicas[0]?.signal('SIGSTOP');
      await hold(3);
      replicas[0]?.signal('SIGCONT');
    });
  });

  test('F37', async () => {
    const redis = await startRedis();
    const [before, after] = ['the-secret-of-before', 'the-secret-of-after'];
    const secrets = (secret: string, accepted: readonly string[]): object => ({
      ...sectionOf(redis),
      secret,
      accepted_secrets: accepted,
    });
    const replicas = await startReplicas({ ...secrets(before, []) }, 3);
    const ports = [await startHaproxy(portsOf(replicas))];
    const row = { id: 'F37', fault: 'session secret changed in two rolls', ports, hasProxy: true } as const;
    await runRow({ ...row, refuses: 'nothing' }, async () => {
      await rollOver(replicas, secrets(before, [after]));
      await rollOver(replicas, secrets(after, [before]));
    });
  });

  test('F38', async () => {
    const redis = await startRedis();
    const [well, wrong] = (await startReplicas(sectionOf(redis))) as [Replica, Replica];
    const row = { id: 'F38', fault: 'a gateway with another session secret, then the right one' };
    await runRow({ ...row, ports: [well.port] }, async ({ load, hold }) => {
      /** What the other gateway says of the sessions that the load does not end meanwhile. */
      const seen = async (): Promise<readonly (number | string)[]> => {
        const answers = new Map<string, number | string>();
        for (const cookie of load.living()) {
          const answer = await ask(wrong.port, PRIVATE, cookie);
          answers.set(cookie, answer.header('set-cookie') ?? answer.status);
        }
        const living = load.living().filter((cookie) => answers.has(cookie));
        expect(living.length).toBeGreaterThan(3);
        return [...new Set(living.map((cookie) => answers.get(cookie) ?? ''))];
      };
      await wrong.stop();
      await wrong.start({ ...sectionOf(redis), secret: 'a-secret-that-nobody-else-has' });
      expect(await seen()).toEqual([503]);
      await hold();
      await wrong.stop();
      await wrong.start();
      expect(await seen()).toEqual([200]);
    });
  });

  test('F40', async () => {
    const redis = await startRedis();
    const replicas = await startReplicas(sectionOf(redis));
    const row = { id: 'F40', fault: 'records truncated, altered, swapped, huge, of another type' } as const;
    await runRow({ ...row, ports: portsOf(replicas), refuses: 'nothing' }, async ({ load, hold }) => {
      const cookies = load.living().slice(0, 6);
      const names = cookies.map(
        (cookie) => `sallyport:gateway:s:${storeKeyOf(cookie.slice(COOKIE.length + 1))}`,
      );
      for (const cookie of cookies) load.disregard(cookie);
      const [cut, flipped, huge, listed, swapped, source] = names as [
        string,
        string,
        string,
        string,
        string,
        string,
      ];
      await redis.ask(
        'EVAL',
        "redis.call('SET', KEYS[1], string.sub(redis.call('GET', KEYS[1]), 1, -20))",
        '1',
        cut,
      );
      await redis.ask(
        'EVAL',
        "local v = redis.call('GET', KEYS[1]) local n = #v - 30 redis.call('SETRANGE', KEYS[1], n, string.char((string.byte(v, n + 1) + 1) % 256))",
        '1',
        flipped,
      );
      await redis.ask('SET', huge, 'x'.repeat(1_000_000));
      await redis.ask('DEL', listed);
      await redis.ask('RPUSH', listed, 'x');
      await redis.ask('COPY', source, swapped, 'REPLACE');
      for (const { port } of replicas) {
        for (const cookie of cookies.slice(0, -1)) {
          expect((await ask(port, PRIVATE, cookie)).status).toBe(302);
        }
        expect((await ask(port, PRIVATE, cookies.at(-1))).status).toBe(200);
      }
      await hold();
    });
  });

  test('F43', async () => {
    const redis = await startRedis();
    const replicas = await startReplicas(sectionOf(redis));
    const [replica] = replicas;
    if (!replica) throw new Error('no gateway');
    const row = {
      id: 'F43',
      fault: 'configuration and users file broken, half-written, removed; read again',
      ports: portsOf(replicas),
    } as const;
    await runRow({ ...row, refuses: 'nothing' }, async ({ hold }) => {
      const reads = async (path: string, text: string | null): Promise<void> => {
        const said = replica.output().length;
        if (text === null) await rm(path);
        else await writeFile(path, text);
        replica.signal('SIGHUP');
        await eventually(
          'it says that nothing changed',
          10_000,
          () => /last good|stay/.test(replica.output().slice(said)) || undefined,
        );
      };
      for (const path of [replica.configurationFile, replica.usersFile]) {
        const good = await readFile(path, 'utf8');
        await reads(path, '{ this is: [no configuration');
        await reads(path, good.slice(0, good.length / 2));
        await reads(path, null);
        await writeFile(path, good);
      }
      const said = replica.output().length;
      replica.signal('SIGHUP');
      await eventually(
        'the good files are read',
        10_000,
        () => replica.output().slice(said).includes('reloaded') || undefined,
      );
      await hold();
    });
  });
});
