import { describe, expect, test } from 'vitest';

import type { GatewayPayload, GatewaySession } from '../../../src/authn/gateway-session.ts';
import {
  createSessionFinder,
  createSessionScheme,
  type Degraded,
} from '../../../src/authn/session-cookie.ts';
import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import { createSealer } from '../../../src/sessions/seal.ts';
import { openSessions } from '../../../src/sessions/sessions.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { authnRequest, exampleCom, fakeHead, fakeUsers } from './fakes.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

const MINUTE = 60_000;

function setUp(refreshInterval: number | null = 5 * MINUTE, degraded: Degraded | null = null) {
  const clock = fakeClock();
  const random = seededRandom('session cookie');
  const users = fakeUsers({ john: { password: 'x', groups: ['dev'] }, harry: { password: 'x' } });
  const memory = openMemoryStore({}, { clock });
  const ended: string[] = [];
  const failures: unknown[] = [];
  let down = false;
  let writes = 0;
  const sessions = openSessions<GatewayPayload>({
    timers: fakeTimers(),
    store: {
      ...memory,
      findMany(keys) {
        if (down) throw new StoreUnavailable('down');
        return memory.findMany(keys);
      },
      replace(...args) {
        writes++;
        return memory.replace(...args);
      },
      touchMany(touches) {
        writes++;
        return memory.touchMany(touches);
      },
    },
    remembersVerified: degraded !== null,
    sealer: createSealer('gateway', ['secret'], { random }),
    clock,
    random,
    lifetimesOf: (domain) =>
      domain === exampleCom.domain ? { ...exampleCom.lifetimes, inactivity: 3_600_000 } : null,
    onEnd: ({ reason }) => ended.push(reason),
    onBrokenRecord: () => ended.push('broken'),
  });
  const finder = createSessionFinder({
    sessions,
    users: users.backend,
    clock,
    refreshInterval,
    maximumStaleness: 3_600_000,
    onRefreshFailure: (error) => failures.push(error),
  });
  const scheme = createSessionScheme({ finder, sessions, degraded });
  const begin = async (name = 'john') => {
    const profile = await users.backend.find(name);
    if (!profile) throw new Error(`nobody is called ${name}`);
    users.counts.find = 0;
    const started = await sessions.begin({
      userId: profile.username,
      cookieDomain: exampleCom.domain,
      remembered: false,
      payload: {
        factors: [{ method: 'password', at: clock.now() }],
        profile,
        refreshedAt: clock.now(),
        device: { userAgent: '', ip: '203.0.113.5' },
        portalBinding: '',
      },
    });
    return { ...started, cookie: `authelia_session=${started.token}` };
  };
  const ask = async (cookie: string | undefined, claimed?: string) =>
    scheme.authenticate(
      authnRequest(
        fakeHead({
          ...(cookie !== undefined && { cookie }),
          ...(claimed !== undefined && { 'session-username': claimed }),
        }),
      ),
    );
  return {
    clock,
    users,
    sessions,
    memory,
    finder,
    scheme,
    ended,
    failures,
    begin,
    ask,
    writes: () => writes,
    cutOff: () => {
      down = true;
    },
  };
}

describe('the session cookie', () => {
  test('recognises somebody at level 1', async () => {
    const { begin, ask, clock } = setUp();
    const { cookie } = await begin();
    expect(await ask(`a=b; ${cookie}`)).toEqual({
      user: { username: 'john', displayName: 'JOHN', emails: ['john@example.com'], groups: ['dev'] },
      level: 1,
      factors: [{ method: 'password', at: clock.now() }],
    });
  });

  test('anything else is nobody, without a word to the store about what is no token', async () => {
    const { begin, ask, cutOff } = setUp();
    const { cookie, token } = await begin();
    cutOff();
    for (const other of [
      undefined,
      '',
      'authelia_session=',
      'authelia_session=garbage',
      `authelia_session=${token}x`,
      `authelia_session="${token}"`,
      `other=${token}`,
      `Authelia_session=${token}`,
      `${cookie}; authelia_session=${'A'.repeat(43)}`,
      `authelia_session=; ${cookie}`,
    ]) {
      expect(await ask(other), String(other)).toBe('skip');
    }
    await expect(ask(cookie)).rejects.toThrow(StoreUnavailable);
    await expect(ask(`${cookie}; ${cookie}`)).rejects.toThrow(StoreUnavailable);
  });

  test('has no challenge of its own', () => {
    expect(setUp().scheme.challenge).toBeNull();
  });

  test('a plain request writes nothing before its answer', async () => {
    const { begin, ask, clock, writes, sessions } = setUp();
    const { cookie } = await begin();
    clock.advance(2000);
    await ask(cookie);
    expect(writes()).toBe(0);
    await sessions.tend();
    expect(writes()).toBe(1);
  });

  test('every recognised request counts as activity', async () => {
    const { begin, ask, clock, sessions, memory } = setUp();
    const { cookie, session } = await begin();
    clock.advance(2000);
    await ask(cookie);
    await sessions.tend();
    expect(await memory.findMany([session.key])).toMatchObject([{ lastActivity: clock.now() }]);
  });
});

describe('the profile', () => {
  test('is not read again before the interval ends, to the millisecond', async () => {
    const { begin, ask, clock, users } = setUp();
    const { cookie } = await begin();
    clock.advance(5 * MINUTE - 1);
    users.people.john = { password: 'x', groups: ['admins'] };
    expect(await ask(cookie)).toMatchObject({ user: { groups: ['dev'] } });
    expect(users.counts.find).toBe(0);
    clock.advance(1);
    expect(await ask(cookie)).toMatchObject({ user: { groups: ['admins'] } });
    expect(await ask(cookie)).toMatchObject({ user: { groups: ['admins'] } });
    expect(users.counts.find).toBe(1);
    clock.advance(5 * MINUTE);
    await ask(cookie);
    expect(users.counts.find).toBe(2);
  });

  test('with interval 0 is read each time and written when it changed only', async () => {
    const { begin, ask, users, writes } = setUp(0);
    const { cookie } = await begin();
    for (let i = 0; i < 3; i++) await ask(cookie);
    expect(users.counts.find).toBe(3);
    expect(writes()).toBe(0);
    users.people.john = { password: 'x', groups: ['admins'] };
    for (let i = 0; i < 3; i++) expect(await ask(cookie)).toMatchObject({ user: { groups: ['admins'] } });
    expect(writes()).toBe(1);
  });

  test('with interval null is never read', async () => {
    const { begin, ask, users, clock } = setUp(null);
    const { cookie } = await begin();
    delete users.people.john;
    clock.advance(50 * MINUTE);
    expect(await ask(cookie)).toMatchObject({ user: { username: 'john' } });
    expect(users.counts.find).toBe(0);
  });

  test.each(['gone', 'disabled'])('somebody who is %s loses the session for good', async (how) => {
    for (const later of [false, true]) {
      const { begin, ask, users, clock, ended, memory } = setUp();
      const { cookie, session } = await begin();
      if (later) users.answerLater();
      if (how === 'gone') delete users.people.john;
      else users.people.john = { password: 'x', disabled: true };
      clock.advance(5 * MINUTE);
      expect(await ask(cookie)).toBe('skip');
      expect(ended).toEqual(['user-gone']);
      expect(await memory.findMany([session.key])).toEqual([null]);
      users.people.john = { password: 'x' };
      expect(await ask(cookie)).toBe('skip');
    }
  });

  test('a backend that cannot answer leaves the session as it was, and says so', async () => {
    const { begin, ask, users, clock, failures, ended } = setUp();
    const { cookie } = await begin();
    clock.advance(5 * MINUTE);
    users.fail();
    expect(await ask(cookie)).toMatchObject({ user: { groups: ['dev'] } });
    expect(failures).toHaveLength(1);
    expect(ended).toEqual([]);
    users.fail(false);
    users.people.john = { password: 'x', groups: ['admins'] };
    expect(await ask(cookie)).toMatchObject({ user: { groups: ['admins'] } });
  });

  test('requests at once all see the new profile', async () => {
    const { begin, ask, users, clock, failures } = setUp();
    const { cookie } = await begin();
    users.answerLater();
    users.people.john = { password: 'x', groups: ['admins'] };
    clock.advance(5 * MINUTE);
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(cookie)));
    for (const answer of answers) expect(answer).toMatchObject({ user: { groups: ['admins'] } });
    expect(failures).toEqual([]);
  });

  test('a logout during a refresh is not undone', async () => {
    const { begin, ask, users, clock, sessions, memory } = setUp();
    const { cookie, session } = await begin();
    users.answerLater();
    users.people.john = { password: 'x', groups: ['admins'] };
    clock.advance(5 * MINUTE);
    const asking = ask(cookie);
    await sessions.end(session, 'logout');
    await asking;
    await sessions.tend();
    expect(await ask(cookie)).toBe('skip');
    expect(await memory.findMany([session.key])).toEqual([null]);
  });
});

describe('Session-Username', () => {
  test.each(['john', 'John', 'JOHN', ''])('%j agrees with the session of john', async (claimed) => {
    const { begin, ask, ended } = setUp();
    const { cookie } = await begin();
    expect(await ask(cookie, claimed)).toMatchObject({ user: { username: 'john' } });
    expect(ended).toEqual([]);
  });

  test.each(['harry', 'john ', 'johnn', 'joh', '*'])('%j ends the session of john', async (claimed) => {
    const { begin, ask, ended } = setUp();
    const { cookie } = await begin();
    expect(await ask(cookie, claimed)).toBe('skip');
    expect(ended).toEqual(['user-mismatch']);
    expect(await ask(cookie)).toBe('skip');
  });

  test('means nothing without a session', async () => {
    expect(await setUp().ask(undefined, 'john')).toBe('skip');
  });

  test('said twice or in another spelling, nobody is recognised, and nothing ends', async () => {
    const { begin, scheme, ended, ask } = setUp();
    const { cookie } = await begin();
    for (const flaw of ['repeated', 'aliased'] as const) {
      const head = fakeHead({ cookie, 'session-username': 'john' }, { flaws: { 'session-username': flaw } });
      expect(await scheme.authenticate(authnRequest(head)), flaw).toBe('failure');
    }
    expect(ended).toEqual([]);
    expect(await ask(cookie)).toMatchObject({ user: { username: 'john' } });
  });
});

test('a session of another cookie domain is nobody here', async () => {
  const { begin, finder } = setUp();
  const { cookie } = await begin();
  const elsewhere = { ...exampleCom, domain: 'example.org' };
  expect(await finder.find(cookie, elsewhere)).toBeNull();
  expect(((await finder.find(cookie, exampleCom)) as GatewaySession).userId).toBe('john');
});

describe('while the store is down', () => {
  const degraded: Degraded = { maximumAge: 10_000, twoFactor: false };

  test('nobody passes unless that is configured', async () => {
    const { begin, ask, cutOff } = setUp();
    const { cookie } = await begin();
    await ask(cookie);
    cutOff();
    await expect(ask(cookie)).rejects.toThrow(StoreUnavailable);
  });

  test('who was seen in the store a moment ago passes, to the millisecond, and is marked', async () => {
    const { begin, ask, cutOff, clock } = setUp(5 * MINUTE, degraded);
    const { cookie } = await begin();
    expect(await ask(cookie)).not.toHaveProperty('isDegraded');
    cutOff();
    clock.advance(10_000);
    expect(await ask(cookie)).toMatchObject({ user: { username: 'john' }, level: 1, isDegraded: true });
    clock.advance(1);
    await expect(ask(cookie)).rejects.toThrow(StoreUnavailable);
  });

  test.each([
    [false, 1, ['password']],
    [true, 2, ['password', 'totp']],
  ])('two factors, allowed: %s, come to level %i', async (twoFactor, level, methods) => {
    const { begin, ask, cutOff, sessions, clock } = setUp(5 * MINUTE, { ...degraded, twoFactor });
    const { session } = await begin();
    const factors = [...session.payload.factors, { method: 'totp', at: clock.now() } as const];
    const risen = await sessions.rise(session, { ...session.payload, factors });
    const cookie = `authelia_session=${risen?.token}`;
    await ask(cookie);
    cutOff();
    const identity = await ask(cookie);
    expect(identity).toMatchObject({ level, factors: methods.map((method) => ({ method })) });
  });

  test('who was not seen, or has signed out here, does not', async () => {
    const { begin, ask, cutOff, sessions } = setUp(5 * MINUTE, degraded);
    const [unseen, ended] = [await begin(), await begin()];
    await ask(ended.cookie);
    await sessions.end(ended.session, 'logout');
    cutOff();
    for (const { cookie } of [unseen, ended]) await expect(ask(cookie)).rejects.toThrow(StoreUnavailable);
    await expect(ask(`authelia_session=${'A'.repeat(43)}`)).rejects.toThrow(StoreUnavailable);
  });

  test('another one than the proxy has in front of it does not', async () => {
    const { begin, ask, cutOff } = setUp(5 * MINUTE, degraded);
    const { cookie } = await begin();
    await ask(cookie);
    cutOff();
    await expect(ask(cookie, 'harry')).rejects.toThrow(StoreUnavailable);
    expect(await ask(cookie, 'JOHN')).toMatchObject({ isDegraded: true });
  });
});
