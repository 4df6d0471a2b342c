import { describe, test } from 'vitest';

import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { type RedisSentinels, startRedisSentinels } from '../support/redis-sentinels.ts';
import { missingRedis, type RedisServer } from '../support/redis-server.ts';
import { runRow } from './run-row.ts';
import { keep, startReplicas } from './stage.ts';

/** Two gateways, a master with two replicas, three Sentinels. */

const missing = missingRedis();
if (missing !== undefined && !mustBeComplete)
  announce(`SKIPPED: ${missing} is not installed (scripts/install-test-servers)`);

/** From the election to the first good answer: one second, and what a busy machine adds. */
const AFTER_ELECTION_MS = 2500;

interface Stage {
  readonly cluster: RedisSentinels;
  readonly master: RedisServer;
  readonly ports: readonly number[];
  /** Until a Sentinel names another master than the first. */
  elected(): Promise<void>;
}

async function stage(): Promise<Stage> {
  const cluster = keep(await startRedisSentinels());
  const replicas = await startReplicas({ redis: cluster.section });
  const master = cluster.servers[0] as RedisServer;
  return {
    cluster,
    master,
    ports: replicas.map(({ port }) => port),
    elected: async () => {
      await eventually('another master is elected', 40_000, async () => {
        const named = await Promise.all(
          cluster.sentinels.map((sentinel) =>
            sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'sessions').catch(() => null),
          ),
        );
        return named.some((reply) => Array.isArray(reply) && Number(reply[1]) !== master.port) || undefined;
      });
    },
  };
}

describe.skipIf(missing !== undefined && !mustBeComplete)('faults of Redis behind Sentinels', () => {
  test('F03', async () => {
    const { master, ports, elected } = await stage();
    const row = { id: 'F03', fault: 'Sentinel: master killed', ports, recovery: AFTER_ELECTION_MS };
    await runRow(row, async () => {
      await master.kill();
      await elected();
    });
  });

  test('F04', async () => {
    const { master, ports, elected } = await stage();
    const row = { id: 'F04', fault: 'Sentinel: master frozen, thawed as a stale one', ports };
    await runRow({ ...row, recovery: AFTER_ELECTION_MS }, async ({ over, hold }) => {
      master.freeze();
      await elected();
      over();
      await hold();
      master.thaw();
      await hold();
    });
  });

  test('F05', async () => {
    const { cluster, ports, elected } = await stage();
    const row = { id: 'F05', fault: 'Sentinel: planned failover', ports, refuses: 'anything' } as const;
    await runRow({ ...row, recovery: AFTER_ELECTION_MS }, async () => {
      await cluster.sentinels[0]?.ask('SENTINEL', 'FAILOVER', 'sessions');
      await elected();
    });
  });

  test('F06', async () => {
    const { cluster, ports } = await stage();
    const row = { id: 'F06', fault: 'Sentinel: one Sentinel and one replica killed', ports } as const;
    await runRow({ ...row, refuses: 'nothing' }, async ({ hold }) => {
      await cluster.sentinels[2]?.kill();
      await cluster.servers[2]?.kill();
      await hold(2);
    });
  });

  test('F07', async () => {
    const { cluster, ports } = await stage();
    const row = { id: 'F07', fault: 'Sentinel: all Sentinels killed, master well', ports } as const;
    await runRow({ ...row, refuses: 'writes' }, async ({ hold }) => {
      for (const sentinel of cluster.sentinels) await sentinel.kill();
      await hold(2);
      for (const sentinel of cluster.sentinels) await sentinel.restart();
    });
  });

  test('F07b', async () => {
    const { cluster, master, ports } = await stage();
    const row = {
      id: 'F07b',
      fault: 'Sentinel: all Sentinels killed, then every connection to the master cut',
    };
    await runRow({ ...row, ports }, async ({ hold }) => {
      for (const sentinel of cluster.sentinels) await sentinel.kill();
      await hold();
      await master.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await hold();
      for (const sentinel of cluster.sentinels) await sentinel.restart();
    });
  });

  test('F08', async () => {
    const { cluster, master, ports, elected } = await stage();
    const row = { id: 'F08', fault: 'Sentinel: no majority while the master dies', ports };
    await runRow({ ...row, recovery: AFTER_ELECTION_MS }, async ({ hold }) => {
      const [first, second] = cluster.sentinels;
      await Promise.all([first?.kill(), second?.kill()]);
      await master.kill();
      await hold(2);
      await Promise.all([first?.restart(), second?.restart()]);
      await elected();
    });
  });
});
