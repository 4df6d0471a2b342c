import { describe, expect, test } from 'vitest';

import { passwordPolicySchema } from '../../../src/factors/config.ts';
import { createPasswordPolicy } from '../../../src/factors/password-policy.ts';

/** A policy as configured, whose estimates are `score`; and what was asked for. */
function policy(section: object, score = 0) {
  const asked: (readonly [string, readonly string[]])[] = [];
  const strength = {
    async score(password: string, about: readonly string[]) {
      asked.push([password, about]);
      return score;
    },
    close: async () => undefined,
  };
  return { ...createPasswordPolicy(passwordPolicySchema.parse(section), { strength }), asked };
}

test('without any policy everything is good', async () => {
  const { check, rules, asked } = policy({});
  expect(rules).toEqual({ mode: 'disabled' });
  expect(await check('a', [])).toEqual([]);
  expect(asked).toEqual([]);
});

describe('standard', () => {
  const all = {
    enabled: true,
    min_length: 8,
    max_length: 12,
    require_uppercase: true,
    require_lowercase: true,
    require_number: true,
    require_special: true,
  };

  test('tells its rules', () => {
    const { enabled: _enabled, ...rules } = all;
    expect(policy({ standard: all }).rules).toEqual({ mode: 'standard', ...rules });
    expect(policy({ standard: { enabled: true } }).rules).toEqual({
      mode: 'standard',
      min_length: 8,
      max_length: 0,
      require_uppercase: false,
      require_lowercase: false,
      require_number: false,
      require_special: false,
    });
  });

  test.each([
    ['Abcdef1!', []],
    ['Abcdef1!2345', []],
    ['Abcde1!', ['min_length']],
    ['Abcdef1!23456', ['max_length']],
    ['abcdef1!', ['require_uppercase']],
    ['ABCDEF1!', ['require_lowercase']],
    ['Abcdefg!', ['require_number']],
    ['Abcdefg1', ['require_special']],
    ['', ['min_length', 'require_uppercase', 'require_lowercase', 'require_number', 'require_special']],
    // Bytes count: four characters of two bytes are eight, and other scripts are special.
    ['äöüß', ['require_uppercase', 'require_lowercase', 'require_number']],
    ['Aa1🔐', ['min_length']],
    ['Aa1🔐🔐', []],
    ['Aa1 bcdef', []],
    ['Äbcdefg1', ['require_uppercase']],
  ])('%j breaks %j', async (password, broken) => {
    expect(await policy({ standard: all }).check(password, [])).toEqual(broken);
  });

  test('a maximum of 0 is none', async () => {
    expect(await policy({ standard: { enabled: true } }).check('a'.repeat(1_000), [])).toEqual([]);
  });
});

describe('zxcvbn', () => {
  test.each([
    [0, ['min_score']],
    [2, ['min_score']],
    [3, []],
    [4, []],
  ])('a score of %i breaks %j of the default', async (score, broken) => {
    const { check, rules } = policy({ zxcvbn: { enabled: true } }, score);
    expect(rules).toEqual({ mode: 'zxcvbn', min_score: 3 });
    expect(await check('anything', [])).toEqual(broken);
  });

  test('the estimate knows the words that are about the person', async () => {
    const { check, asked } = policy({ zxcvbn: { enabled: true, min_score: 4 } }, 4);
    expect(await check('secret', ['jane', 'Jane van der Zoë', 'j.zoe@example.com'])).toEqual([]);
    expect(asked).toEqual([
      [
        'secret',
        [
          'jane',
          'Jane van der Zoë',
          'Jane',
          'van',
          'der',
          'Zoë',
          'j.zoe@example.com',
          'zoe',
          'example',
          'com',
        ],
      ],
    ]);
  });
});
