import { describe, expect, test } from 'vitest';

import { guardStore } from '../../../src/sessions/guarded-store.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../../../src/sessions/store.ts';
import { seededRandom } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A store that answers when it is told to, and a guard in front of it. */
function setUp(options: Parameters<typeof guardStore>[1] = {}) {
  const timers = fakeTimers();
  const states: string[] = [];
  let asked = 0;
  let answer: () => Promise<readonly (StoredSession | null)[]> = () => Promise.resolve([null]);
  const down = (): Promise<never> => Promise.reject(new StoreUnavailable('connection refused'));
  const never = (): Promise<never> => new Promise(() => {});
  const fake = {
    findMany() {
      asked++;
      return answer();
    },
    async ping() {
      await answer();
    },
    insert: () => answer().then(() => true),
    close: () => Promise.resolve(),
  };
  const store = guardStore(fake as unknown as SessionStore, options, {
    timers,
    random: seededRandom('guard'),
    onState: (state) => states.push(state),
  });
  const find = async (): Promise<unknown> => store.findMany(['key']);
  return {
    timers,
    states,
    store,
    find,
    down,
    never,
    asked: () => asked,
    becomes: (next: typeof answer) => {
      answer = next;
    },
  };
}

describe('the deadline', () => {
  test('a store that does not answer is unavailable after it, and what it answers later is not believed', async () => {
    const { find, timers, becomes } = setUp({ deadline: 500 });
    let answerLate: (found: readonly null[]) => void = () => {};
    becomes(() => new Promise((resolve) => void (answerLate = resolve)));
    const found = find();
    timers.advance(499);
    const early = Promise.race([found, settled().then(() => 'still waiting')]);
    expect(await early).toBe('still waiting');
    timers.advance(1);
    await expect(found).rejects.toBeInstanceOf(StoreUnavailable);
    answerLate([null]);
    await expect(found).rejects.toThrow('500 ms');
  });

  test('an answer in time leaves no timer behind', async () => {
    const { find, timers } = setUp();
    await find();
    expect(timers.pending).toBe(0);
  });

  test('what answers at once passes untouched', () => {
    const store = guardStore(
      { findMany: () => [null] } as unknown as SessionStore,
      {},
      { timers: fakeTimers(), random: seededRandom(1), onState: () => {} },
    );
    expect(store.findMany(['key'])).toEqual([null]);
  });
});

describe('the bound', () => {
  test('beyond it nothing is sent, and it is free again when something is answered', async () => {
    const { find, becomes, never, asked, timers } = setUp({ maxUnderWay: 2 });
    becomes(never);
    const waiting = [find(), find()];
    await expect(find()).rejects.toBeInstanceOf(StoreUnavailable);
    expect(asked()).toBe(2);
    timers.advance(500);
    await Promise.allSettled(waiting);
    becomes(() => Promise.resolve([null]));
    expect(await find()).toEqual([null]);
  });
});

describe('the breaker', () => {
  test('opens after failures in a row, asks nothing meanwhile, and closes with the first probe that is answered', async () => {
    const { find, down, becomes, asked, timers, states } = setUp({ tolerance: 3, probeInterval: 300 });
    becomes(down);
    for (let i = 0; i < 3; i++) await expect(find()).rejects.toThrow('connection refused');
    expect(states).toEqual(['down']);
    const before = asked();
    await expect(find()).rejects.toMatchObject({
      name: 'StoreUnavailable',
      cause: expect.any(StoreUnavailable),
    });
    expect(asked()).toBe(before);

    timers.advance(450);
    await settled();
    expect(states, 'the probe failed').toEqual(['down']);
    becomes(() => Promise.resolve([null]));
    timers.advance(450);
    await settled();
    expect(states).toEqual(['down', 'up']);
    expect(await find()).toEqual([null]);
  });

  test('a success between failures keeps it closed', async () => {
    const { find, down, becomes, states } = setUp({ tolerance: 3 });
    for (let round = 0; round < 5; round++) {
      becomes(down);
      for (let i = 0; i < 2; i++) await expect(find()).rejects.toThrow();
      becomes(() => Promise.resolve([null]));
      await find();
    }
    expect(states).toEqual([]);
  });

  test('writes that fail do not open it: a full store can be read', async () => {
    const { store, down, becomes, states, find } = setUp({ tolerance: 2 });
    becomes(down);
    for (let i = 0; i < 5; i++) await expect(store.insert({} as StoredSession)).rejects.toThrow();
    becomes(() => Promise.resolve([null]));
    expect(await find()).toEqual([null]);
    expect(states).toEqual([]);
  });

  test('a bug is no outage', async () => {
    const { find, becomes, states } = setUp({ tolerance: 1 });
    becomes(() => Promise.reject(new TypeError('bug')));
    await expect(find()).rejects.toBeInstanceOf(TypeError);
    expect(states).toEqual([]);
  });

  test('closing ends the probes', async () => {
    const { find, down, becomes, store, timers } = setUp({ tolerance: 1 });
    becomes(down);
    await expect(find()).rejects.toThrow();
    expect(timers.pending).toBe(1);
    await store.close();
    expect(timers.pending).toBe(0);
  });
});
