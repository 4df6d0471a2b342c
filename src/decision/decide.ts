/**
 * The decision: may this person do this to this URL, now? Pure; the first rule whose criteria all answer yes or unknown
 * decides, else the default policy. A URL with several readings is decided for each, and the strictest answer counts.
 */
import { factsOf, type Criterion, type Facts } from './criteria.ts';
import type { Policy, Rule } from './policy.ts';
import type { AuthenticationLevel, Decision, Level, Subject, TargetRequest } from './target.ts';

/** What a rule demands. `rule` is its index, -1 for the default policy. */
export interface Requirement {
  readonly level: Level;
  readonly rule: number;
  /** Whether the rule depends on who is asking: then a denied stranger is asked to sign in first. */
  readonly hasSubject: boolean;
}

function holds(tests: readonly Criterion['test'][], facts: Facts): boolean {
  for (const test of tests) if (test(facts) === 'no') return false;
  return true;
}

/** The first rule that matches, in the order of the configuration. */
function firstMatch(policy: Policy, facts: Facts): Rule | null {
  const { general, byPath } = policy.index.find(facts.target.url.host, facts.target.method);
  if (byPath === null) {
    for (const { rule, open } of general) if (holds(open, facts)) return rule;
    return null;
  }
  const special = byPath.find(facts.resource);
  if (special.length > 1) special.sort((a, b) => a.rule.index - b.rule.index);
  let next = 0;
  for (const candidate of special) {
    for (
      let other = general[next];
      other !== undefined && other.rule.index < candidate.rule.index;
      other = general[++next]
    ) {
      if (holds(other.open, facts)) return other.rule;
    }
    if (holds(candidate.open, facts)) return candidate.rule;
  }
  for (let other = general[next]; other !== undefined; other = general[++next]) {
    if (holds(other.open, facts)) return other.rule;
  }
  return null;
}

const strictness: Readonly<Record<Level, number>> = { bypass: 0, one_factor: 1, two_factor: 2, deny: 3 };

/** Higher is stricter, whatever the visitor has shown. */
function rank({ level, hasSubject }: Requirement): number {
  return strictness[level] + (level === 'deny' && !hasSubject ? 1 : 0);
}

/** What the policy demands for one reading. */
export function requirementOf(policy: Policy, facts: Facts): Requirement {
  const rule = firstMatch(policy, facts);
  return rule === null
    ? { level: policy.defaultLevel, rule: -1, hasSubject: false }
    : { level: rule.level, rule: rule.index, hasSubject: rule.hasSubject };
}

/** What the policy demands of this person for this request: of its readings, the strictest. */
export function requiredLevel(policy: Policy, target: TargetRequest, subject: Subject): Requirement {
  const { readings } = target.url;
  let strictest = requirementOf(policy, factsOf(target, subject, readings[0]));
  for (let i = 1; i < readings.length; i++) {
    const requirement = requirementOf(policy, factsOf(target, subject, readings[i] as string));
    if (rank(requirement) > rank(strictest)) strictest = requirement;
  }
  return strictest;
}

const neededFactors: Readonly<Record<Level, number>> = {
  bypass: 0,
  one_factor: 1,
  two_factor: 2,
  deny: Infinity,
};

/** What a demand comes to for somebody who has shown this much. */
export function outcomeOf(
  { level, hasSubject }: Requirement,
  shown: AuthenticationLevel,
): Decision['outcome'] {
  if (shown >= neededFactors[level]) return 'allow';
  return level === 'deny' && (shown > 0 || !hasSubject) ? 'deny' : 'challenge';
}

/** Allow, challenge (sign in, or show another factor) or deny. */
export function decide(
  policy: Policy,
  target: TargetRequest,
  subject: Subject,
  level: AuthenticationLevel,
): Decision {
  const requirement = requiredLevel(policy, target, subject);
  return { outcome: outcomeOf(requirement, level), required: requirement.level, rule: requirement.rule };
}
