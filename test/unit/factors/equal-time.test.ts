import { expect, test } from 'vitest';

import { createEqualTime, FAILURE_FLOOR } from '../../../src/factors/equal-time.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { immediateTimers } from '../../support/fake-timers.ts';

function setUp(seed = 'equal time') {
  const clock = fakeClock();
  const timers = immediateTimers();
  const equalTime = createEqualTime({ clock, timers, random: seededRandom(seed) });
  /** Milliseconds from its beginning to its answer. */
  const answeredAfter = async (took: number, how: 'failed' | 'refused'): Promise<number> => {
    const attempt = equalTime.begin();
    clock.advance(took);
    const before = timers.waits.length;
    await attempt[how]();
    return took + (timers.waits[before] ?? 0);
  };
  return { clock, timers, equalTime, answeredAfter };
}

test('a failure is answered at the floor and up to 85 ms later, however soon it was known', async () => {
  const { answeredAfter } = setUp();
  const times = [];
  for (let i = 0; i < 200; i++) times.push(await answeredAfter(i, i % 2 === 0 ? 'failed' : 'refused'));
  expect(Math.min(...times)).toBeGreaterThanOrEqual(FAILURE_FLOOR);
  expect(Math.min(...times)).toBeLessThan(FAILURE_FLOOR + 10);
  expect(Math.max(...times)).toBeLessThanOrEqual(FAILURE_FLOOR + 85);
  expect(Math.max(...times)).toBeGreaterThan(FAILURE_FLOOR + 75);
});

test('a failure that took longer than the floor is answered at once', async () => {
  const { answeredAfter } = setUp();
  expect(await answeredAfter(600, 'failed')).toBe(600);
});

test('what is refused takes as long as checks took', async () => {
  const { answeredAfter } = setUp();
  for (let i = 0; i < 32; i++) await answeredAfter(900 + i, 'failed');
  const times = [];
  for (let i = 0; i < 200; i++) times.push(await answeredAfter(1, 'refused'));
  expect(Math.min(...times)).toBe(900);
  expect(Math.max(...times)).toBe(931);
  expect(new Set(times).size).toBeGreaterThan(20);
});

test('only the last 32 count, successes among them; refusals teach nothing', async () => {
  const { answeredAfter, equalTime, clock } = setUp();
  for (let i = 0; i < 40; i++) await answeredAfter(5000, 'failed');
  for (let i = 0; i < 31; i++) {
    const attempt = equalTime.begin();
    clock.advance(700);
    attempt.succeeded();
  }
  for (let i = 0; i < 40; i++) await answeredAfter(2, 'refused');
  await answeredAfter(700, 'failed');
  for (let i = 0; i < 50; i++) expect(await answeredAfter(2, 'refused')).toBe(700);
});

test('a clock that is set keeps nobody waiting for long', async () => {
  const { answeredAfter } = setUp();
  expect((await answeredAfter(-3_600_000, 'failed')) + 3_600_000).toBeLessThanOrEqual(FAILURE_FLOOR + 85);
  await answeredAfter(3_600_000, 'failed');
  for (let i = 0; i < 50; i++) expect(await answeredAfter(0, 'refused')).toBeLessThanOrEqual(10_000);
});
