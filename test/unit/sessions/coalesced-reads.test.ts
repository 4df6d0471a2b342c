import { describe, expect, test } from 'vitest';

import { coalesce } from '../../../src/sessions/coalesced-reads.ts';
import type { Timers } from '../../../src/lib/timers.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../../../src/sessions/store.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

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

const finder = (findMany: SessionStore['findMany'], timers: Timers) => {
  const ask = coalesce(findMany, timers);
  return (key: string) => ask(key, (found) => found);
};

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

function setUp(known: readonly string[], failure?: Error) {
  const asked: (readonly string[])[] = [];
  const findMany = (keys: readonly string[]): Promise<(StoredSession | null)[]> => {
    asked.push(keys);
    if (failure) return Promise.reject(failure);
    return Promise.resolve(keys.map((key) => (known.includes(key) ? session(key) : null)));
  };
  return { asked, find: finder(findMany, fakeTimers()) };
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

  describe('what comes while a read is under way', () => {
    const hanging = () => {
      const asked: string[][] = [];
      const answers: (() => void)[] = [];
      const timers = fakeTimers();
      const find = finder((keys) => {
        asked.push([...keys]);
        return new Promise((resolve) => void answers.push(() => resolve(keys.map(() => null))));
      }, timers);
      return { asked, answers, timers, find };
    };

    test('waits for it and is then asked all at once, never answered with it', async () => {
      const { asked, answers, timers, find } = hanging();
      const first = find('a');
      await turn();
      const later = [find('a')];
      await turn();
      later.push(find('b'));
      await turn();
      expect(asked).toEqual([['a']]);
      answers[0]?.();
      await first;
      await turn();
      expect(asked).toEqual([['a'], ['a', 'b']]);
      expect(timers.pending).toBe(0);
      answers[1]?.();
      expect(await Promise.all(later)).toEqual([null, null]);
    });

    test('waits a few milliseconds at most', async () => {
      const { asked, answers, timers, find } = hanging();
      const all = [find('a')];
      await turn();
      all.push(find('b'));
      await turn();
      timers.advance(2);
      expect(asked).toEqual([['a']]);
      timers.advance(1);
      expect(asked).toEqual([['a'], ['b']]);
      for (const answer of answers) answer();
      expect(await Promise.all(all)).toEqual([null, null]);
    });

    test('goes on after one that failed, or that a store refused at once', async () => {
      const timers = fakeTimers();
      let asked = 0;
      const find = finder(() => {
        if (asked++ === 0) throw new StoreUnavailable('down');
        return [null];
      }, timers);
      await expect(find('a')).rejects.toThrow('down');
      expect(await find('a')).toBeNull();
    });
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
