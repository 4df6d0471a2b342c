import { describe, expect, test } from 'vitest';

import { accessControlSchema } from '../../../src/decision/config.ts';
import { decide, requiredLevel } from '../../../src/decision/decide.ts';
import type { CompletedFactor, FactorMethod } from '../../../src/decision/factors.ts';
import { compilePolicy } from '../../../src/decision/policy.ts';
import { targetOf } from './target-of.ts';

/** Rules that demand more than a level: certain factors, and fresh ones. */

const john = { username: 'john', groups: [] };
const NOW = 1_800_000_000_000;
const MINUTE = 60_000;

const policy = compilePolicy(
  accessControlSchema.parse({
    rules: [
      { domain: 'fresh1.example.com', policy: 'one_factor', max_age: '10m' },
      { domain: 'fresh2.example.com', policy: 'two_factor', max_age: '10m' },
      { domain: 'totp.example.com', policy: 'one_factor', factors: ['totp'] },
      { domain: 'freshtotp.example.com', policy: 'two_factor', factors: 'totp', max_age: '1h' },
      { domain: 'password.example.com', policy: 'two_factor', factors: ['password'], max_age: '5 minutes' },
      { domain: 'paths.example.com', policy: 'one_factor', resources: ['^/a/'], max_age: '1m' },
      { domain: 'paths.example.com', policy: 'two_factor', resources: ['^/b/'] },
      { domain: 'paths.example.com', policy: 'one_factor' },
    ],
  }),
);

const factor = (method: FactorMethod, minutes: number): CompletedFactor => ({
  method,
  at: NOW - minutes * MINUTE,
});
const outcome = (url: string, level: 0 | 1 | 2, factors: readonly CompletedFactor[]): string =>
  decide(policy, targetOf(url), john, level, { factors, now: NOW }).outcome;

describe('a decision', () => {
  test.each<[host: string, level: 1 | 2, factors: readonly CompletedFactor[], wanted: string]>([
    ['fresh1', 1, [factor('password', 10)], 'allow'],
    ['fresh1', 1, [factor('password', 10.001)], 'challenge'],
    ['fresh1', 2, [factor('password', 600), factor('totp', 1)], 'allow'],
    // A clock of another replica runs ahead.
    ['fresh1', 1, [factor('password', -1)], 'allow'],
    ['fresh2', 1, [factor('password', 0)], 'challenge'],
    ['fresh2', 2, [factor('password', 600), factor('totp', 9)], 'allow'],
    ['fresh2', 2, [factor('password', 600), factor('recovery-code', 9)], 'allow'],
    ['fresh2', 2, [factor('totp', 11), factor('password', 0)], 'challenge'],
    ['totp', 1, [factor('password', 0)], 'challenge'],
    ['totp', 2, [factor('password', 0), factor('recovery-code', 0)], 'challenge'],
    ['totp', 2, [factor('password', 600), factor('totp', 600)], 'allow'],
    ['freshtotp', 2, [factor('password', 0), factor('totp', 61)], 'challenge'],
    ['freshtotp', 2, [factor('password', 300), factor('totp', 59)], 'allow'],
    ['password', 2, [factor('password', 6), factor('totp', 0)], 'challenge'],
    ['password', 2, [factor('password', 4), factor('totp', 400)], 'allow'],
  ])('%s.example.com at level %i: %j is %s', (host, level, factors, wanted) => {
    expect(outcome(`https://${host}.example.com/`, level, factors)).toBe(wanted);
  });

  test('knows nothing of proofs unless it is told: then what demands them stays closed', () => {
    for (const host of ['fresh1', 'fresh2', 'totp', 'freshtotp', 'password']) {
      expect(decide(policy, targetOf(`https://${host}.example.com/`), john, 2).outcome, host).toBe(
        'challenge',
      );
    }
  });

  test('a path with several readings must meet what each of them demands', () => {
    const target = targetOf('https://paths.example.com/x');
    const url = { ...target.url, readings: ['/b/x', '/a/x'] as const };
    const { level, proofs } = requiredLevel(policy, { ...target, url }, john);
    expect([level, proofs.map(({ maxAge }) => maxAge)]).toEqual(['two_factor', [MINUTE]]);
    const ask = (factors: readonly CompletedFactor[]): string =>
      decide(policy, { ...target, url }, john, 2, { factors, now: NOW }).outcome;
    expect(ask([factor('password', 2), factor('totp', 2)])).toBe('challenge');
    expect(ask([factor('password', 2), factor('totp', 0.5)])).toBe('allow');
  });
});

describe('a policy', () => {
  test('asks for a second factor where a rule demands one by name', () => {
    const usesTwoFactor = (more: object): boolean =>
      compilePolicy(accessControlSchema.parse({ rules: [{ domain: 'a.b', policy: 'one_factor', ...more }] }))
        .usesTwoFactor;
    expect(usesTwoFactor({})).toBe(false);
    expect(usesTwoFactor({ max_age: '1h' })).toBe(false);
    expect(usesTwoFactor({ factors: ['totp', 'password'] })).toBe(false);
    expect(usesTwoFactor({ factors: ['totp'] })).toBe(true);
  });

  test.each([
    [{ policy: 'bypass', max_age: '1h' }, /must not be set with policy bypass, which asks nobody/],
    [{ policy: 'deny', factors: ['totp'] }, /must not be set with policy deny, which lets nobody in/],
    [{ policy: 'one_factor', max_age: 0 }, /must be longer than 0/],
    [{ policy: 'one_factor', factors: ['sms'] }, /must be one of password, totp/],
  ])('refuses %j', (more, message) => {
    expect(() => accessControlSchema.parse({ rules: [{ domain: 'a.b', ...more }] })).toThrow(message);
  });
});
