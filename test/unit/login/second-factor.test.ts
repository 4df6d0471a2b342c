import { describe, expect, test } from 'vitest';

import type { GatewayPayload, GatewaySession, GatewaySessions } from '../../../src/authn/gateway-session.ts';
import type { RecoveryCodes } from '../../../src/factors/recovery-codes.ts';
import type { CountedAttempt } from '../../../src/factors/throttle.ts';
import type { TotpCheck, TotpFactor } from '../../../src/factors/totp-factor.ts';
import type { SecondFactorMethod } from '../../../src/login/next-step.ts';
import type { Notice } from '../../../src/login/notices.ts';
import { createSecondFactor, noSecondFactor } from '../../../src/login/second-factor.ts';
import { StorageUnavailable } from '../../../src/storage/errors.ts';
import { fakeClock } from '../../support/fake-clock.ts';

const FROM = { ip: '203.0.113.5', portalUrl: 'https://auth.example.com/' };

const sessionOf = (payload: Partial<GatewayPayload> = {}): GatewaySession => ({
  key: 'key',
  publicId: 'public',
  version: 1,
  userId: 'john',
  sid: null,
  cookieDomain: 'example.com',
  remembered: false,
  createdAt: 0,
  expiresAt: 100,
  lastActivity: 0,
  payload: {
    factors: [{ method: 'password', at: 5 }],
    profile: { username: 'john', displayName: 'John', emails: [], groups: [] },
    refreshedAt: 0,
    device: { userAgent: '', ip: '' },
    portalBinding: 'binding',
    ...payload,
  },
});

/** A second factor over fakes that note, in order, what was asked of them. */
function setUp(
  over: {
    readonly verify?: () => Promise<TotpCheck>;
    readonly begin?: CountedAttempt | 'banned';
    readonly wait?: number;
    /** Answers of `rise`, one after the other. */
    readonly rises?: readonly boolean[];
    readonly codes?: number;
    /** Default: true. */
    readonly isEnrolled?: boolean;
  } = {},
) {
  const clock = fakeClock();
  const log: string[] = [];
  const note =
    (what: string) =>
    (..._arguments: unknown[]): Promise<void> => {
      log.push(what);
      return Promise.resolve();
    };
  const counted = {
    isRepeated: false,
    succeeded: note('succeeded'),
    failed: note('failed'),
    takeBack: note('taken back'),
  };
  const totp: Pick<TotpFactor, 'verify' | 'find'> = {
    find: () =>
      Promise.resolve(
        (over.isEnrolled ?? true)
          ? { issuer: '', algorithm: 'SHA1', digits: 6, period: 30, createdAt: 0, lastUsedAt: null }
          : null,
      ),
    verify: () => {
      log.push('looked at');
      return (over.verify ?? (async () => ({ status: 'success', step: 1 })))();
    },
  };
  let left = over.codes ?? 0;
  const recoveryCodes: Pick<RecoveryCodes, 'use' | 'count'> = {
    count: () => Promise.resolve(left),
    use: () => {
      log.push('looked at');
      return Promise.resolve(left-- > 0);
    },
  };
  const risen: GatewayPayload[] = [];
  const rises = [...(over.rises ?? [true])];
  const sessions: Pick<GatewaySessions, 'rise'> = {
    rise(session, payload) {
      if (!rises.shift()) return Promise.resolve(null);
      risen.push(payload);
      return Promise.resolve({ token: 'new token', session: { ...session, payload } });
    },
  };
  const events: object[] = [];
  const notices: Notice[] = [];
  const secondFactor = createSecondFactor({
    totp: totp as TotpFactor,
    recoveryCodes: recoveryCodes as RecoveryCodes,
    throttle: {
      begin: () => {
        log.push('counted');
        return Promise.resolve(over.begin ?? counted);
      },
      allows: () => true,
    },
    rateLimits: { take: () => Promise.resolve(over.wait ?? null) },
    sessions: sessions as GatewaySessions,
    clock,
    events: {
      proofChecked: (event) => events.push(event),
      attemptRefused: (event) => events.push(event),
      recoveryCodeUsed: (event) => events.push(event),
    },
    notices: { tell: (_person, _from, notice) => notices.push(notice) },
  });
  const complete = (
    method: SecondFactorMethod = 'totp',
    session = sessionOf(),
    find: () => Promise<GatewaySession | null> = () => Promise.resolve(session),
  ) => secondFactor.complete({ session, method, code: '123456', from: FROM, find });
  return { clock, log, risen, events, notices, complete, secondFactor };
}

describe('showing a second factor', () => {
  test('is counted before the code is looked at, and raises the session with all else kept', async () => {
    const { complete, log, risen, events, clock } = setUp();
    const elevation = { until: 9, ip: FROM.ip };
    expect(await complete('totp', sessionOf({ elevation }))).toMatchObject({
      status: 'success',
      token: 'new token',
    });
    expect(log).toEqual(['counted', 'looked at', 'succeeded']);
    expect(risen).toMatchObject([
      {
        factors: [
          { method: 'password', at: 5 },
          { method: 'totp', at: clock.now() },
        ],
        portalBinding: 'binding',
        elevation,
      },
    ]);
    expect(events).toEqual([{ username: 'john', ip: FROM.ip, proof: 'totp', success: true }]);
  });

  test('once more replaces the earlier time of the same method', async () => {
    const { complete, risen, clock } = setUp();
    const factors = [
      { method: 'password', at: 1 },
      { method: 'totp', at: 2 },
    ] as const;
    await complete('totp', sessionOf({ factors }));
    expect(risen[0]?.factors).toEqual([
      { method: 'password', at: 1 },
      { method: 'totp', at: clock.now() },
    ]);
  });

  test('a wrong code counts as failed, and says why in the record alone', async () => {
    const { complete, log, risen, events } = setUp({
      verify: async () => ({ status: 'failure', reason: 'used-code' }),
    });
    expect(await complete()).toEqual({ status: 'failure' });
    expect([log, risen]).toEqual([['counted', 'looked at', 'failed'], []]);
    expect(events).toEqual([
      { username: 'john', ip: FROM.ip, proof: 'totp', success: false, reason: 'used-code' },
    ]);
  });

  test('a banned one looks like a wrong code, which nobody has looked at', async () => {
    const { complete, log } = setUp({ begin: 'banned' });
    expect(await complete()).toEqual({ status: 'failure' });
    expect(log).toEqual(['counted']);
  });

  test('an address that asks too often is told when to come again, before anything is counted', async () => {
    const { complete, log, events } = setUp({ wait: 1500 });
    expect(await complete()).toEqual({ status: 'rate-limited', retryAfter: 1500 });
    expect([log, events]).toMatchObject([[], [{ why: 'rate-limit' }]]);
  });

  test('a storage that does not answer takes the try back, and lets nobody in', async () => {
    const { complete, log, risen } = setUp({ verify: () => Promise.reject(new StorageUnavailable('down')) });
    await expect(complete()).rejects.toThrow(StorageUnavailable);
    expect([log, risen]).toEqual([['counted', 'looked at', 'taken back'], []]);
  });

  test('holds when something else changes the session meanwhile, and not when it has ended', async () => {
    const changed = setUp({ rises: [false, true] });
    expect((await changed.complete()).status).toBe('success');
    const ended = setUp({ rises: [false, true] });
    expect(await ended.complete('totp', sessionOf(), async () => null)).toEqual({ status: 'failure' });
    const another = setUp({ rises: [false, true] });
    const other = { ...sessionOf(), publicId: 'another' };
    expect(await another.complete('totp', sessionOf(), async () => other)).toEqual({ status: 'failure' });
    expect([ended.risen, another.risen]).toEqual([[], []]);
  });

  test('a recovery code is told of, with how many are left', async () => {
    const { complete, events, notices, risen } = setUp({ codes: 3 });
    expect((await complete('recovery-code')).status).toBe('success');
    expect(risen[0]?.factors.at(-1)?.method).toBe('recovery-code');
    expect(events.at(-1)).toEqual({ username: 'john', ip: FROM.ip, left: 2 });
    expect(notices).toEqual([{ kind: 'recovery-code-used', left: 2 }]);
  });
});

test('recovery codes stand for a factor that the person has, as long as one is left', async () => {
  expect(await setUp().secondFactor.enrolled('john')).toEqual(['totp']);
  expect(await setUp({ codes: 1 }).secondFactor.enrolled('john')).toEqual(['totp', 'recovery-code']);
  const bare = setUp({ codes: 1, isEnrolled: false });
  expect(await bare.secondFactor.enrolled('john')).toEqual([]);
  expect(await bare.complete('recovery-code')).toEqual({ status: 'failure' });
  expect(bare.events).toMatchObject([{ success: false, reason: 'not-enrolled' }]);
  expect(bare.secondFactor.offered).toEqual(['totp']);
});

test('where nothing is stored nobody has one, and none holds', async () => {
  expect([noSecondFactor.offered, await noSecondFactor.enrolled('john')]).toEqual([[], []]);
  const attempt = {
    session: sessionOf(),
    method: 'totp',
    code: '123456',
    from: FROM,
    find: async () => null,
  } as const;
  expect(await noSecondFactor.complete(attempt)).toEqual({ status: 'failure' });
});
