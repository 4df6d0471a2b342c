import { expect, test } from 'vitest';

import type { GatewaySession, GatewaySessions } from '../../../src/authn/gateway-session.ts';
import type { SessionFinder } from '../../../src/authn/session-cookie.ts';
import type { Policy } from '../../../src/decision/policy.ts';
import type { PasswordFactor } from '../../../src/factors/password-factor.ts';
import type { RouteRequest } from '../../../src/http/route.ts';
import type { SecondFactor } from '../../../src/login/second-factor.ts';
import { createActions } from '../../../src/portal/actions.ts';
import type { CookieDomains } from '../../../src/sessions/cookie-domains.ts';
import { StorageUnavailable } from '../../../src/storage/errors.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { exampleCom, fakeUsers } from '../authn/fakes.ts';

const REQUEST = {
  scheme: 'https',
  host: 'auth.example.com',
  ip: '203.0.113.5',
  header: () => undefined,
} as unknown as RouteRequest;

/** The actions over a storage that stops answering once a second factor or a password was right. */
function setUp() {
  const clock = fakeClock();
  const session: GatewaySession = {
    key: 'key',
    publicId: 'own',
    version: 1,
    userId: 'john',
    sid: null,
    cookieDomain: 'example.com',
    remembered: false,
    createdAt: clock.now(),
    expiresAt: clock.now() + 3_600_000,
    lastActivity: clock.now(),
    payload: {
      factors: [{ method: 'password', at: clock.now() }],
      profile: { username: 'john', displayName: '', emails: [], groups: [] },
      refreshedAt: clock.now(),
      device: { userAgent: '', ip: '' },
      portalBinding: '',
    },
  };
  const begun = { session, token: 'the new token' };
  const asked: string[] = [];
  const secondFactor: Pick<SecondFactor, 'offered' | 'enrolled' | 'complete'> = {
    offered: ['totp'],
    enrolled(username) {
      asked.push(username);
      return Promise.reject(new StorageUnavailable('down'));
    },
    complete: () => Promise.resolve({ status: 'success', ...begun }),
  };
  const password: Pick<PasswordFactor, 'check'> = { check: () => Promise.resolve(session.payload.profile) };
  const sessions: Pick<GatewaySessions, 'begin'> = { begin: () => Promise.resolve(begun) };
  const finder: Pick<SessionFinder, 'findAll'> = { findAll: () => Promise.resolve([]) };
  const cookieDomains: Pick<CookieDomains, 'forHost'> = { forHost: () => exampleCom };
  const actions = createActions({
    cookieDomains: cookieDomains as CookieDomains,
    // Somebody without a target stays, and may show a second factor: who has one is asked of the storage.
    policy: { usesTwoFactor: true } as Policy,
    users: fakeUsers({ john: { password: 'secret' } }).backend,
    sessions: sessions as GatewaySessions,
    finder: finder as SessionFinder,
    secondFactor,
    base: '/',
    clock,
    random: seededRandom('actions'),
    password: password as PasswordFactor,
    signInRecord: { note: () => undefined },
    events: { sessionsRevoked: () => undefined },
  });
  return { actions, session, asked };
}

test('the cookie of what was shown is sent although nobody can say what comes next', async () => {
  const { actions, session, asked } = setUp();
  const form = { username: 'john', password: 'secret', remember: false, target: null };
  const code = { method: 'totp', code: '123456', target: null } as const;
  const shown = await actions.showSecondFactor(REQUEST, session, code);
  const cookies = [expect.stringMatching(/^authelia_session=the new token;/)];
  expect(shown).toEqual({ status: 'success', redirect: null, cookies });
  expect(await actions.signIn(REQUEST, form)).toEqual({
    redirect: null,
    cookies: [...cookies, expect.stringMatching(/^__Host-/)],
  });
  expect(await actions.redirectOf(session, exampleCom, null)).toBeNull();
  expect(asked).toEqual(['john', 'john', 'john']);
  await expect(actions.next(session, exampleCom, null)).rejects.toThrow(StorageUnavailable);
});
