import { expect, test } from 'vitest';

import type { GatewayPayload } from '../../../src/authn/gateway-session.ts';
import { createSessionFinder } from '../../../src/authn/session-cookie.ts';
import { completeFirstFactor } from '../../../src/login/first-factor.ts';
import type { SignIn } from '../../../src/login/sign-in-record.ts';
import { isBound } from '../../../src/login/portal-binding.ts';
import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import { createSealer } from '../../../src/sessions/seal.ts';
import { openSessions } from '../../../src/sessions/sessions.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import { BackendUnavailable } from '../../../src/users/backend.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { exampleCom, fakeUsers } from '../authn/fakes.ts';
import { fakePassword } from '../factors/fakes.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

const FROM = {
  ip: '203.0.113.5',
  userAgent: 'Browser/1.0',
  languages: 'de',
  portalUrl: 'https://auth.example.com/',
};

function setUp() {
  const clock = fakeClock();
  const random = seededRandom('first factor');
  const users = fakeUsers({ john: { password: 'secret', groups: ['dev'] }, harry: { password: 'secret' } });
  const memory = openMemoryStore({}, { clock });
  const ended: string[] = [];
  const noted: SignIn[] = [];
  const sessions = openSessions<GatewayPayload>({
    timers: fakeTimers(),
    store: memory,
    sealer: createSealer('gateway', ['secret'], { random }),
    clock,
    random,
    lifetimesOf: () => exampleCom.lifetimes,
    onEnd: ({ reason }) => ended.push(reason),
    onBrokenRecord: () => ended.push('broken'),
  });
  const finder = createSessionFinder({
    sessions,
    users: users.backend,
    clock,
    refreshInterval: null,
    maximumStaleness: 3_600_000,
    onRefreshFailure: () => {},
  });
  const { password, checked } = fakePassword(users.backend, { max_retries: 0 }, { clock });
  const signIn = (over: Partial<Parameters<typeof completeFirstFactor>[0]> = {}) =>
    completeFirstFactor(
      {
        username: 'john',
        password: 'secret',
        remember: false,
        cookieDomain: exampleCom,
        cookieHeader: undefined,
        from: FROM,
        target: undefined,
        ...over,
      },
      {
        users: users.backend,
        password,
        sessions,
        finder,
        clock,
        random,
        signInRecord: { note: (signIn) => void noted.push(signIn) },
      },
    );
  return { clock, users, memory, sessions, ended, checked, noted, signIn };
}

test('a right password begins a session in the name that the backend gave', async () => {
  const { signIn, clock, checked, noted, sessions } = setUp();
  const started = await signIn({ username: 'JOHN' });
  expect(started?.session).toMatchObject({
    userId: 'john',
    cookieDomain: 'example.com',
    remembered: false,
    expiresAt: clock.now() + 3_600_000,
    payload: {
      factors: [{ method: 'password', at: clock.now() }],
      profile: { username: 'john' },
      refreshedAt: clock.now(),
      device: { userAgent: 'Browser/1.0', ip: '203.0.113.5' },
    },
  });
  expect(await sessions.find(started?.token ?? '', 'example.com')).toEqual(started?.session);
  expect(checked).toEqual([{ username: 'john', ip: '203.0.113.5', success: true }]);
  expect(noted).toEqual([
    { person: started?.session.payload.profile, session: started?.session.publicId, from: FROM },
  ]);
});

test('what does not hold begins nothing and ends nothing', async () => {
  const { signIn, checked, noted, memory, ended } = setUp();
  const before = await signIn();
  const cookieHeader = `authelia_session=${before?.token}`;
  expect(await signIn({ password: 'wrong', cookieHeader })).toBeNull();
  expect(await signIn({ username: 'nobody', cookieHeader })).toBeNull();
  expect(await memory.listByUser('john')).toHaveLength(1);
  expect(ended).toEqual([]);
  expect(checked).toHaveLength(3);
  expect(noted).toHaveLength(1);
});

test('a sign-in over a session gives a new token and ends the old session', async () => {
  const { signIn, sessions, ended } = setUp();
  const first = await signIn();
  const second = await signIn({ username: 'harry', cookieHeader: `a=b; authelia_session=${first?.token}` });
  expect(second?.token).not.toBe(first?.token);
  expect(second?.session.publicId).not.toBe(first?.session.publicId);
  expect(await sessions.find(first?.token ?? '', 'example.com')).toBeNull();
  expect(await sessions.find(second?.token ?? '', 'example.com')).toMatchObject({ userId: 'harry' });
  expect(ended).toEqual(['replaced']);
});

test.each(['before', 'after'])(
  'a password changed just %s the session begins signs nobody in',
  async (when) => {
    const { signIn, users, memory, ended, noted } = setUp();
    const { insert } = memory;
    const change = (): void => void Object.assign(users.people['john'] ?? {}, { password: 'another' });
    Object.assign(memory, {
      async insert(...args: Parameters<typeof insert>) {
        if (when === 'before') change();
        const isInserted = await insert(...args);
        if (when === 'after') change();
        return isInserted;
      },
    });
    expect(await signIn()).toBeNull();
    expect(await memory.listByUser('john')).toEqual([]);
    expect([ended, noted]).toEqual([['password-changed'], []]);
    expect(await signIn({ password: 'another' })).not.toBeNull();
  },
);

test('a token that the client brings is never taken on', async () => {
  const { signIn, sessions } = setUp();
  const planted = 'A'.repeat(43);
  const started = await signIn({ cookieHeader: `authelia_session=${planted}` });
  expect(started?.token).not.toBe(planted);
  expect(await sessions.find(planted, 'example.com')).toBeNull();
});

test('remembered only where that is offered', async () => {
  const { signIn, clock } = setUp();
  const remembered = await signIn({ remember: true });
  expect(remembered?.session).toMatchObject({ remembered: true, expiresAt: clock.now() + 2_592_000_000 });
  const off = { ...exampleCom, lifetimes: { ...exampleCom.lifetimes, rememberMe: -1 } };
  expect((await signIn({ remember: true, cookieDomain: off }))?.session.remembered).toBe(false);
});

test('what cannot answer throws, and nobody is signed in', async () => {
  const { signIn, users, memory } = setUp();
  users.fail();
  await expect(signIn()).rejects.toThrow(BackendUnavailable);
  users.fail(false);
  await memory.close();
  await expect(signIn()).rejects.toThrow(StoreUnavailable);
});

test('the device is noted as printable text of bounded length', async () => {
  const { signIn } = setUp();
  const userAgent = `Brow\u009b31mser/1.0 \u00e9 ${'x'.repeat(9000)}`;
  const noted = (await signIn({ from: { ...FROM, userAgent } }))?.session.payload.device.userAgent ?? '';
  expect(noted).toMatch(/^Brow\?31mser\/1\.0 \? x+$/);
  expect(noted).toHaveLength(512);
  expect((await signIn({ from: { ...FROM, userAgent: undefined } }))?.session.payload.device.userAgent).toBe(
    '',
  );
});

test('each sign-in is bound to a browser by a token of its own, of which the session has the digest', async () => {
  const { signIn } = setUp();
  const [one, other] = [await signIn(), await signIn()];
  if (!one || !other) throw new Error('nobody signed in');
  const cookie = (token: string) => `__Host-sallyport_portal=${token}`;
  expect(one.portalToken).toMatch(/^[\w-]{43}$/);
  expect(JSON.stringify(one.session)).not.toContain(one.portalToken);
  expect(isBound(one.session, `a=b; ${cookie(one.portalToken)}`)).toBe(true);
  for (const header of [
    undefined,
    '',
    cookie(''),
    cookie(other.portalToken),
    cookie(one.token),
    cookie(one.session.payload.portalBinding),
    cookie(`${one.portalToken}=`),
    cookie(one.portalToken).toLowerCase(),
    `sallyport_portal=${one.portalToken}`,
    `${cookie(one.portalToken)}; ${cookie(other.portalToken)}`,
  ]) {
    expect(isBound(one.session, header), header).toBe(false);
  }
});
