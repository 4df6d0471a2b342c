import type { PasswordRule, PasswordRules } from '../factors/password-policy.ts';
import type { PasswordRequirement } from './page-data.ts';

const RULES = [
  'min_length',
  'max_length',
  'require_uppercase',
  'require_lowercase',
  'require_number',
  'require_special',
  'min_score',
] as const satisfies readonly PasswordRule[];

/** The rules of a policy as a page shows them. */
export function requirementsOf(
  rules: PasswordRules,
  broken: readonly PasswordRule[],
): readonly PasswordRequirement[] {
  const values = rules as Readonly<Partial<Record<PasswordRule, number | boolean>>>;
  return RULES.filter((rule) => values[rule]).map((rule) => ({
    rule,
    count: Number(values[rule]),
    isBroken: broken.includes(rule),
  }));
}

/** The broken rules in the query of a form's own redirect. */
export function brokenIn(query: URLSearchParams): readonly PasswordRule[] {
  const named = query.get('broken')?.split('.') ?? [];
  return RULES.filter((rule) => named.includes(rule));
}
