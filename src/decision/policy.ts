/**
 * Turns the access-control section of the configuration into a policy: rules as lists of criteria, and an index by host,
 * method and path that leaves out rules which cannot match, so that a thousand rules cost about what five do. The index never
 * decides: leaving it out changes no answer.
 */
import { messageOf } from '../lib/message-of.ts';
import {
  compileDomains,
  compileMethods,
  compileNetworkCriterion,
  compileQuery,
  compileResources,
  compileSubjects,
  hostFacts,
  type QueryTest,
} from './criteria.ts';
import { type FactorMethod, type ProofDemand, proofDemandOf } from './factors.ts';
import { createRuleIndex, type IndexedRule, type RuleIndex } from './rule-index.ts';
import type { Level } from './target.ts';

/** A rule as the configuration has it; an absent criterion is an empty list. */
export interface RuleInput {
  readonly domain: readonly string[];
  readonly domain_regex: readonly string[];
  readonly policy: Level;
  readonly subject: readonly (readonly string[])[];
  /** Addresses, blocks, or names of `PolicyInput.networks`. */
  readonly networks: readonly string[];
  readonly resources: readonly string[];
  readonly methods: readonly string[];
  readonly query: readonly (readonly QueryTest[])[];
  /** One of these must have been used. Default: any. */
  readonly factors?: readonly FactorMethod[];
  /** Milliseconds since the proof. Default: any time in the session. */
  readonly max_age?: number | undefined;
}

/** The access-control section of the configuration. */
export interface AccessControlInput {
  readonly default_policy: Level;
  readonly rules: readonly RuleInput[];
}

/** Names that rules may use for lists of addresses and blocks. */
export type NamedNetworks = Readonly<Record<string, readonly string[]>>;

export interface Rule extends IndexedRule {
  readonly level: Level;
  /** Whether any criterion depends on who is asking. */
  readonly hasSubject: boolean;
  /** What is demanded beyond the level: none or one. */
  readonly proofs: readonly ProofDemand[];
}

/** A compiled policy; immutable, apart from what its index remembers about hosts. */
export interface Policy {
  readonly defaultLevel: Level;
  readonly rules: readonly Rule[];
  readonly index: RuleIndex<Rule>;
  /** Whether any rule or the default demands a second factor. */
  readonly usesTwoFactor: boolean;
}

const NO_PROOFS: readonly ProofDemand[] = Object.freeze([]);

function compileRule(input: RuleInput, index: number, networks: NamedNetworks): Rule {
  if (input.domain.length + input.domain_regex.length === 0)
    throw new Error('neither domain nor domain_regex is set');
  const domain = compileDomains(input.domain, input.domain_regex);
  const resource = input.resources.length > 0 ? compileResources(input.resources) : null;
  const method = input.methods.length > 0 ? compileMethods(input.methods) : null;
  // Cheap criteria before costly ones; the order has no effect on the answer.
  const criteria = [
    domain,
    ...(method === null ? [] : [method]),
    ...(input.subject.length > 0 ? [compileSubjects(input.subject)] : []),
    ...(input.networks.length > 0 ? [compileNetworkCriterion(input.networks, networks)] : []),
    ...(resource === null ? [] : [resource]),
    ...(input.query.length > 0 ? [compileQuery(input.query)] : []),
  ];
  const hasSubject = criteria.some((criterion) => criterion.hasSubject);
  const proof = proofDemandOf({
    twoFactor: input.policy === 'two_factor',
    methods: input.factors ?? [],
    maxAge: input.max_age ?? null,
  });
  const proofs = proof === null ? NO_PROOFS : [proof];
  return { index, level: input.policy, hasSubject, proofs, domain, resource, method, criteria };
}

/**
 * Compiles the rules. What validation has let through compiles; anything else throws an Error that names the rule by its
 * number, counted from 1, so that a policy that cannot be understood is never applied in part.
 */
export function compilePolicy(input: AccessControlInput, networks: NamedNetworks = {}): Policy {
  const rules = input.rules.map((rule, index) => {
    try {
      return compileRule(rule, index, networks);
    } catch (error) {
      throw new Error(`access_control: rule ${index + 1}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  });
  return {
    defaultLevel: input.default_policy,
    rules,
    index: createRuleIndex(rules, (domain, host) => domain.test(hostFacts(host))),
    usesTwoFactor: input.default_policy === 'two_factor' || rules.some(asksForSecondFactor),
  };
}

function asksForSecondFactor({ level, proofs }: Rule): boolean {
  return level === 'two_factor' || proofs.some(({ methods }) => !methods.includes('password'));
}
