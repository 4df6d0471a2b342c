import { describe, expect, test } from 'vitest';

import type { CompletedFactor, FactorMethod, ProofDemand } from '../../../src/decision/factors.ts';
import type { Level } from '../../../src/decision/target.ts';
import {
  nextStep,
  type NextStep,
  type SecondFactorMethod,
  type Situation,
} from '../../../src/login/next-step.ts';

type Row = [
  level: 0 | 1 | 2,
  required: Level | null,
  usesTwoFactor: boolean,
  home: boolean,
  step: NextStep['kind'],
];

const both = [false, true];
/** Every situation there is without demands for certain proofs, for somebody with an authenticator. */
const table: readonly Row[] = [
  // Nobody: the password, whatever else is known.
  ...([null, 'bypass', 'one_factor', 'two_factor', 'deny'] as const).flatMap((required) =>
    both.flatMap((uses) => both.map((home): Row => [0, required, uses, home, 'password'])),
  ),
  // With a target nothing else counts.
  ...([1, 2] as const).flatMap((level) =>
    (['bypass', 'one_factor', 'deny'] as const).flatMap((required) =>
      both.flatMap((uses) => both.map((home): Row => [level, required, uses, home, 'target'])),
    ),
  ),
  ...both.flatMap((uses) => both.map((home): Row => [1, 'two_factor', uses, home, 'second-factor'])),
  ...both.flatMap((uses) => both.map((home): Row => [2, 'two_factor', uses, home, 'target'])),
  // Without a target.
  [1, null, false, false, 'stay'],
  [1, null, false, true, 'default-redirection'],
  [1, null, true, false, 'stay'],
  [1, null, true, true, 'stay'],
  [2, null, false, false, 'stay'],
  [2, null, false, true, 'default-redirection'],
  [2, null, true, false, 'stay'],
  [2, null, true, true, 'default-redirection'],
];

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const shown = (method: FactorMethod, age = 0): CompletedFactor => ({ method, at: NOW - age });

function situation(more: Partial<Situation> = {}): Situation {
  return {
    level: 1,
    proven: { factors: [shown('password')], now: NOW },
    required: { level: 'two_factor', proofs: [] },
    enrolled: ['totp', 'recovery-code'],
    offered: ['totp'],
    usesTwoFactor: true,
    hasDefaultRedirection: false,
    ...more,
  };
}

describe('the next step', () => {
  test('the table is whole', () => {
    expect(new Set(table.map((row) => JSON.stringify(row.slice(0, 4)))).size).toBe(3 * 5 * 2 * 2);
  });

  test.each(table)('level %i, required %s, two factors in use %s, a place to go %s: %s', (...row) => {
    const [level, required, usesTwoFactor, hasDefaultRedirection, kind] = row;
    const asked = required && { level: required, proofs: [] };
    const step = nextStep(situation({ level, required: asked, usesTwoFactor, hasDefaultRedirection }));
    expect(step.kind).toBe(kind);
  });

  const secondFactors: [
    what: string,
    enrolled: readonly SecondFactorMethod[] | null,
    offered: readonly SecondFactorMethod[],
    step: NextStep,
  ][] = [
    ['nobody has looked yet', null, ['totp'], { kind: 'second-factor', methods: ['totp', 'recovery-code'] }],
    ['what the person has', ['totp'], ['totp'], { kind: 'second-factor', methods: ['totp'] }],
    [
      'only recovery codes are left',
      ['recovery-code'],
      [],
      { kind: 'second-factor', methods: ['recovery-code'] },
    ],
    ['none, and one can be added', [], ['totp'], { kind: 'enrol', methods: ['totp'] }],
    ['none, and none can be added', [], [], { kind: 'out-of-reach' }],
  ];
  test.each(secondFactors)('a second factor: %s', (_what, enrolled, offered, step) => {
    expect(nextStep(situation({ enrolled, offered }))).toEqual(step);
  });

  const fresh: ProofDemand = { methods: ['password', 'totp', 'recovery-code'], maxAge: HOUR };
  const freshSecond: ProofDemand = { methods: ['totp', 'recovery-code'], maxAge: HOUR };
  const totp: ProofDemand = { methods: ['totp'], maxAge: null };
  const proofs: [
    what: string,
    level: 1 | 2,
    required: Level,
    demand: ProofDemand,
    factors: readonly CompletedFactor[],
    step: NextStep,
  ][] = [
    ['fresh enough', 1, 'one_factor', fresh, [shown('password', HOUR)], { kind: 'target' }],
    ['too old', 1, 'one_factor', fresh, [shown('password', HOUR + 1)], { kind: 'password' }],
    [
      'an old password and a fresh code',
      2,
      'one_factor',
      fresh,
      [shown('password', 9 * HOUR), shown('totp')],
      { kind: 'target' },
    ],
    [
      'a fresh password and an old code, where two factors are asked for',
      2,
      'two_factor',
      freshSecond,
      [shown('password'), shown('totp', 2 * HOUR)],
      { kind: 'second-factor', methods: ['totp', 'recovery-code'] },
    ],
    [
      'a recovery code where it must be the authenticator',
      2,
      'two_factor',
      totp,
      [shown('password'), shown('recovery-code')],
      { kind: 'second-factor', methods: ['totp'] },
    ],
    [
      'one factor, which must be the authenticator',
      1,
      'one_factor',
      totp,
      [shown('password')],
      { kind: 'second-factor', methods: ['totp'] },
    ],
    ['a rule that denies says so itself', 1, 'deny', totp, [shown('password')], { kind: 'target' }],
  ];
  test.each(proofs)('certain proofs: %s', (_what, level, required, demand, factors, step) => {
    const asked = { level: required, proofs: [demand] };
    expect(nextStep(situation({ level, required: asked, proven: { factors, now: NOW } }))).toEqual(step);
  });
});
