/** Figures that are no ratio: memory, starts, logins, and what a store is asked. */
import { setTimeout as pause } from 'node:timers/promises';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { RedisServer } from '../test/support/redis-server.ts';
import { signIn, startGateway } from './gateways.ts';
import { askFor, percentile, type Subject } from './measure.ts';
import { fiftyRules, hostOf } from './policies.ts';
import { memoryOf, SERVER_CORE, treeOf } from './processes.ts';
import { requestFile } from './requests.ts';

/** By name; the unit stands in the name. */
export type Single = Readonly<Record<string, number>>;

/** What Redis did for the authorizations of three seconds: calls of all commands, new connections, writes of records. */
export async function measureRedis(redis: RedisServer, subject: Subject): Promise<Single> {
  const look = async (): Promise<{ calls: Map<string, number>; connections: number }> => {
    const commands = String(await redis.ask('INFO', 'commandstats'));
    const stats = String(await redis.ask('INFO', 'stats'));
    return {
      calls: new Map(
        [...commands.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name = '', calls]) => [
          name,
          Number(calls),
        ]),
      ),
      connections: Number(/^total_connections_received:(\d+)/m.exec(stats)?.[1]),
    };
  };
  const before = await look();
  const { requests } = await askFor(3, subject);
  const after = await look();
  const called = (name: string): number => (after.calls.get(name) ?? 0) - (before.calls.get(name) ?? 0);
  const all = [...after.calls.keys()].filter((name) => name !== 'info');
  const writes = ['set', 'getset', 'eval', 'evalsha', 'del', 'unlink', 'hset', 'expire', 'pexpire'];
  return {
    'Redis commands for each authorization': all.reduce((sum, name) => sum + called(name), 0) / requests,
    'Redis connections opened meanwhile': after.connections - before.connections,
    'records written meanwhile': writes.reduce((sum, name) => sum + called(name), 0),
    'activity writes (ZADD) a second': called('zadd') / 3,
  };
}

export async function measureLife(
  command: string,
  folder: string,
  { say }: { readonly say: (text: string) => void },
): Promise<Single> {
  return {
    ...(await measureStarts(command, folder, say)),
    ...(await measureGrowth(command, folder, say)),
    ...(await measureLogins(command, folder, say)),
  };
}

const STARTS = 9;

/** One core; the first start fills the cache of compiled code and does not count. */
async function measureStarts(command: string, folder: string, say: (text: string) => void): Promise<Single> {
  say('starts');
  const starts: number[] = [];
  const memory: number[] = [];
  for (let index = 0; index <= STARTS; index++) {
    const gateway = await startGateway(command, folder, String(SERVER_CORE), {
      name: `start-${index}`,
      rules: fiftyRules,
    });
    if (index > 0) starts.push(gateway.startedIn);
    await pause(1000);
    memory.push(memoryOf(treeOf(gateway.pid)));
    await gateway.stop();
  }
  return {
    'start to first answer, ms': percentile(starts, 0.5),
    'idle memory, MB': percentile(memory, 0.5),
  };
}

const ANONYMOUS = 100_000;

async function measureGrowth(command: string, folder: string, say: (text: string) => void): Promise<Single> {
  say('anonymous visitors');
  const gateway = await startGateway(command, folder, String(SERVER_CORE), {
    name: 'growth',
    rules: fiftyRules,
  });
  try {
    const requests = join(folder, 'anonymous');
    writeFileSync(requests, requestFile({ endpoint: 'auth-request', host: hostOf, cookie: () => null }));
    const subject = { url: `http://127.0.0.1:${gateway.port}/`, requests };
    // Until the young generation and the compiled code are as large as they get.
    await askFor(4, subject);
    await pause(2000);
    const before = memoryOf([gateway.pid]);
    let asked = 0;
    while (asked < ANONYMOUS) asked += (await askFor(2, subject)).requests;
    await pause(2000);
    const grown = memoryOf([gateway.pid]) - before;
    return { 'memory growth by 100,000 anonymous requests, MB': (grown * ANONYMOUS) / asked };
  } finally {
    await gateway.stop();
  }
}

const LOGINS = 32;

/** All at once, while decisions are asked for from 8 connections, a hundred a second each. */
async function measureLogins(command: string, folder: string, say: (text: string) => void): Promise<Single> {
  say('logins');
  const gateway = await startGateway(command, folder, '0,1', {
    name: 'logins',
    rules: fiftyRules,
    dearPasswords: true,
  });
  try {
    const cookie = await signIn(gateway, 0);
    const requests = join(folder, 'while-logins');
    writeFileSync(requests, requestFile({ endpoint: 'auth-request', host: hostOf, cookie: () => cookie }));
    const subject = { url: `http://127.0.0.1:${gateway.port}/`, requests, connections: 8 };
    await askFor(2, subject, 10);
    const begun = performance.now();
    let last = 0;
    const logins = Promise.allSettled(
      Array.from({ length: LOGINS }, async (_, index) => {
        await signIn(gateway, index);
        last = performance.now() - begun;
      }),
    );
    const decisions = await askFor(4, subject, 10);
    const settled = await logins;
    return {
      'logins that succeeded of 32 at once': settled.filter(({ status }) => status === 'fulfilled').length,
      'the last of them after, ms': last,
      'most memory meanwhile, MB': memoryOf([gateway.pid], 'VmHWM'),
      'decisions meanwhile, p50, ms': decisions.p50 / 1000,
      'decisions meanwhile, p99, ms': decisions.p99 / 1000,
      'decisions meanwhile that failed': decisions.failed + decisions.refused,
    };
  } finally {
    await gateway.stop();
  }
}
