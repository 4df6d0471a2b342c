import { describe, expect, test } from 'vitest';

import { createSettling } from '../../../src/lib/redis/settling.ts';
import type { Replacement } from '../../../src/lib/redis/source.ts';
import {
  type RedisCommand,
  type RedisConnection,
  redisAddress,
  type RedisReply,
} from '../../../src/lib/redis.ts';

/** Writes that wait for a replica, over a server whose every reply is given by hand. */

interface Asked {
  readonly command: RedisCommand;
  readonly reply: (value: RedisReply | Error) => void;
}

function stand(): {
  readonly asked: Asked[];
  readonly names: () => string[];
  readonly sentinels: { replacement: Replacement; answer: boolean; master: number; rounds: number };
  readonly settle: (command: RedisCommand) => Promise<RedisReply>;
  readonly state: { connected: boolean; demoted: number };
} {
  const asked: Asked[] = [];
  const sentinels = { replacement: 'possible' as Replacement, answer: true, master: 1, rounds: 0 };
  const state = { connected: true, demoted: 0 };
  const connection: RedisConnection = {
    fault: null,
    send: (command) =>
      new Promise((resolve, reject) => {
        asked.push({
          command,
          reply: (value) => (value instanceof Error ? reject(value) : resolve(value)),
        });
      }),
    subscribe: async () => {},
    close() {},
  };
  const { settle } = createSettling({
    source: {
      address: () => redisAddress('master', sentinels.master),
      replacement: () => sentinels.replacement,
      async askNow() {
        sentinels.rounds++;
        return sentinels.answer;
      },
    },
    findLane() {
      if (!state.connected) throw new Error('not connected');
      return { connection, address: redisAddress('master', 1) };
    },
    onReadOnly: () => void state.demoted++,
  });
  return { asked, names: () => asked.map(({ command }) => String(command[0])), sentinels, settle, state };
}

/** Until everything that can go on has. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const outcome = async (one: Promise<RedisReply>): Promise<RedisReply> =>
  one.catch((error: Error) => `refused: ${error.message}`);

describe('settling', () => {
  test('all of one turn share one WAIT and one question; what comes meanwhile makes the next round', async () => {
    const { asked, names, sentinels, settle } = stand();
    const first = [settle(['A']), settle(['B'])];
    await settled();
    expect(names()).toEqual(['A', 'B', 'WAIT']);
    const second = [settle(['C']), settle(['D'])];
    await settled();
    expect(names()).toHaveLength(3);
    for (const [i, value] of [1, 2, 1].entries()) asked[i]?.reply(value);
    expect(await Promise.all(first)).toEqual([1, 2]);
    expect(names().slice(3)).toEqual(['C', 'D', 'WAIT']);
    for (const { reply } of asked.slice(3)) reply(1);
    expect(await Promise.all(second)).toEqual([1, 1]);
    expect(sentinels.rounds).toBe(2);
  });

  test('what the server refuses is refused alone, and at once', async () => {
    const { asked, settle, state } = stand();
    const [well, ill] = [settle(['A']), settle(['B'])];
    await settled();
    asked[1]?.reply(new Error('READONLY a replica'));
    expect(await outcome(ill)).toBe('refused: READONLY a replica');
    expect(state.demoted).toBe(1);
    asked[0]?.reply('OK');
    asked[2]?.reply(1);
    expect(await well).toBe('OK');
  });

  test.each([
    ['no replica has it', { replicas: 0 }, 'no replica has confirmed the write'],
    ['the connection falls', { replicas: new Error('fallen') }, 'fallen'],
    ['a Sentinel is silent', { answer: false }, 'a Sentinel does not say whether the master stays'],
    ['a failover is under way', { replacement: 'under way' }, 'another server is becoming master'],
    ['another one is master', { master: 2 }, 'another server is becoming master'],
  ] as const)('refused when %s, and the next round starts anew', async (_, how, why) => {
    const { asked, sentinels, settle } = stand();
    const one = settle(['A']);
    await settled();
    const { replicas, ...said } = { replicas: 1, ...how };
    Object.assign(sentinels, said);
    asked[0]?.reply(1);
    asked[1]?.reply(replicas);
    expect(await outcome(one)).toContain(`refused: ${why}`);
    Object.assign(sentinels, { replacement: 'possible', answer: true, master: 1 });
    const next = settle(['B']);
    await settled();
    for (const { reply } of asked.slice(2)) reply(1);
    expect(await next).toBe(1);
  });

  test('without a connection all are refused at once, and served when it is there', async () => {
    const { asked, settle, state } = stand();
    state.connected = false;
    expect(await Promise.all([settle(['A']), settle(['B'])].map(outcome))).toEqual(
      Array.from({ length: 2 }, () => 'refused: not connected'),
    );
    state.connected = true;
    const one = settle(['C']);
    await settled();
    for (const { reply } of asked) reply(1);
    expect(await one).toBe(1);
  });
});
