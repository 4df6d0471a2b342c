/**
 * The decision: may this person do this to this URL, now? Pure; the first rule whose criteria all answer yes or unknown
 * decides, else the default policy. A URL with several readings is decided for each, and the strictest answer counts.
 */
import { factsOf, type Criterion, type Facts } from './criteria.ts';
import { isMet, nothingProven, type ProofDemand, type Proven } from './factors.ts';
import type { Policy, Rule } from './policy.ts';
import type { AuthenticationLevel, Decision, Level, Subject, TargetRequest } from './target.ts';

/** What a rule demands. `rule` is its index, -1 for the default policy. */
export interface Requirement {
  readonly level: Level;
  readonly rule: number;
  /** Whether the rule depends on who is asking: then a denied stranger is asked to sign in first. */
  readonly hasSubject: boolean;
  /** What is demanded beyond the level; each of them. */
  readonly proofs: readonly ProofDemand[];
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

const NO_PROOFS: readonly ProofDemand[] = Object.freeze([]);

/** What the policy demands for one reading. */
export function requirementOf(policy: Policy, facts: Facts): Requirement {
  const rule = firstMatch(policy, facts);
  return rule === null
    ? { level: policy.defaultLevel, rule: -1, hasSubject: false, proofs: NO_PROOFS }
    : { level: rule.level, rule: rule.index, hasSubject: rule.hasSubject, proofs: rule.proofs };
}

/** What the policy demands of this person for this request: of its readings the strictest, with the proofs of all. */
export function requiredLevel(policy: Policy, target: TargetRequest, subject: Subject): Requirement {
  const { readings } = target.url;
  let strictest = requirementOf(policy, factsOf(target, subject, readings[0]));
  for (let i = 1; i < readings.length; i++) {
    const requirement = requirementOf(policy, factsOf(target, subject, readings[i] as string));
    const proofs = [...strictest.proofs, ...requirement.proofs];
    if (rank(requirement) > rank(strictest)) strictest = requirement;
    if (proofs.length > strictest.proofs.length) strictest = { ...strictest, proofs };
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
  { level, hasSubject, proofs }: Requirement,
  shown: AuthenticationLevel,
  proven: Proven = nothingProven,
): Decision['outcome'] {
  if (shown >= neededFactors[level]) {
    for (const proof of proofs) if (!isMet(proof, proven)) return 'challenge';
    return 'allow';
  }
  return level === 'deny' && (shown > 0 || !hasSubject) ? 'deny' : 'challenge';
}

/** Allow, challenge (sign in, or show another factor) or deny. */
export function decide(
  policy: Policy,
  target: TargetRequest,
  subject: Subject,
  level: AuthenticationLevel,
  proven: Proven = nothingProven,
): Decision {
  const requirement = requiredLevel(policy, target, subject);
  const outcome = outcomeOf(requirement, level, proven);
  return { outcome, required: requirement.level, rule: requirement.rule };
}
