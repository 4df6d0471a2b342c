/** Why a policy decides as it does. Asks the same criteria and the same first match as deciding does. */
import { factsOf, type Answer, type CriterionName, type Facts } from './criteria.ts';
import { requiredLevel, requirementOf, type Requirement } from './decide.ts';
import type { Policy, Rule } from './policy.ts';
import type { Subject, TargetRequest } from './target.ts';

/** What one criterion of a rule says. A criterion that the rule does not have is not in the list. */
interface CriterionReport {
  readonly name: CriterionName;
  readonly answer: Answer;
  /** What the rule asks for, in the words of the configuration. */
  readonly wants: string;
  /** What the request has. */
  readonly found: string;
}

export interface RuleReport {
  readonly rule: Rule;
  /** No as soon as one criterion says no; else unknown as soon as one is. */
  readonly answer: Answer;
  readonly criteria: readonly CriterionReport[];
}

export interface ReadingReport {
  /** One reading of the path, with the query. */
  readonly resource: string;
  readonly rules: readonly RuleReport[];
  readonly requirement: Requirement;
}

export interface Explanation {
  /** More than one where the path can be read in several ways. */
  readonly readings: readonly ReadingReport[];
  /** The strictest of them, which counts. */
  readonly requirement: Requirement;
}

function describeSubject({ isAnonymous, subject }: Facts): string {
  if (isAnonymous) return 'a visitor who is not signed in';
  if (subject.clientId !== undefined) return `the client ${subject.clientId}`;
  return subject.groups.length === 0
    ? subject.username
    : `${subject.username} of ${subject.groups.join(', ')}`;
}

const found: Readonly<Record<CriterionName, (facts: Facts) => string>> = {
  domain: ({ target }) => target.url.host,
  resource: ({ resource }) => resource,
  query: ({ target }) => target.url.query || 'no query',
  method: ({ target }) => target.method,
  network: ({ target }) => target.ip || 'no address',
  subject: describeSubject,
};

function reportRule(rule: Rule, facts: Facts): RuleReport {
  const criteria = rule.criteria.map((criterion) => ({
    name: criterion.name,
    answer: criterion.test(facts),
    wants: criterion.wants,
    found: found[criterion.name](facts),
  }));
  const answers = new Set(criteria.map(({ answer }) => answer));
  const answer = answers.has('no') ? 'no' : answers.has('unknown') ? 'unknown' : 'yes';
  return { rule, answer, criteria };
}

/** Every rule's answer to a request, reading by reading, and what is demanded in the end. */
export function explain(policy: Policy, target: TargetRequest, subject: Subject): Explanation {
  return {
    readings: target.url.readings.map((reading) => {
      const facts = factsOf(target, subject, reading);
      return {
        resource: facts.resource,
        rules: policy.rules.map((rule) => reportRule(rule, facts)),
        requirement: requirementOf(policy, facts),
      };
    }),
    requirement: requiredLevel(policy, target, subject),
  };
}
