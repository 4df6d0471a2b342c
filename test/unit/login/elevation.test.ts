import { describe, expect, test } from 'vitest';

import type { GatewayPayload, GatewaySession, GatewaySessions } from '../../../src/authn/gateway-session.ts';
import type { CompletedFactor } from '../../../src/decision/factors.ts';
import {
  CODE_ALPHABET,
  createElevation,
  type ElevationDeps,
  type ElevationOptions,
} from '../../../src/login/elevation.ts';
import type { AttemptOutcome, Enqueued, MailQueue } from '../../../src/notifier/mail-queue.ts';
import type { MailNotice } from '../../../src/notifier/messages.ts';
import type { CodeTry, NewOneTimeCode } from '../../../src/storage/one-time-codes.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';
import { fakeThrottle } from '../factors/fakes.ts';

const OPTIONS: ElevationOptions = {
  code_lifespan: 300_000,
  elevation_lifespan: 600_000,
  characters: 8,
  require_second_factor: false,
  skip_second_factor: false,
};
const HOME = '203.0.113.5';
const SOURCE = { ip: HOME, userAgent: 'Mozilla/5.0 Firefox/140.0', portalUrl: 'https://auth.example.com/' };

function stage(
  options: Partial<ElevationOptions> = {},
  { enrolled = false, mail = true }: { readonly enrolled?: boolean; readonly mail?: boolean } = {},
) {
  const clock = fakeClock();
  const timers = fakeTimers();
  const codes: NewOneTimeCode[] = [];
  const mails: MailNotice[] = [];
  const told: unknown[] = [];
  const updates: GatewayPayload[] = [];
  const ended: string[] = [];
  let sending: Enqueued = { status: 'stored', firstAttempt: Promise.resolve('sent') };
  let verdict: CodeTry | Error = 'accepted';
  const { throttle } = fakeThrottle({}, { clock });
  const queue: MailQueue = {
    async enqueue(notice) {
      mails.push(notice);
      return sending;
    },
    close: () => Promise.resolve(),
  };
  const sessions = {
    async update(session: GatewaySession, payload: GatewayPayload) {
      updates.push(payload);
      return { ...session, payload };
    },
    rise: async (session: GatewaySession, payload: GatewayPayload) => ({
      token: 'a new token',
      session: { ...session, payload },
    }),
  } as unknown as GatewaySessions;
  const deps: ElevationDeps = {
    options: { ...OPTIONS, ...options },
    sessions,
    endSession: async (...of) => ended.push(of.join(' ')) === 1,
    codes: {
      async insert(code) {
        codes.push(code);
      },
      async consume() {
        if (verdict instanceof Error) throw verdict;
        return verdict;
      },
      revoke: async (id) =>
        id === 'unknown' ? null : { username: 'john', sessionId: 'public', wasUsed: id === 'used' },
    },
    mail: mail ? queue : null,
    throttle,
    hasSecondFactor: async () => enrolled,
    deviceOf: () => 'Firefox on Linux',
    clock,
    timers,
    random: seededRandom('elevation'),
    events: {
      proofChecked: (event) => told.push(event),
      elevated: (event) => told.push(event),
    },
  };
  const session = (
    factors: readonly CompletedFactor[] = [{ method: 'password', at: clock.now() }],
    more: Partial<GatewayPayload> = {},
  ): GatewaySession => ({
    key: 'key',
    publicId: 'public',
    version: 1,
    userId: 'john',
    sid: null,
    cookieDomain: 'example.com',
    remembered: false,
    createdAt: clock.now(),
    expiresAt: clock.now() + 3_600_000,
    lastActivity: clock.now(),
    payload: {
      factors,
      profile: { username: 'john', displayName: 'John', emails: ['john@example.com'], groups: [] },
      refreshedAt: clock.now(),
      device: { userAgent: '', ip: HOME },
      portalBinding: '',
      ...more,
    },
  });
  return {
    elevation: createElevation(deps),
    clock,
    timers,
    codes,
    mails,
    told,
    updates,
    ended,
    session,
    send: (how: Enqueued) => void (sending = how),
    answer: (next: CodeTry | Error) => void (verdict = next),
  };
}

const password = (at: number): CompletedFactor => ({ method: 'password', at });
const totp = (at: number): CompletedFactor => ({ method: 'totp', at });

describe('how a session stands', () => {
  const cases: readonly (readonly [
    string,
    { require?: boolean; skip?: boolean; enrolled?: boolean; elevated?: boolean; shown?: number | null },
    { mayChange: boolean; needsSecondFactor?: boolean; skipped?: boolean; canSkip?: boolean },
  ])[] = [
    ['nothing shown', {}, { mayChange: false }],
    ['a code', { elevated: true }, { mayChange: true }],
    ['a second factor, which does not count', { enrolled: true, shown: 0 }, { mayChange: false }],
    [
      'a second factor, which counts',
      { skip: true, enrolled: true, shown: 0 },
      { mayChange: true, skipped: true, canSkip: true },
    ],
    [
      'a second factor of long ago',
      { skip: true, enrolled: true, shown: 600_001 },
      { mayChange: false, canSkip: true },
    ],
    ['none enrolled, though it would count', { skip: true }, { mayChange: false }],
    [
      'a code, and a second factor is demanded',
      { require: true, enrolled: true, elevated: true },
      { mayChange: false, needsSecondFactor: true },
    ],
    ['both', { require: true, enrolled: true, elevated: true, shown: 600_001 }, { mayChange: true }],
    [
      'a code, a second factor is demanded, and none is enrolled',
      { require: true, elevated: true },
      { mayChange: true },
    ],
  ];

  test.each(cases)('%s', async (_name, given, expected) => {
    const { elevation, session, clock } = stage(
      { require_second_factor: given.require ?? false, skip_second_factor: given.skip ?? false },
      { enrolled: given.enrolled ?? false },
    );
    const now = clock.now();
    const factors = [password(now), ...(typeof given.shown === 'number' ? [totp(now - given.shown)] : [])];
    const elevated = given.elevated ? { elevation: { until: now + 1000, ip: HOME } } : {};
    expect(await elevation.standingOf(session(factors, elevated), HOME)).toEqual({
      needsSecondFactor: false,
      skipped: false,
      canSkip: false,
      elevated: given.elevated ?? false,
      expiresIn: given.elevated ? 1000 : 0,
      ...expected,
    });
  });

  test.each([
    ['is over', 0, HOME],
    ['was proven elsewhere', 1000, '203.0.113.6'],
    ['was proven in another network', 1000, '2001:db8::1'],
  ])('an elevation that %s ends for good', async (_name, left, ip) => {
    const { elevation, session, clock, updates } = stage();
    const own = session([password(clock.now())], { elevation: { until: clock.now() + left, ip } });
    expect(await elevation.standingOf(own, HOME)).toMatchObject({ mayChange: false, elevated: false });
    expect(updates).toHaveLength(1);
    expect(updates[0]).not.toHaveProperty('elevation');
  });

  test('one client may have all addresses of an IPv6 network', async () => {
    const { elevation, session, clock } = stage();
    const own = session([], { elevation: { until: clock.now() + 1, ip: '2001:db8:0:1::5' } });
    expect(await elevation.standingOf(own, '2001:db8:0:1:ffff::9')).toMatchObject({ elevated: true });
    expect(await elevation.standingOf(own, '2001:db8:0:2::5')).toMatchObject({ elevated: false });
  });
});

describe('a code', () => {
  test('has no letters that are taken for others, and is bound to person, session and purpose', async () => {
    const { elevation, session, codes, mails, clock } = stage();
    const sent = await elevation.start(session(), SOURCE);
    const [code] = codes;
    expect(code).toMatchObject({
      username: 'john',
      purpose: 'elevation',
      sessionId: 'public',
      attempts: 5,
      expiresAt: clock.now() + 300_000,
    });
    expect(code?.code).toMatch(new RegExp(`^[${CODE_ALPHABET}]{8}$`));
    expect(CODE_ALPHABET).not.toMatch(/[IOS015]/);
    expect(sent).toEqual({ id: code?.id, isDelayed: false });
    expect(mails[0]?.content).toMatchObject({
      code: code?.code,
      revocation: { url: `https://auth.example.com/revoke/one-time-code?id=${code?.id}` },
    });
    expect(mails[0]?.content.details).toContainEqual(['Device', 'Firefox on Linux']);
  });

  test.each<[string, Enqueued, unknown]>([
    ['taken', { status: 'stored', firstAttempt: Promise.resolve('sent') }, false],
    ['not taken yet', { status: 'stored', firstAttempt: Promise.resolve('waiting') }, true],
    ['refused', { status: 'stored', firstAttempt: Promise.resolve('dropped') }, 'not-sent'],
    ['one of too many', { status: 'full' }, 'not-sent'],
  ])('tells whether its mail is %s', async (_name, how, expected) => {
    const { elevation, session, send } = stage();
    send(how);
    const sent = await elevation.start(session(), SOURCE);
    expect(typeof sent === 'string' ? sent : sent.isDelayed).toBe(expected);
  });

  test('a slow mail server is waited for no longer than a second', async () => {
    const { elevation, session, send, timers } = stage();
    const { promise } = Promise.withResolvers<AttemptOutcome>();
    send({ status: 'stored', firstAttempt: promise });
    const sent = elevation.start(session(), SOURCE);
    while (timers.pending === 0) await Promise.resolve();
    timers.advance(1000);
    expect(await sent).toMatchObject({ isDelayed: true });
  });

  test('is made for nobody who cannot get it', async () => {
    const { elevation, session, codes } = stage();
    const { profile } = session().payload;
    const nameless = session([], { profile: { ...profile, emails: [] } });
    expect(await elevation.start(nameless, SOURCE)).toBe('no-address');
    const other = stage({}, { mail: false });
    expect(await other.elevation.start(other.session(), SOURCE)).toBe('not-sent');
    expect([...codes, ...other.codes]).toEqual([]);
  });

  const attempt = (own: GatewaySession, code = 'ABCDEFGH') => ({
    session: own,
    code,
    ip: HOME,
    find: async () => own,
  });

  test('elevates for a while, and is told', async () => {
    const { elevation, session, clock, told } = stage();
    const raised = await elevation.finish(attempt(session()));
    expect(raised?.token).toBe('a new token');
    expect(raised?.session.payload.elevation).toEqual({ until: clock.now() + 600_000, ip: HOME });
    expect(told).toEqual([
      { username: 'john', ip: HOME, proof: 'elevation-code', success: true },
      { username: 'john', ip: HOME },
    ]);
  });

  test('that is wrong is counted; after three the next is not even looked at', async () => {
    const { elevation, session, answer, told } = stage();
    answer('wrong');
    for (let i = 0; i < 4; i++) expect(await elevation.finish(attempt(session()))).toBe(null);
    expect(told).toHaveLength(3);
    answer('accepted');
    expect(await elevation.finish(attempt(session()))).toBe(null);
  });

  test('that could not be looked at is not counted', async () => {
    const { elevation, session, answer } = stage();
    answer(new Error('the database does not answer'));
    for (let i = 0; i < 5; i++) {
      await expect(elevation.finish(attempt(session()))).rejects.toThrow('does not answer');
    }
    answer('accepted');
    expect(await elevation.finish(attempt(session()))).not.toBe(null);
  });

  test('is void when it was revoked', async () => {
    const { elevation, ended } = stage();
    expect([await elevation.revoke('known'), await elevation.revoke('unknown')]).toEqual([true, false]);
    expect(ended).toEqual([]);
  });

  test('that was used before it was revoked ends the session in which it counted', async () => {
    const { elevation, ended } = stage();
    expect([await elevation.revoke('used'), await elevation.revoke('used')]).toEqual([true, false]);
    expect(ended[0]).toBe('john public');
  });
});
