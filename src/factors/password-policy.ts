import type { PasswordStrength } from './password-strength.ts';

/**
 * What a new password must be like, by `password_policy` of the configuration. Answers as data, so that a page can say
 * each rule in its reader's language. Passwords that are in use already are never measured by it.
 */
export interface PasswordPolicy {
  /** For the page where a password is chosen. */
  readonly rules: PasswordRules;
  /**
   * The rules that the password breaks, none when it is good. `about` are texts that whoever knows the person would try:
   * the user name, the display name, the mail addresses. Throws `StrengthUnavailable`.
   */
  check(password: string, about: readonly string[]): Promise<readonly PasswordRule[]>;
}

export type PasswordRule =
  | 'min_length'
  | 'max_length'
  | 'require_uppercase'
  | 'require_lowercase'
  | 'require_number'
  | 'require_special'
  | 'min_score';

/** With mode 'disabled' everything is a good password. Lengths are bytes of UTF-8; a `max_length` of 0 is no limit. */
export type PasswordRules =
  | { readonly mode: 'disabled' }
  | {
      readonly mode: 'standard';
      readonly min_length: number;
      readonly max_length: number;
      readonly require_uppercase: boolean;
      readonly require_lowercase: boolean;
      readonly require_number: boolean;
      readonly require_special: boolean;
    }
  /** 1 to 4, see `password-strength.ts`. */
  | { readonly mode: 'zxcvbn'; readonly min_score: number };

/** `password_policy` of the configuration; at most one of the two is enabled. */
export interface PasswordPolicyOptions {
  readonly standard: { readonly enabled: boolean } & Omit<PasswordRules & { mode: 'standard' }, 'mode'>;
  readonly zxcvbn: { readonly enabled: boolean; readonly min_score: number };
}

/** Letters and digits of ASCII only, as Authelia has it: everything else is special. */
const CLASSES = [
  ['require_uppercase', /[A-Z]/],
  ['require_lowercase', /[a-z]/],
  ['require_number', /[0-9]/],
  ['require_special', /[^A-Za-z0-9]/],
] as const;

export function createPasswordPolicy(
  options: PasswordPolicyOptions,
  { strength }: { readonly strength: PasswordStrength },
): PasswordPolicy {
  const rules = rulesOf(options);
  return {
    rules,
    async check(password, about) {
      switch (rules.mode) {
        case 'disabled':
          return [];
        case 'standard':
          return brokenRules(rules, password);
        case 'zxcvbn':
          return (await strength.score(password, wordsOf(about))) < rules.min_score ? ['min_score'] : [];
      }
    },
  };
}

function rulesOf({ standard, zxcvbn }: PasswordPolicyOptions): PasswordRules {
  if (standard.enabled) {
    const { enabled: _enabled, ...rules } = standard;
    return { mode: 'standard', ...rules };
  }
  return zxcvbn.enabled ? { mode: 'zxcvbn', min_score: zxcvbn.min_score } : { mode: 'disabled' };
}

function brokenRules(rules: PasswordRules & { mode: 'standard' }, password: string): PasswordRule[] {
  const length = Buffer.byteLength(password);
  const broken: PasswordRule[] = [];
  if (length < rules.min_length) broken.push('min_length');
  if (rules.max_length > 0 && length > rules.max_length) broken.push('max_length');
  for (const [rule, characters] of CLASSES) {
    if (rules[rule] && !characters.test(password)) broken.push(rule);
  }
  return broken;
}

/** The texts and the words in them: `jane.doe@example.com` gives `jane` and `doe` too. Shorter ones occur by chance. */
function wordsOf(about: readonly string[]): readonly string[] {
  const words = about.flatMap((text) => [text, ...text.split(/[^\p{L}\p{N}]+/u)]);
  return [...new Set(words)].filter((word) => word.length >= 3);
}
