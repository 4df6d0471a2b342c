import { mkdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { missingRedis, type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { openRelay, type Relay } from '../support/relay.ts';
import { runRow } from './run-row.ts';
import { keep, keepOpen, type Replica, startReplicas } from './stage.ts';

/** Two gateways over one Redis that dies, stalls, fills up, forgets, or lets nobody in. */

const missing = missingRedis();
if (missing !== undefined && !mustBeComplete)
  announce(`SKIPPED: ${missing} is not installed (scripts/install-test-servers)`);

interface Stage {
  readonly redis: RedisServer;
  readonly relay: Relay;
  readonly replicas: readonly Replica[];
  readonly ports: readonly number[];
}

async function stage(lines: readonly string[] = [], over: object = {}): Promise<Stage> {
  const redis = keep(await startRedisServer({ lines }));
  const relay = keepOpen(await openRelay(redis.port));
  const replicas = await startReplicas({ redis: { host: '127.0.0.1', port: relay.port, ...over } });
  return { redis, relay, replicas, ports: replicas.map(({ port }) => port) };
}

describe.skipIf(missing !== undefined && !mustBeComplete)('faults of one Redis', () => {
  test('F01', async () => {
    const { redis, ports } = await stage();
    const row = { id: 'F01', fault: 'Redis killed, back without its data', ports, mayLose: true };
    const { lost } = await runRow(row, async ({ hold }) => {
      await redis.kill();
      await hold();
      await redis.restart();
    });
    expect(lost).toBeGreaterThan(0);
  });

  test('F02', async () => {
    const { redis, ports } = await stage(['appendonly yes', 'appendfsync always']);
    await runRow(
      { id: 'F02', fault: 'Redis killed, back with its append-only file', ports },
      async ({ hold }) => {
        await redis.kill();
        await hold();
        await redis.restart();
      },
    );
  });

  test('F09', async () => {
    const { relay, ports } = await stage();
    await runRow({ id: 'F09', fault: 'Redis not heard any more (black hole)', ports }, async ({ hold }) => {
      relay.silence();
      await hold(2);
      await relay.heal();
    });
  });

  test('F09b', async () => {
    const { redis, ports } = await stage();
    await runRow({ id: 'F09b', fault: 'Redis frozen (SIGSTOP) and thawed', ports }, async ({ hold }) => {
      redis.freeze();
      await hold(2);
      redis.thaw();
    });
  });

  test.each([
    ['F11a', '200 ms slower', { delayMs: 100 }, 'nothing'],
    ['F11b', '2 s slower', { delayMs: 1000 }, 'anything'],
    ['F11c', '10 kB/s', { bytesPerSecond: 10_000 }, 'anything'],
  ] as const)('%s', async (id, how, slowness, refuses) => {
    const { relay, ports } = await stage();
    await runRow({ id, fault: `Redis ${how}`, ports, refuses }, async ({ hold }) => {
      relay.slow(slowness);
      await hold(2);
      await relay.heal();
    });
  });

  test('F12', async () => {
    const { redis, ports } = await stage();
    const row = { id: 'F12', fault: 'Redis full, noeviction', ports, refuses: 'writes' } as const;
    const { refused } = await runRow(row, async ({ hold }) => {
      await redis.ask('CONFIG', 'SET', 'maxmemory', '1mb');
      await hold(2);
      await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    });
    expect(refused).toBeGreaterThan(0);
  });

  test('F13', async () => {
    const { redis, ports, replicas } = await stage(['maxmemory 100mb', 'maxmemory-policy allkeys-lru']);
    await eventually(
      'it warns of the policy',
      5000,
      () => replicas[0]?.output().includes('allkeys-lru') || undefined,
    );
    const row = { id: 'F13', fault: 'Redis evicts sessions (allkeys-lru)', ports, mayLose: true };
    const { lost } = await runRow({ ...row, refuses: 'nothing' }, async ({ hold }) => {
      const info = String(await redis.ask('INFO', 'memory'));
      const used = Number(/used_memory:(\d+)/.exec(info)?.[1]);
      await redis.ask('CONFIG', 'SET', 'maxmemory', String(used + 20_000));
      for (let n = 0; n < 200; n++) await redis.ask('SET', `junk:${n}`, 'x'.repeat(2000));
      await hold();
      await redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    });
    expect(lost).toBeGreaterThan(0);
  });

  test('F14a', async () => {
    const { redis, ports } = await stage();
    await runRow({ id: 'F14a', fault: 'Redis turned into a replica (READONLY)', ports }, async ({ hold }) => {
      await redis.ask('REPLICAOF', '127.0.0.1', '1');
      await hold(2);
      await redis.ask('REPLICAOF', 'NO', 'ONE');
    });
  });

  test('F14b', async () => {
    const { redis, ports } = await stage(['save 3600 1']);
    const row = { id: 'F14b', fault: 'Redis cannot save (MISCONF)', ports, refuses: 'writes' } as const;
    const { refused } = await runRow(row, async ({ begin, hold }) => {
      const inTheWay = join(dirname(redis.socket), 'dump.rdb');
      const saved = async (status: string): Promise<void> => {
        await redis.ask('BGSAVE');
        await eventually(
          `the state of saving is ${status}`,
          5000,
          async () =>
            String(await redis.ask('INFO', 'persistence')).includes(`rdb_last_bgsave_status:${status}`) ||
            undefined,
        );
      };
      await mkdir(join(inTheWay, 'x'), { recursive: true });
      await saved('err');
      begin();
      await hold(2);
      await rmdir(join(inTheWay, 'x'));
      await rmdir(inTheWay);
      await saved('ok');
    });
    expect(refused).toBeGreaterThan(0);
  });

  test('F14c', async () => {
    const { redis, ports } = await stage([
      'enable-debug-command yes',
      'loading-process-events-interval-bytes 1024',
    ]);
    const row = { id: 'F14c', fault: 'Redis reads its data again (LOADING)', ports };
    const { refused } = await runRow(row, async () => {
      const keys = Number(await redis.ask('DBSIZE'));
      await redis.ask('CONFIG', 'SET', 'key-load-delay', String(Math.ceil(1_500_000 / keys)));
      await redis.ask('DEBUG', 'RELOAD');
    });
    expect(refused).toBeGreaterThan(0);
  });

  test('F15', async () => {
    const { redis, ports, replicas } = await stage([], { password: 'the password of before' });
    const row = { id: 'F15', fault: 'Redis with another password (WRONGPASS), then the right one', ports };
    await runRow(row, async ({ hold }) => {
      await redis.ask('CONFIG', 'SET', 'requirepass', 'the password of after');
      await redis.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await hold(2);
      await redis.ask('CONFIG', 'SET', 'requirepass', 'the password of before');
    });
    for (const replica of replicas) {
      const said = replica
        .output()
        .split('\n')
        .filter((line) => line.includes('WRONGPASS'));
      expect(said.length).toBeGreaterThan(0);
      // Beside those of people who could not sign in or out.
      const ofItself = said.filter((line) => /is out of reach|authorization is unavailable/.test(line));
      expect(ofItself.length, 'no busy loop').toBeLessThan(20);
      expect(replica.output()).not.toContain('the password of');
    }
  });
});
