/**
 * Which rules can match a host and a method at all, and among many rules of one host, which can match a path. Built once for each
 * host and kept, for as many hosts as are bounded here: visitors may invent hosts below a wildcard.
 */
import type { Answer, Criterion, DomainCriterion, MethodCriterion, ResourceCriterion } from './criteria.ts';
import { createPrefixTree, type PrefixTree } from './prefix-tree.ts';

/** What the index needs to know of a rule. */
export interface IndexedRule {
  readonly index: number;
  readonly domain: DomainCriterion;
  readonly resource: ResourceCriterion | null;
  readonly method: MethodCriterion | null;
  /** All criteria, `domain` first. */
  readonly criteria: readonly Criterion[];
}

/** A rule that may match a host, with the tests of the criteria that the host alone has not answered. */
interface Candidate<R> {
  readonly rule: R;
  readonly open: readonly Criterion['test'][];
}

/** The rules of one host and one method, in the order of the configuration. */
interface SortedRules<R> {
  /** Candidates for every path. */
  readonly general: readonly Candidate<R>[];
  /** Candidates for some paths only; null when they are too few to sort out. */
  readonly byPath: PrefixTree<Candidate<R>> | null;
}

/** The rules of one host, by method: those of an empty one are for all methods that no rule of the host names. */
type HostRules<R> = (method: string) => SortedRules<R>;

export interface RuleIndex<R> {
  find(host: string, method?: string): SortedRules<R>;
}

const maxHosts = 4096;
const maxPlans = 64;
/** Below this many, asking each is as fast as sorting them out. */
const minIndexed = 4;

/** Remembers at least the `size` latest keys, and at most twice as many. */
function boundedMap<T>(size: number): { get(key: string): T | undefined; set(key: string, value: T): void } {
  let recent = new Map<string, T>();
  let older = new Map<string, T>();
  const set = (key: string, value: T): void => {
    if (recent.size >= size) {
      older = recent;
      recent = new Map();
    }
    recent.set(key, value);
  };
  return {
    set,
    get(key) {
      const value = recent.get(key);
      if (value !== undefined) return value;
      const old = older.get(key);
      if (old !== undefined) set(key, old);
      return old;
    },
  };
}

function sortOut<R extends IndexedRule>(candidates: readonly Candidate<R>[]): SortedRules<R> {
  const prefixesOf = ({ rule }: Candidate<R>): readonly string[] | null => rule.resource?.prefixes ?? null;
  const indexed = candidates.filter((candidate) => prefixesOf(candidate) !== null);
  if (indexed.length < minIndexed) return { general: candidates, byPath: null };
  const byPath = createPrefixTree<Candidate<R>>();
  for (const candidate of indexed) {
    for (const prefix of new Set(prefixesOf(candidate))) byPath.insert(prefix, candidate);
  }
  return { general: candidates.filter((candidate) => prefixesOf(candidate) === null), byPath };
}

function plan<R extends IndexedRule>(candidates: readonly Candidate<R>[]): HostRules<R> {
  const named = new Set(candidates.flatMap(({ rule }) => [...(rule.method?.methods ?? [])]));
  const forMethod = (method: string): SortedRules<R> =>
    sortOut(
      candidates
        .filter(({ rule }) => rule.method === null || rule.method.methods.has(method))
        .map(({ rule, open }) => ({ rule, open: open.filter((test) => test !== rule.method?.test) })),
    );
  const others = forMethod('');
  const sorted = new Map([...named].map((method) => [method, forMethod(method)]));
  return (method) => sorted.get(method) ?? others;
}

/** All that follows a dot in a name, dot included: what a wildcard can match. */
function endingsOf(host: string): string[] {
  const endings: string[] = [];
  for (let dot = host.indexOf('.', 1); dot !== -1; dot = host.indexOf('.', dot + 1))
    endings.push(host.slice(dot));
  return endings;
}

/**
 * `mayMatch` tells whether a domain criterion matches a host: yes for everybody, no for anybody, or unknown.
 */
export function createRuleIndex<R extends IndexedRule>(
  rules: readonly R[],
  mayMatch: (domain: DomainCriterion, host: string) => Answer,
): RuleIndex<R> {
  const byName = new Map<string, R[]>();
  const byEnding = new Map<string, R[]>();
  const tested = rules.filter((rule) => rule.domain.mustTest);
  const add = (map: Map<string, R[]>, key: string, rule: R): void => {
    const list = map.get(key);
    if (list === undefined) map.set(key, [rule]);
    else list.push(rule);
  };
  for (const rule of rules) {
    for (const name of rule.domain.names) add(byName, name, rule);
    for (const ending of rule.domain.endings) add(byEnding, ending, rule);
  }

  /** What a host has in common with all hosts that have the same rules; equal texts stand for equal candidates. */
  function kindOf(host: string, endings: readonly string[], answers: ReadonlyMap<R, Answer>): string {
    return [byName.has(host) ? host : '', ...endings, ...answers.values()].join(' ');
  }

  function candidatesOf(
    host: string,
    endings: readonly string[],
    answers: ReadonlyMap<R, Answer>,
  ): Candidate<R>[] {
    const found = new Set(byName.get(host));
    for (const ending of endings) for (const rule of byEnding.get(ending) ?? []) found.add(rule);
    for (const [rule, answer] of answers) if (answer !== 'no') found.add(rule);
    return [...found]
      .sort((a, b) => a.index - b.index)
      .map((rule) => {
        const asked = answers.get(rule) === 'unknown' ? rule.criteria : rule.criteria.slice(1);
        return { rule, open: asked.map(({ test }) => test) };
      });
  }

  const hosts = boundedMap<HostRules<R>>(maxHosts);
  // Hosts below one wildcard share their rules: they share the index by path too.
  const plans = boundedMap<HostRules<R>>(maxPlans);
  return {
    find(host, method = '') {
      const known = hosts.get(host);
      if (known !== undefined) return known(method);
      const endings = endingsOf(host).filter((ending) => byEnding.has(ending));
      const answers = new Map(tested.map((rule) => [rule, mayMatch(rule.domain, host)]));
      const kind = kindOf(host, endings, answers);
      let planned = plans.get(kind);
      if (planned === undefined) {
        planned = plan(candidatesOf(host, endings, answers));
        plans.set(kind, planned);
      }
      hosts.set(host, planned);
      return planned(method);
    },
  };
}
