import { describe, expect, test } from 'vitest';

import { createMemoryThrottleStore } from '../../../src/factors/memory-throttle-store.ts';
import { BAN_AGE, type Throttle, type ThrottledAttempt } from '../../../src/factors/throttle.ts';
import { StorageUnavailable } from '../../../src/storage/errors.ts';
import { BackendUnavailable } from '../../../src/users/backend.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { fakeTimers, immediateTimers } from '../../support/fake-timers.ts';
import { fakeThrottle } from './fakes.ts';

const JOHN: ThrottledAttempt = { username: 'john', ip: '203.0.113.5', proof: 'password' };

function down(): Promise<never> {
  return Promise.reject(new StorageUnavailable('down'));
}

/** Tries and fails; whether the secret was looked at. */
async function fail(throttle: Throttle, over: Partial<ThrottledAttempt> = {}): Promise<boolean> {
  const attempt = await throttle.begin({ ...JOHN, ...over });
  if (attempt === 'banned') return false;
  await attempt.failed();
  return true;
}

async function succeed(throttle: Throttle, over: Partial<ThrottledAttempt> = {}): Promise<boolean> {
  const attempt = await throttle.begin({ ...JOHN, ...over });
  if (attempt === 'banned') return false;
  await attempt.succeeded();
  return true;
}

async function failTimes(times: number, throttle: Throttle, over: Partial<ThrottledAttempt> = {}) {
  for (let i = 0; i < times; i++) expect(await fail(throttle, over), `attempt ${i + 1}`).toBe(true);
}

describe('the password', () => {
  test('max_retries failures ban the person for ban_time, from everywhere and on every path', async () => {
    const { throttle, clock, banned } = fakeThrottle();
    await failTimes(3, throttle);
    expect(banned).toEqual([{ kind: 'user', subject: 'john', until: clock.now() + 300_000 }]);
    for (const proof of ['password', 'basic', 'old-password'] as const) {
      expect(await succeed(throttle, { proof, ip: '198.51.100.9' }), proof).toBe(false);
    }
    expect(await succeed(throttle, { username: 'harry' })).toBe(true);
    (clock as ReturnType<typeof fakeClock>).advance(299_999);
    expect(await succeed(throttle)).toBe(false);
    (clock as ReturnType<typeof fakeClock>).advance(1);
    await failTimes(2, throttle);
    expect(await succeed(throttle)).toBe(true);
  });

  test('the paths share one budget', async () => {
    const { throttle } = fakeThrottle();
    await failTimes(1, throttle, { proof: 'basic' });
    await failTimes(1, throttle, { proof: 'old-password' });
    await failTimes(1, throttle);
    expect(await succeed(throttle, { proof: 'basic' })).toBe(false);
  });

  test('the window slides: what is older than find_time counts no more', async () => {
    const clock = fakeClock();
    const { throttle } = fakeThrottle({}, { clock });
    for (let i = 0; i < 6; i++) {
      await failTimes(1, throttle);
      clock.advance(60_000);
    }
    expect(await succeed(throttle)).toBe(true);
  });

  test('a sign-in forgets the failures before it; Basic, which comes by itself, does not', async () => {
    const { throttle } = fakeThrottle();
    await failTimes(2, throttle);
    expect(await succeed(throttle)).toBe(true);
    await failTimes(2, throttle);
    for (let i = 0; i < 9; i++) expect(await succeed(throttle, { proof: 'basic' })).toBe(true);
    await failTimes(1, throttle);
    expect(await succeed(throttle, { proof: 'basic' })).toBe(false);
  });

  test('what could not be checked was not tried', async () => {
    const { throttle } = fakeThrottle();
    for (let i = 0; i < 9; i++) {
      const attempt = await throttle.begin(JOHN);
      if (attempt === 'banned') throw new Error('banned');
      await attempt.takeBack();
    }
    await failTimes(2, throttle);
    expect(await succeed(throttle)).toBe(true);
  });

  test('0 retries count nothing, and bans by hand hold all the same', async () => {
    const { throttle, deps, clock } = fakeThrottle({ max_retries: 0, modes: ['user', 'ip'] });
    await failTimes(20, throttle);
    await deps.bans.insert({
      kind: 'user',
      subject: 'john',
      createdAt: clock.now(),
      expiresAt: null,
      source: 'cli',
      reason: null,
    });
    expect(await succeed(throttle)).toBe(false);
  });

  test('a refusal costs no try: after the ban as many are there as ever', async () => {
    const clock = fakeClock();
    const { throttle, refused } = fakeThrottle({}, { clock });
    await failTimes(3, throttle);
    for (let i = 0; i < 20; i++) expect(await fail(throttle)).toBe(false);
    expect(refused).toHaveLength(20);
    expect(refused[0]).toEqual({ username: 'john', ip: JOHN.ip, proof: 'password', why: 'banned' });
    clock.advance(300_000);
    await failTimes(3, throttle);
  });
});

describe('modes', () => {
  test('user: names that nobody has are counted like others, without a ban, and written nowhere', async () => {
    const { throttle, banned, logged } = fakeThrottle();
    for (const username of ['Typed Password', 'typed password', 'ＴＹＰＥＤ password']) {
      expect(await fail(throttle, { username, isUnknown: true })).toBe(true);
    }
    expect(await fail(throttle, { username: 'typed PASSWORD', isUnknown: true })).toBe(false);
    expect(await fail(throttle, { username: 'another', isUnknown: true })).toBe(true);
    expect(banned).toEqual([]);
    expect(logged.map(({ username }) => username)).toEqual(['']);
  });

  test('ip: failures of one address ban it for every name; IPv6 addresses of one /64 are one', async () => {
    const { throttle, banned, clock } = fakeThrottle({ modes: ['ip'] });
    for (const [i, username] of ['john', 'harry', 'nobody'].entries()) {
      const isUnknown = username === 'nobody';
      expect(await fail(throttle, { username, isUnknown, ip: `2001:db8:1:2:${i}::${i}` })).toBe(true);
    }
    const until = clock.now() + 300_000;
    expect(banned).toEqual([{ kind: 'ip', subject: '2001:db8:1:2::/64', until }]);
    expect(await succeed(throttle, { ip: '2001:db8:1:2:ffff::1' })).toBe(false);
    expect(await succeed(throttle, { ip: '2001:db8:1:3::1' })).toBe(true);
    // Every secret is refused there.
    expect(await succeed(throttle, { ip: '2001:db8:1:2::1', proof: 'totp' })).toBe(false);
  });

  test("ip: somebody's own sign-in forgets his own failures and nobody else's", async () => {
    const { throttle } = fakeThrottle({ modes: ['ip'] });
    await failTimes(2, throttle, { username: 'victim' });
    expect(await succeed(throttle)).toBe(true);
    await failTimes(1, throttle, { username: 'victim' });
    expect(await succeed(throttle)).toBe(false);

    const other = fakeThrottle({ modes: ['ip'] }).throttle;
    await failTimes(2, other);
    expect(await succeed(other)).toBe(true);
    await failTimes(2, other);
    expect(await succeed(other)).toBe(true);
  });
});

describe('other secrets', () => {
  test('have a budget of their own, which a ban of the name leaves alone', async () => {
    const { throttle, banned } = fakeThrottle();
    await failTimes(3, throttle);
    expect(banned).toHaveLength(1);
    await failTimes(2, throttle, { proof: 'totp' });
    expect(await succeed(throttle, { proof: 'totp' })).toBe(true);
    await failTimes(3, throttle, { proof: 'totp' });
    expect(await succeed(throttle, { proof: 'totp', ip: '198.51.100.9' })).toBe(false);
    expect(await succeed(throttle, { proof: 'recovery-code' })).toBe(true);
    expect(banned).toHaveLength(1);
  });

  test('are limited for as long as a ban would last, and where passwords are not', async () => {
    const clock = fakeClock();
    const { throttle } = fakeThrottle({ max_retries: 0 }, { clock });
    await failTimes(10, throttle, { proof: 'elevation-code' });
    expect(await fail(throttle, { proof: 'elevation-code' })).toBe(false);
    clock.advance(299_999);
    expect(await fail(throttle, { proof: 'elevation-code' })).toBe(false);
    clock.advance(1);
    expect(await fail(throttle, { proof: 'elevation-code' })).toBe(true);
  });
});

describe('at one time', () => {
  test('of 50 wrong passwords over two processes no more than max_retries are looked at', async () => {
    const store = createMemoryThrottleStore();
    const clock = fakeClock();
    const throttles = [fakeThrottle({}, { ...store, clock }), fakeThrottle({}, { ...store, clock })];
    const all = await Promise.all(
      Array.from({ length: 50 }, (_, i) => fail((throttles[i % 2] as (typeof throttles)[0]).throttle)),
    );
    expect(all.filter(Boolean)).toHaveLength(3);
  });

  test('who is counted after a ban has forgotten the counts sees the ban', async () => {
    const store = createMemoryThrottleStore();
    const clock = fakeClock();
    const { throttle: other } = fakeThrottle({}, { ...store, clock });
    let meanwhile: (() => Promise<void>) | null = () => failTimes(3, other);
    const counters: typeof store.counters = {
      ...store.counters,
      async count(...args) {
        const job = meanwhile;
        meanwhile = null;
        await job?.();
        return store.counters.count(...args);
      },
    };
    const { throttle } = fakeThrottle({}, { ...store, counters, clock });
    expect(await fail(throttle)).toBe(false);
    expect(meanwhile).toBeNull();
  });

  test('right passwords from many connections take turns instead of being refused', async () => {
    const { throttle, banned, timers } = fakeThrottle({ modes: ['user', 'ip'] });
    const all = await Promise.all(Array.from({ length: 30 }, () => succeed(throttle, { proof: 'basic' })));
    expect(all).toEqual(Array.from({ length: 30 }, () => true));
    expect([banned, timers.waits]).toEqual([[], []]);
  });

  test('and so do people behind one address', async () => {
    const { throttle } = fakeThrottle({ modes: ['ip'] });
    const all = await Promise.all(
      Array.from({ length: 30 }, (_, i) => succeed(throttle, { username: `name${i}` })),
    );
    expect(all).toEqual(Array.from({ length: 30 }, () => true));
  });

  test.each([{}, { max_retries: 0 }, { modes: ['ip'], max_retries: 99 }] as const)(
    'of one address 8 are looked at, whatever names it invents: %o',
    async (regulation) => {
      const timers = fakeTimers();
      let counted = 0;
      const { counters } = createMemoryThrottleStore();
      const { throttle } = fakeThrottle(regulation, {
        timers,
        counters: {
          ...counters,
          async count(...args) {
            counted++;
            return counters.count(...args);
          },
        },
      });
      const settled = async (): Promise<void> => {
        for (let i = 0; i < 20; i++) await new Promise((done) => setImmediate(done));
      };
      const unknown = (i: number): ThrottledAttempt => ({ ...JOHN, username: `name ${i}`, isUnknown: true });
      const begun: Exclude<Awaited<ReturnType<Throttle['begin']>>, 'banned'>[] = [];
      const late: unknown[] = [];
      for (let i = 0; i < 30; i++) {
        throttle.begin(unknown(i)).then(
          (attempt) => attempt !== 'banned' && begun.push(attempt),
          (error: unknown) => late.push(error),
        );
      }
      await settled();
      expect(begun).toHaveLength(8);
      // Others do not wait for them.
      expect(await succeed(throttle, { ip: '198.51.100.9' })).toBe(true);
      const before = counted;
      for (const attempt of begun.slice(0, 4)) await attempt.failed();
      await settled();
      expect(begun).toHaveLength(12);
      expect(counted - before).toBe(regulation.max_retries === 0 ? 0 : 4);
      timers.advance(5000);
      await settled();
      // Those that took too long let the next ones go; whose turn did not come is told to come again.
      expect(begun.length + late.length).toBe(30);
      expect(begun.length).toBeLessThanOrEqual(20);
      expect(late[0]).toBeInstanceOf(BackendUnavailable);
    },
  );

  test('those of other processes are waited for', async () => {
    const store = createMemoryThrottleStore();
    const clock = fakeClock();
    const { throttle, timers, banned } = fakeThrottle({ max_retries: 1 }, { ...store, clock });
    const before = await fakeThrottle({ max_retries: 1 }, { ...store, clock }).throttle.begin(JOHN);
    const next = throttle.begin(JOHN);
    while (timers.waits.length === 0) await new Promise((done) => setImmediate(done));
    if (before === 'banned') throw new Error('banned');
    await before.succeeded();
    expect(await next).not.toBe('banned');
    expect(banned).toEqual([]);
  });

  test('attempts that never end keep others out, for a bounded time each', async () => {
    const store = createMemoryThrottleStore();
    const timers = immediateTimers();
    const { throttle } = fakeThrottle({}, { ...store, timers });
    for (let i = 0; i < 3; i++) expect(await throttle.begin(JOHN)).not.toBe('banned');
    expect(await throttle.begin(JOHN)).toBe('banned');
    expect(timers.waits.filter((ms) => ms === 5000).length).toBeGreaterThan(4);
    const between = timers.waits.filter((ms) => ms !== 5000);
    expect(between).toHaveLength(6);
    expect(between.reduce((sum, ms) => sum + ms)).toBeLessThan(6300);
  });
});

describe('without an answer of the storage', () => {
  const broken = { takeBack: down, clear: down };

  test('nothing is tried', async () => {
    const store = createMemoryThrottleStore();
    for (const over of [
      { counters: { ...store.counters, count: down } },
      { bans: { ...store.bans, findInForce: down } },
    ]) {
      const { throttle } = fakeThrottle({}, over);
      await expect(throttle.begin(JOHN)).rejects.toThrow(StorageUnavailable);
    }
    const { throttle } = fakeThrottle({}, { bans: { ...store.bans, findInForce: down } });
    await expect(throttle.allows(JOHN)).rejects.toThrow(StorageUnavailable);
  });

  test('an attempt ends all the same, and its count stands', async () => {
    const store = createMemoryThrottleStore();
    const over = {
      counters: { ...store.counters, ...broken },
      bans: { ...store.bans, insert: down },
      attempts: { insert: down },
    };
    const { throttle, faults } = fakeThrottle({}, over);
    await failTimes(1, throttle);
    expect(await succeed(throttle)).toBe(true);
    await failTimes(1, throttle);
    expect(faults).toHaveLength(5);
    await expect(throttle.begin(JOHN)).rejects.toThrow(StorageUnavailable);
  });
});

describe('somebody whose password is remembered', () => {
  test('is asked about once in a while', async () => {
    const clock = fakeClock();
    const store = createMemoryThrottleStore();
    let asked = 0;
    const bans: typeof store.bans = {
      ...store.bans,
      findInForce(...args) {
        asked++;
        return store.bans.findInForce(...args);
      },
    };
    const { throttle } = fakeThrottle({}, { clock, bans });
    expect(await throttle.allows(JOHN)).toBe(true);
    for (let i = 0; i < 9; i++) expect(throttle.allows(JOHN)).toBe(true);
    expect(asked).toBe(1);
    expect(await throttle.allows({ ...JOHN, ip: '198.51.100.9' })).toBe(true);
    expect(asked).toBe(2);

    const ban = { createdAt: clock.now(), expiresAt: clock.now() + 60_000, source: 'cli', reason: null };
    await store.bans.insert({ ...ban, kind: 'ip', subject: JOHN.ip });
    clock.advance(BAN_AGE - 1);
    expect(throttle.allows(JOHN)).toBe(true);
    clock.advance(1);
    for (let i = 0; i < 3; i++) expect(await throttle.allows(JOHN)).toBe(false);
    clock.advance(60_000);
    expect(await throttle.allows(JOHN)).toBe(true);
    clock.set(clock.now() - 3_600_000);
    expect(await throttle.allows(JOHN)).toBe(false);
  });

  test('is shut out at once by a ban that this process has made', async () => {
    const { throttle } = fakeThrottle();
    expect(await throttle.allows(JOHN)).toBe(true);
    await failTimes(3, throttle);
    expect(await throttle.allows(JOHN)).toBe(false);
  });
});

test('of refusals one in ten seconds is written for each client, and every one is told', async () => {
  const clock = fakeClock();
  const { throttle, logged, refused } = fakeThrottle({ max_retries: 1 }, { clock });
  await failTimes(1, throttle);
  for (let i = 0; i < 30; i++) {
    expect(await fail(throttle)).toBe(false);
    clock.advance(1000);
  }
  await fail(throttle, { ip: '198.51.100.9' });
  expect(logged.filter(({ outcome }) => outcome === 'banned')).toHaveLength(4);
  expect(refused).toHaveLength(31);
});

test('of attempts at names that nobody has one in ten seconds is written for each client', async () => {
  const clock = fakeClock();
  const { throttle, logged } = fakeThrottle({ max_retries: 1 }, { clock });
  const repeated: boolean[] = [];
  for (let i = 0; i < 30; i++) {
    const attempt = await throttle.begin({ ...JOHN, username: `invented ${i}`, isUnknown: true });
    if (attempt === 'banned') throw new Error('banned');
    await attempt.failed();
    // The same once more is refused.
    expect(await fail(throttle, { username: `invented ${i}`, isUnknown: true })).toBe(false);
    repeated.push(attempt.isRepeated);
    clock.advance(1000);
  }
  expect(logged.map(({ at, outcome, username }) => [at - (logged[0]?.at ?? 0), outcome, username])).toEqual([
    [0, 'failure', ''],
    [10_000, 'failure', ''],
    [20_000, 'failure', ''],
  ]);
  expect(repeated.filter((isRepeated) => !isRepeated)).toHaveLength(3);
  expect(await fail(throttle, { username: 'invented', isUnknown: true, ip: '198.51.100.9' })).toBe(true);
  // People are told of one by one.
  await failTimes(1, throttle);
  await failTimes(1, throttle, { username: 'harry' });
  expect(logged).toHaveLength(6);
});

test('the log of attempts has what was tried, without the query of where to', async () => {
  const { throttle, logged, clock } = fakeThrottle({ max_retries: 1 });
  const target = { method: 'POST', url: 'https://app.example.com/a?token=secret#part' };
  expect(await succeed(throttle, { target })).toBe(true);
  await failTimes(1, throttle, { proof: 'totp' });
  await failTimes(1, throttle);
  expect(await fail(throttle, { proof: 'basic' })).toBe(false);
  const common = { at: clock.now(), username: 'john', ip: '203.0.113.5', method: '', url: '' };
  expect(logged).toEqual([
    { ...common, kind: '1FA', outcome: 'success', method: 'POST', url: 'https://app.example.com/a' },
    { ...common, kind: 'TOTP', outcome: 'failure' },
    { ...common, kind: '1FA', outcome: 'failure' },
    { ...common, kind: '1FA', outcome: 'banned' },
  ]);
});
