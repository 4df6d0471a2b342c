import { expect, test } from 'vitest';

import { createMemoryThrottleStore } from '../../../src/factors/memory-throttle-store.ts';
import { createRateLimits } from '../../../src/factors/rate-limits.ts';
import type { LimitedRoute } from '../../../src/factors/throttle.ts';
import { fakeClock } from '../../support/fake-clock.ts';

const MINUTE = 60_000;
const ROUTES: readonly LimitedRoute[] = [
  'reset_password_start',
  'reset_password_finish',
  'second_factor_totp',
  'session_elevation_start',
  'session_elevation_finish',
];

function setUp(over: object = {}) {
  const clock = fakeClock();
  const options = Object.fromEntries(ROUTES.map((route) => [route, { enable: true }])) as Record<
    LimitedRoute,
    { enable: boolean }
  >;
  const { buckets } = createMemoryThrottleStore();
  const lifespans = { code: 5 * MINUTE, elevation: 10 * MINUTE };
  const limits = createRateLimits({ ...options, ...over }, lifespans, { buckets, clock });
  /** How many may come at once, and how long the next must wait. */
  const burst = async (route: LimitedRoute, ip = '203.0.113.5'): Promise<[number, number]> => {
    for (let i = 0; ; i++) {
      const wait = await limits.take(route, ip);
      if (wait !== null) return [i, wait];
    }
  };
  return { clock, limits, burst };
}

test.each([
  ['reset_password_start', 5, 10 * MINUTE],
  ['reset_password_finish', 10, MINUTE],
  ['reset_password', 60, 1000],
  ['second_factor_totp', 30, MINUTE],
  ['session_elevation_start', 3, 5 * MINUTE],
  ['session_elevation_finish', 3, 10 * MINUTE],
] as const)('%s: %i at once, then one in %i ms', async (route, requests, wait) => {
  const { burst, clock, limits } = setUp();
  expect(await burst(route)).toEqual([requests, wait]);
  clock.advance(wait - 1);
  expect(await limits.take(route, '203.0.113.5')).toBe(1);
  clock.advance(1);
  expect(await burst(route)).toEqual([1, wait]);
});

test('the slower buckets bind in the end', async () => {
  const { burst, clock, limits } = setUp();
  await burst('second_factor_totp');
  let taken = 30;
  for (let minute = 0; minute < 60; minute++) {
    clock.advance(MINUTE);
    if ((await limits.take('second_factor_totp', '203.0.113.5')) === null) taken++;
  }
  // 40 and one for every 2 minutes; 50 and one for every 10.
  expect(taken).toBe(56);
});

test('routes and addresses count for themselves, a /64 as one', async () => {
  const { burst } = setUp();
  expect((await burst('reset_password_start', '2001:db8::1'))[0]).toBe(5);
  expect((await burst('reset_password_start', '2001:db8::ffff:1'))[0]).toBe(0);
  expect((await burst('reset_password_start', '2001:db8:0:1::1'))[0]).toBe(5);
  expect((await burst('reset_password_finish', '2001:db8::1'))[0]).toBe(10);
});

test('buckets of the configuration take the place of the default; switched off, there is always room', async () => {
  const { burst, limits } = setUp({
    reset_password_start: { enable: true, buckets: [{ period: 10_000, requests: 2 }] },
    reset_password_finish: { enable: false },
  });
  expect(await burst('reset_password_start')).toEqual([2, 10_000]);
  for (const route of ['reset_password_finish', 'reset_password'] as const) {
    for (let i = 0; i < 99; i++) expect(await limits.take(route, '203.0.113.5')).toBeNull();
  }
});
