import { describe, expect, test } from 'vitest';

import { coalesceReads } from '../../../src/sessions/coalesced-reads.ts';
import { type StoredSession, StoreUnavailable } from '../../../src/sessions/store.ts';

const session = (key: string): StoredSession => ({
  key,
  version: 1,
  publicId: `id of ${key}`,
  userId: 'john',
  sid: null,
  createdAt: 0,
  expiresAt: 1,
  lastActivity: 0,
  sealed: Buffer.of(1),
});

function setUp(known: readonly string[], failure?: Error) {
  const asked: (readonly string[])[] = [];
  const find = coalesceReads({
    findMany(keys) {
      asked.push(keys);
      if (failure) return Promise.reject(failure);
      return Promise.resolve(keys.map((key) => (known.includes(key) ? session(key) : null)));
    },
  });
  return { asked, find };
}

describe('coalesced reads', () => {
  test('all look-ups of one turn are one read, each key once, each with its own answer', async () => {
    const { asked, find } = setUp(['a', 'c']);
    const found = await Promise.all(['a', 'b', 'a', 'c'].map(find));
    expect(found.map((one) => one?.key ?? null)).toEqual(['a', null, 'a', 'c']);
    expect(asked).toEqual([['a', 'b', 'c']]);
  });

  test('a later turn asks again: no answer is kept', async () => {
    const { asked, find } = setUp(['a']);
    await find('a');
    await find('a');
    expect(asked).toEqual([['a'], ['a']]);
  });

  test('what comes while a read is under way is a read of its own', async () => {
    const asked: string[][] = [];
    const answers: (() => void)[] = [];
    const find = coalesceReads({
      findMany(keys) {
        asked.push([...keys]);
        return new Promise((resolve) => void answers.push(() => resolve(keys.map(() => null))));
      },
    });
    const first = find('a');
    await new Promise((resolve) => void setImmediate(resolve));
    const second = find('a');
    await new Promise((resolve) => void setImmediate(resolve));
    expect(asked).toEqual([['a'], ['a']]);
    for (const answer of answers) answer();
    expect(await Promise.all([first, second])).toEqual([null, null]);
  });

  test('more keys than a batch holds are several reads', async () => {
    const { asked, find } = setUp([]);
    await Promise.all(Array.from({ length: 600 }, (_, i) => find(`key ${i}`)));
    expect(asked.map((keys) => keys.length)).toEqual([256, 256, 88]);
  });

  test('a failure reaches everybody who asked', async () => {
    const { find } = setUp([], new StoreUnavailable('down'));
    const results = await Promise.allSettled([find('a'), find('b')]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  });
});
