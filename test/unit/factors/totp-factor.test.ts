import { describe, expect, test } from 'vitest';

import {
  createTotpFactor,
  type TotpCredential,
  type TotpOptions,
  type TotpStore,
} from '../../../src/factors/totp-factor.ts';
import { parseTotpSecret, totpCode, type TotpKey, totpStep } from '../../../src/factors/totp.ts';
import { createTokenSealer } from '../../../src/lib/sealed-token.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';

const defaults: TotpOptions = {
  issuer: 'Example',
  algorithm: 'SHA1',
  digits: 6,
  period: 30,
  skew: 1,
  secret_size: 32,
  allowed_algorithms: ['SHA1', 'SHA256'],
  allowed_digits: [6],
  allowed_periods: [30, 60],
  disable_reuse_security_policy: false,
};
const JANE = { username: 'jane', session: 'public-id-1' };

function memoryStore() {
  const credentials = new Map<string, TotpCredential>();
  const starts = new Map<string, Set<number>>();
  const store: TotpStore = {
    find: async (username) => credentials.get(username) ?? null,
    replace: async (credential) => void credentials.set(credential.username, credential),
    remove: async (username) => credentials.delete(username),
    async recordStep(username, start) {
      const recorded = starts.get(username) ?? new Set();
      if (Math.max(...recorded) >= start) return false;
      starts.set(username, recorded.add(start));
      return true;
    },
    async recordUse(username, at) {
      const credential = credentials.get(username);
      if (credential) credentials.set(username, { ...credential, lastUsedAt: at });
    },
  };
  return { store, credentials };
}

function open(changes: Partial<TotpOptions> = {}, changedStore: Partial<TotpStore> = {}) {
  const { store, credentials } = memoryStore();
  const clock = fakeClock();
  const random = seededRandom(1);
  const warnings: string[] = [];
  const factor = createTotpFactor(
    { ...defaults, ...changes },
    {
      store: { ...store, ...changedStore },
      sealer: createTokenSealer(['a secret of the session section'], { random, clock }),
      random,
      clock,
      logger: { warn: (_fields, message) => warnings.push(message) },
    },
  );
  const codeOf = (key: TotpKey, offset = 0): string => totpCode(key, totpStep(key, clock.now()) + offset);
  const begin = (...args: Parameters<typeof factor.beginEnrolment>) => {
    const enrolment = factor.beginEnrolment(...args);
    if (!enrolment) throw new Error('not allowed');
    const key: TotpKey = { ...enrolment.parameters, secret: parseTotpSecret(enrolment.secret) };
    return { ...enrolment, key };
  };
  /** Enrols and waits until the first code is over. */
  const enrol = async (): Promise<TotpKey> => {
    const { key, sealed } = begin(JANE);
    expect(await factor.finishEnrolment(JANE, sealed, codeOf(key))).toEqual({ status: 'success' });
    clock.advance(60_000);
    return key;
  };
  return { factor, clock, credentials, warnings, codeOf, begin, enrol };
}

const failure = (reason: string) => ({ status: 'failure', reason });

describe('a check', () => {
  test('is right once for each step, whichever of several at once comes first', async () => {
    const { factor, enrol, codeOf, clock } = open();
    const key = await enrol();
    const answers = await Promise.all(Array.from({ length: 50 }, () => factor.verify('jane', codeOf(key))));
    expect(answers.filter(({ status }) => status === 'success')).toEqual([
      { status: 'success', step: totpStep(key, clock.now()) },
    ]);
    expect(answers).toContainEqual(failure('used-code'));
    expect(await factor.verify('jane', codeOf(key, 1))).toMatchObject({ status: 'success' });
    // A step later the same code is within the window again, and still used.
    clock.advance(30_000);
    expect(await factor.verify('jane', codeOf(key))).toEqual(failure('used-code'));
  });

  test('with a wrong code uses nothing up', async () => {
    const { factor, enrol, codeOf, credentials } = open();
    const key = await enrol();
    expect(await factor.verify('jane', codeOf(key, 2))).toEqual(failure('wrong-code'));
    expect(await factor.verify('jane', '')).toEqual(failure('wrong-code'));
    expect(credentials.get('jane')?.lastUsedAt).toBeNull();
    expect(await factor.verify('jane', codeOf(key))).toMatchObject({ status: 'success' });
  });

  test('of somebody without an authenticator fails', async () => {
    const { factor, enrol, codeOf } = open();
    const key = await enrol();
    expect(await factor.verify('joe', codeOf(key))).toEqual(failure('not-enrolled'));
  });

  test('goes by the parameters of the credential, not by those of the configuration', async () => {
    const { factor, begin, codeOf, clock } = open();
    const { key, sealed } = begin(JANE, { algorithm: 'SHA256', period: 60 });
    await factor.finishEnrolment(JANE, sealed, codeOf(key));
    clock.advance(60_000);
    expect(await factor.verify('jane', codeOf(key))).toMatchObject({ status: 'success' });
  });

  test('is as good with an authenticator whose steps are longer or shorter than those of the one before', async () => {
    const { factor, begin, codeOf, clock } = open({ allowed_periods: [15, 30, 60] });
    for (const period of [30, 60, 15, 30]) {
      const { key, sealed } = begin(JANE, { period });
      expect(await factor.finishEnrolment(JANE, sealed, codeOf(key))).toEqual({ status: 'success' });
      clock.advance(120_000);
      const code = codeOf(key);
      expect(await factor.verify('jane', code)).toMatchObject({ status: 'success' });
      expect(await factor.verify('jane', code)).toEqual(failure('used-code'));
      clock.advance(120_000);
    }
  });

  test('may be repeated only where the configuration says so', async () => {
    const { factor, enrol, codeOf } = open({ disable_reuse_security_policy: true });
    const key = await enrol();
    for (let i = 0; i < 2; i++)
      expect(await factor.verify('jane', codeOf(key))).toMatchObject({ status: 'success' });
  });

  test('throws when the step cannot be recorded, and never lets anybody in', async () => {
    const down = () => Promise.reject(new Error('database down'));
    const { factor, begin, codeOf, credentials } = open({}, { recordStep: down });
    const { key, sealed } = begin(JANE);
    await expect(factor.finishEnrolment(JANE, sealed, codeOf(key))).rejects.toThrow('database down');
    expect(credentials.size).toBe(0);
    credentials.set('jane', { ...key, username: 'jane', issuer: '', createdAt: 0, lastUsedAt: null });
    await expect(factor.verify('jane', codeOf(key))).rejects.toThrow('database down');
  });

  test('counts although the date of the last use cannot be written', async () => {
    const { factor, enrol, codeOf, warnings } = open(
      {},
      { recordUse: () => Promise.reject(new Error('down')) },
    );
    const key = await enrol();
    expect(await factor.verify('jane', codeOf(key))).toMatchObject({ status: 'success' });
    expect(warnings).toEqual(['the last use of an authenticator could not be written down']);
  });
});

describe('an enrolment', () => {
  test('is stored only when its first code is right, and that code is used then', async () => {
    const { factor, begin, codeOf, clock, credentials } = open();
    const { key, sealed, url } = begin(JANE);
    expect(key.secret).toHaveLength(32);
    expect(new URL(url).searchParams.get('issuer')).toBe('Example');
    expect(await factor.find('jane')).toBeNull();
    expect(await factor.finishEnrolment(JANE, sealed, codeOf(key, 2))).toEqual(failure('wrong-code'));
    expect(credentials.size).toBe(0);
    const code = codeOf(key);
    expect(await factor.finishEnrolment(JANE, sealed, code)).toEqual({ status: 'success' });
    expect(await factor.find('jane')).toEqual({
      issuer: 'Example',
      algorithm: 'SHA1',
      digits: 6,
      period: 30,
      createdAt: clock.now(),
      lastUsedAt: null,
    });
    expect(await factor.verify('jane', code)).toEqual(failure('used-code'));
    expect(await factor.finishEnrolment(JANE, sealed, code)).toEqual(failure('used-code'));
    clock.advance(30_000);
    expect(await factor.verify('jane', codeOf(key))).toMatchObject({ status: 'success' });
    expect(await factor.find('jane')).toMatchObject({ lastUsedAt: clock.now() });
  });

  test('stores nothing where what has to come before fails, and the next code confirms', async () => {
    const { factor, begin, codeOf, clock, credentials } = open();
    const { key, sealed } = begin(JANE);
    let prepared = 0;
    const prepare = async (): Promise<void> => {
      expect(credentials.size).toBe(0);
      if (++prepared === 1) throw new Error('down');
    };
    expect(await factor.finishEnrolment(JANE, sealed, '', prepare)).toEqual(failure('wrong-code'));
    expect(prepared).toBe(0);
    await expect(factor.finishEnrolment(JANE, sealed, codeOf(key), prepare)).rejects.toThrow('down');
    expect(credentials.size).toBe(0);
    clock.advance(30_000);
    expect(await factor.finishEnrolment(JANE, sealed, codeOf(key), prepare)).toEqual({ status: 'success' });
  });

  test('belongs to its person and session, for ten minutes', async () => {
    const { factor, begin, codeOf, clock, credentials } = open();
    const { key, sealed } = begin(JANE);
    for (const owner of [
      { ...JANE, username: 'joe' },
      { ...JANE, session: 'public-id-2' },
    ]) {
      expect(await factor.finishEnrolment(owner, sealed, codeOf(key))).toEqual(failure('invalid'));
    }
    expect(await factor.finishEnrolment(JANE, `${sealed}A`, codeOf(key))).toEqual(failure('invalid'));
    clock.advance(600_000);
    expect(await factor.finishEnrolment(JANE, sealed, codeOf(key))).toEqual(failure('expired'));
    expect(credentials.size).toBe(0);
  });

  test('takes what the configuration allows and nothing else', () => {
    const { factor, begin } = open();
    expect(begin(JANE).parameters).toEqual({ algorithm: 'SHA1', digits: 6, period: 30 });
    expect(begin(JANE, { algorithm: 'SHA256', period: 60 }).parameters).toEqual({
      algorithm: 'SHA256',
      digits: 6,
      period: 60,
    });
    for (const choice of [{ algorithm: 'SHA512' }, { digits: 8 }, { period: 15 }] as const) {
      expect(factor.beginEnrolment(JANE, choice)).toBeNull();
    }
  });

  test('takes the place of an earlier one; a removed one is gone', async () => {
    const { factor, enrol, codeOf } = open();
    const first = await enrol();
    const second = await enrol();
    expect(await factor.verify('jane', codeOf(first))).toEqual(failure('wrong-code'));
    expect(await factor.verify('jane', codeOf(second))).toMatchObject({ status: 'success' });
    expect(await factor.remove('jane')).toBe(true);
    expect(await factor.remove('jane')).toBe(false);
    expect(await factor.verify('jane', codeOf(second))).toEqual(failure('not-enrolled'));
  });
});
