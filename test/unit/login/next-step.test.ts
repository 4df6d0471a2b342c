import { describe, expect, test } from 'vitest';

import type { Level } from '../../../src/decision/target.ts';
import { nextStep, type NextStep } from '../../../src/login/next-step.ts';

type Row = [level: 0 | 1 | 2, required: Level | null, usesTwoFactor: boolean, home: boolean, step: NextStep];

const both = [false, true];
/** Every situation there is, with what must come of it. */
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

describe('the next step', () => {
  test('the table is whole', () => {
    expect(new Set(table.map((row) => JSON.stringify(row.slice(0, 4)))).size).toBe(3 * 5 * 2 * 2);
  });

  test.each(table)('level %i, required %s, two factors in use %s, a place to go %s: %s', (...row) => {
    const [level, required, usesTwoFactor, hasDefaultRedirection, step] = row;
    expect(nextStep({ level, required, usesTwoFactor, hasDefaultRedirection })).toBe(step);
  });
});
