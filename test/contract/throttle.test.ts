import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createRateLimits, type RateLimitOptions } from '../../src/factors/rate-limits.ts';
import type { LimitedRoute, Throttle, ThrottledAttempt } from '../../src/factors/throttle.ts';
import { createAttemptLog } from '../../src/storage/attempt-log.ts';
import { createBans } from '../../src/storage/bans.ts';
import { StorageUnavailable } from '../../src/storage/errors.ts';
import { createRateBuckets } from '../../src/storage/rate-buckets.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { createThrottleCounters } from '../../src/storage/throttle-counters.ts';
import { mustBeComplete } from '../support/environment.ts';
import { type FakeClock, fakeClock } from '../support/fake-clock.ts';
import { fakeThrottle } from '../unit/factors/fakes.ts';
import { type DatabasePlace, openAt, storageHarnesses } from './storage-harnesses.ts';

/** The throttle of two replicas that share a database of each engine. */

const JOHN: ThrottledAttempt = { username: 'john', ip: '203.0.113.5', proof: 'password' };
const OFF: RateLimitOptions = Object.fromEntries(
  [
    'reset_password_start',
    'reset_password_finish',
    'second_factor_totp',
    'session_elevation_start',
    'session_elevation_finish',
  ].map((route) => [route, { enable: false }]),
) as Record<LimitedRoute, { enable: boolean }>;

describe.each(Object.keys(storageHarnesses) as (keyof typeof storageHarnesses)[])(
  'throttle on %s',
  (name) => {
    const harness = storageHarnesses[name];
    let place: DatabasePlace;
    let clock: FakeClock;
    let storages: readonly [Storage, Storage];
    let throttles: readonly ReturnType<typeof fakeThrottle>[];

    beforeEach(async ({ skip }) => {
      skip(harness.missing !== undefined && !mustBeComplete, `${harness.missing} is not installed`);
      place = await harness.create();
      clock = fakeClock();
      storages = [await openAt(place.config(), { clock }), await openAt(place.config(), { clock })];
      throttles = storages.map((storage) =>
        fakeThrottle(
          { modes: ['user', 'ip'] },
          {
            counters: createThrottleCounters(storage),
            bans: createBans(storage),
            attempts: createAttemptLog(storage),
            clock,
          },
        ),
      );
    });
    afterEach(async () => {
      for (const storage of storages) await storage.database.close();
      await place.dispose();
    });

    const one = (i: number): Throttle => (throttles[i % 2] as (typeof throttles)[0]).throttle;
    const fail = async (i: number, over: Partial<ThrottledAttempt> = {}): Promise<boolean> => {
      const attempt = await one(i).begin({ ...JOHN, ip: `198.51.100.${i}`, ...over });
      if (attempt === 'banned') return false;
      await attempt.failed();
      return true;
    };
    const looked = async (
      attempts: number,
      over: (i: number) => Partial<ThrottledAttempt>,
    ): Promise<number> => {
      const all = await Promise.all(Array.from({ length: attempts }, (_, i) => fail(i, over(i))));
      return all.filter(Boolean).length;
    };

    test('of 50 wrong passwords at once no more than max_retries are looked at', async () => {
      expect(await looked(50, () => ({}))).toBeLessThanOrEqual(3);
      expect(await looked(50, (i) => ({ username: `name${i}`, ip: '192.0.2.1' }))).toBeLessThanOrEqual(3);
      expect(await looked(50, () => ({ proof: 'totp' }))).toBeLessThanOrEqual(3);
      expect(throttles.flatMap(({ faults }) => faults)).toEqual([]);
    });

    test('one after the other exactly max_retries are; the ban holds on both, is listed, and can be taken back', async () => {
      const seen = [];
      for (let i = 0; i < 6; i++) seen.push(await fail(i));
      expect(seen).toEqual([true, true, true, false, false, false]);
      const bans = createBans(storages[0]);
      const [ban] = await bans.list('user', { inForceAt: clock.now(), limit: 9 });
      expect(ban).toMatchObject({ subject: 'john', source: 'regulation', expiresAt: clock.now() + 300_000 });
      expect(await bans.list('ip', { limit: 9 })).toEqual([]);
      await bans.revoke('user', ban?.id ?? 0, clock.now());
      expect([await fail(0), await fail(1), await fail(2), await fail(3)]).toEqual([true, true, true, false]);
      const log = await createAttemptLog(storages[1]).list({ username: 'john', limit: 99 });
      // One refusal of each client is written, of those within ten seconds.
      expect(log.filter(({ outcome }) => outcome === 'banned')).toHaveLength(3);
      expect(log.filter(({ outcome }) => outcome === 'failure')).toHaveLength(6);
    });

    test('a ban by hand holds for the next attempt, and for a remembered password within two seconds', async () => {
      expect(await one(1).allows(JOHN)).toBe(true);
      const ban = { createdAt: clock.now(), expiresAt: null, source: 'cli', reason: null };
      await createBans(storages[0]).insert({ ...ban, kind: 'ip', subject: '203.0.113.5' });
      expect(await one(1).begin(JOHN)).toBe('banned');
      clock.advance(2000);
      expect(await one(1).allows(JOHN)).toBe(false);
    });

    test('rate limits count over both', async () => {
      const limits = storages.map((storage) =>
        createRateLimits(
          { ...OFF, second_factor_totp: { enable: true } },
          { code: 300_000, elevation: 600_000 },
          { buckets: createRateBuckets(storage), clock },
        ),
      );
      const take = (i: number, ip = `2001:db8:1:2::${i}`) =>
        (limits[i % 2] as (typeof limits)[0]).take('second_factor_totp', ip);
      const first = await Promise.all(Array.from({ length: 40 }, (_, i) => take(i)));
      expect(first.filter((wait) => wait === null)).toHaveLength(30);
      expect(await take(41)).toBe(60_000);
      expect(await take(0, '2001:db8:1:3::1')).toBeNull();
      clock.advance(60_000);
      expect(await take(41)).toBeNull();
    });

    test('out of reach, nothing is tried', async () => {
      await place.cutOff();
      await expect(one(0).begin(JOHN)).rejects.toThrow(StorageUnavailable);
      await place.heal();
    });
  },
);
