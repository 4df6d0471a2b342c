import { expect, test } from 'vitest';

import { createTurns } from '../../../src/lib/turns.ts';

/** A job that ends when it is told to. */
function heldJob(log: string[], name: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const job = (): Promise<string> => {
    log.push(name);
    return promise;
  };
  return { job, finish: () => resolve(name), fail: () => reject(new Error(name)) };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('jobs with a common key run one after another, others at once', async () => {
  const turns = createTurns();
  const log: string[] = [];
  const [a, ab, b, c] = ['a', 'ab', 'b', 'c'].map((name) => heldJob(log, name));
  if (!a || !ab || !b || !c) throw new Error('no jobs');
  const results = [
    turns.take(['a'], a.job),
    turns.take(['a', 'b'], ab.job),
    turns.take(['b'], b.job),
    turns.take(['c'], c.job),
  ];
  await turn();
  expect(log).toEqual(['a', 'c']);
  a.finish();
  await turn();
  expect(log).toEqual(['a', 'c', 'ab']);
  c.finish();
  ab.finish();
  await turn();
  expect(log).toEqual(['a', 'c', 'ab', 'b']);
  b.finish();
  expect(await Promise.all(results)).toEqual(['a', 'ab', 'b', 'c']);
});

test('a job that fails or throws holds up nobody', async () => {
  const turns = createTurns();
  const log: string[] = [];
  const first = heldJob(log, 'first');
  const failed = turns.take(['a'], first.job);
  const thrown = turns.take(['a'], () => {
    throw new Error('thrown');
  });
  const last = turns.take(['a'], async () => 'last');
  first.fail();
  await expect(failed).rejects.toThrow('first');
  await expect(thrown).rejects.toThrow('thrown');
  expect(await last).toBe('last');
});

test('settled waits for what was asked for so far', async () => {
  const turns = createTurns();
  await turns.settled();
  const log: string[] = [];
  const held = heldJob(log, 'held');
  const result = turns.take(['a'], held.job);
  const settled = turns.settled().then(() => log.push('settled'));
  await turn();
  expect(log).toEqual(['held']);
  held.finish();
  await settled;
  expect(log).toEqual(['held', 'settled']);
  expect(await result).toBe('held');
});
