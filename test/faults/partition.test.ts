import { describe, expect, test } from 'vitest';

import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { startRedisSentinels } from '../support/redis-sentinels.ts';
import { missingRedis, type RedisServer } from '../support/redis-server.ts';
import { openRelay, type Relay } from '../support/relay.ts';
import { runRow } from './run-row.ts';
import { keep, keepOpen, startReplica } from './stage.ts';
import { signIn } from './visitor.ts';

/**
 * A network in two halves: the master and gateway A in one, the replicas, the Sentinels and gateway B in the other. All
 * live on one machine, so each way between the halves is a relay, and A, for whom the master must stay where it is while
 * it is gone for all others, has a loopback address of its own: at 127.0.0.2 it finds each server at the port that the
 * others know, and the Sentinels name that address to it.
 */

const missing = missingRedis() ?? (process.platform === 'linux' ? undefined : 'a second loopback address');
if (missing !== undefined && !mustBeComplete)
  announce(`SKIPPED: there is no ${missing} (scripts/install-test-servers)`);

const [HERE, THERE] = ['127.0.0.1', '127.0.0.2'] as const;
/** Longer than a gateway needs to see that it is cut off (see docs/faults.md). */
const DOWN_AFTER_MS = 3000;

describe.skipIf(missing !== undefined && !mustBeComplete)('a network in two halves', () => {
  test('F10', async () => {
    const ways: Relay[] = [];
    const way = async (...path: Parameters<typeof openRelay>): Promise<Relay> => {
      const relay = keepOpen(await openRelay(...path));
      ways.push(relay);
      return relay;
    };
    const cluster = keep(
      await startRedisSentinels({
        downAfter: DOWN_AFTER_MS,
        wayToMaster: async (port) => (await way(port)).port,
      }),
    );
    const [master, ...copies] = cluster.servers as [RedisServer, ...RedisServer[]];
    const known = await cluster.masterPort();
    keepOpen(await openRelay(master.port, { at: { host: THERE, port: known } }));
    for (const { port } of copies) await way(port, { at: { host: THERE, port } });
    for (const { port } of cluster.sentinels)
      await way(port, { at: { host: THERE, port }, translates: [HERE, THERE] });

    const ofA = JSON.parse(JSON.stringify(cluster.section).replaceAll(HERE, THERE)) as object;
    const [a, b] = await Promise.all([
      startReplica({ redis: ofA }),
      startReplica({ redis: cluster.section }),
    ]);
    const row = {
      id: 'F10',
      fault: 'Sentinel: master and one gateway cut off from replicas, Sentinels and the other gateway',
      ports: [a.port, b.port],
    };
    const { refused } = await runRow(row, async ({ load, hold }) => {
      for (const one of ways) one.silence();
      await eventually('the replicas have another master', 20_000, async () => {
        return (await cluster.masterPort()) !== known || undefined;
      });
      await eventually(
        'B lets people in again',
        5000,
        async () => (await signIn(b.port)).status === 200 || undefined,
      );
      await hold(2);
      const since = performance.now() - 500;
      const taken = load.answers.filter(
        (one) => one.port === a.port && one.sentAt > since && one.status === 200,
      );
      expect(taken.filter(({ kind }) => kind !== 'bypass')).toEqual([]);
      expect((await signIn(a.port)).status).toBe(503);
      for (const one of ways) await one.heal();
    });
    expect(refused).toBeGreaterThan(0);
  });
});
