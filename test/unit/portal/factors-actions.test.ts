import { describe, expect, test } from 'vitest';

import type { GatewaySession, GatewaySessions } from '../../../src/authn/gateway-session.ts';
import type { RecoveryCodes } from '../../../src/factors/recovery-codes.ts';
import type { TotpDetails, TotpFactor } from '../../../src/factors/totp-factor.ts';
import { createFactorActions } from '../../../src/portal/factors-actions.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import type { Preferences } from '../../../src/storage/preferences.ts';

const FROM = { ip: '203.0.113.5', portalUrl: 'https://auth.example.com/' };
const DETAILS: TotpDetails = {
  issuer: '',
  algorithm: 'SHA1',
  digits: 6,
  period: 30,
  createdAt: 0,
  lastUsedAt: null,
};
const SESSION: GatewaySession = {
  key: 'key',
  publicId: 'own',
  version: 1,
  userId: 'john',
  sid: null,
  cookieDomain: 'example.com',
  remembered: false,
  createdAt: 0,
  expiresAt: 100,
  lastActivity: 0,
  payload: {
    factors: [],
    profile: { username: 'john', displayName: '', emails: [], groups: [] },
    refreshedAt: 0,
    device: { userAgent: '', ip: '' },
    portalBinding: '',
    totpEnrolment: 'sealed',
  },
};
const OWN = { session: SESSION, find: () => Promise.resolve(SESSION) };

/** The actions of somebody who has an authenticator or none, and what they did in which order. */
function setUp(hasTotp: boolean) {
  const log: string[] = [];
  const failing = new Set<string>();
  let credential = hasTotp ? DETAILS : null;
  const act = async (what: string): Promise<void> => {
    if (failing.has(what)) throw new StoreUnavailable(`${what}: down`);
    log.push(what);
  };
  const totp: Pick<TotpFactor, 'find' | 'remove' | 'finishEnrolment'> = {
    find: () => Promise.resolve(credential),
    async finishEnrolment(_owner, _sealed, code, prepare) {
      if (code !== 'right') return { status: 'failure', reason: 'wrong-code' };
      await prepare?.();
      await act('stored');
      credential = DETAILS;
      return { status: 'success' };
    },
    async remove() {
      const isThere = credential !== null;
      await act('factor removed');
      credential = null;
      return isThere;
    },
  };
  const recoveryCodes: Pick<RecoveryCodes, 'remove'> = { remove: () => act('codes removed') };
  const sessions: Pick<GatewaySessions, 'endAllOf' | 'update'> = {
    async endAllOf(username, _reason, except) {
      await act('others ended');
      expect([username, except]).toEqual(['john', 'own']);
      return 1;
    },
    update: (session, payload) => Promise.resolve({ ...session, payload }),
  };
  const actions = createFactorActions({
    account: {
      totp: totp as TotpFactor,
      recoveryCodes: recoveryCodes as RecoveryCodes,
      preferences: {} as Preferences,
    },
    sessions: sessions as GatewaySessions,
    events: {
      factorAdded: () => log.push('told: added'),
      factorRemoved: () => log.push('told: removed'),
      recoveryCodesMade: () => undefined,
    },
    notices: null,
  });
  if (!actions.totp) throw new Error('one-time passwords are offered');
  return { totp: actions.totp, log, failing };
}

describe('removing an authenticator', () => {
  test('ends the other sessions before it is gone, and once more afterwards', async () => {
    const { totp, log } = setUp(true);
    expect(await totp.remove(SESSION, FROM)).toBe(true);
    expect(log).toEqual(['others ended', 'codes removed', 'factor removed', 'told: removed', 'others ended']);
  });

  test.each(['others ended', 'codes removed', 'factor removed'])(
    'leaves it where this fails, and a repeat does all of it: %s',
    async (step) => {
      const { totp, log, failing } = setUp(true);
      failing.add(step);
      await expect(totp.remove(SESSION, FROM)).rejects.toThrow(StoreUnavailable);
      expect(log).not.toContain('factor removed');
      failing.clear();
      log.length = 0;
      expect(await totp.remove(SESSION, FROM)).toBe(true);
      expect(log).toEqual([
        'others ended',
        'codes removed',
        'factor removed',
        'told: removed',
        'others ended',
      ]);
    },
  );
});

describe('finishing an enrolment', () => {
  test('takes old recovery codes away before the new authenticator is there', async () => {
    const { totp, log, failing } = setUp(false);
    failing.add('codes removed');
    await expect(totp.finish(OWN, 'right', FROM)).rejects.toThrow(StoreUnavailable);
    expect(log).toEqual([]);
    failing.clear();
    expect(await totp.finish(OWN, 'right', FROM)).toEqual({ status: 'success' });
    expect(log).toEqual(['codes removed', 'stored', 'told: added']);
  });

  test('in the place of another ends the other sessions before and afterwards', async () => {
    const { totp, log, failing } = setUp(true);
    failing.add('others ended');
    await expect(totp.finish(OWN, 'right', FROM)).rejects.toThrow(StoreUnavailable);
    expect(log).toEqual([]);
    failing.clear();
    expect(await totp.finish(OWN, 'right', FROM)).toEqual({ status: 'success' });
    expect(log).toEqual(['others ended', 'stored', 'told: added', 'others ended']);
  });

  test('with a wrong code ends and removes nothing', async () => {
    const { totp, log } = setUp(true);
    expect(await totp.finish(OWN, 'wrong', FROM)).toMatchObject({ status: 'failure' });
    expect(log).toEqual([]);
  });
});
