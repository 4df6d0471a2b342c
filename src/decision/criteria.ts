/**
 * The criteria of a rule. Each asks one question about the facts of a request and answers yes, no or unknown: unknown
 * means that it would have to know who is asking. Deciding and explaining run the same criteria.
 */
import { type Address, compileAddressTest, parseAddress } from '../lib/ip-network.ts';
import { compileRegex, type Regex } from '../lib/regex.ts';
import { parseQuery } from './query.ts';
import { anonymous, type Subject, type TargetRequest } from './target.ts';

export type Answer = 'yes' | 'no' | 'unknown';

export type CriterionName = 'domain' | 'resource' | 'query' | 'method' | 'network' | 'subject';

/** All that one reading of a request can be asked about. */
export interface Facts {
  readonly target: TargetRequest;
  readonly subject: Subject;
  readonly isAnonymous: boolean;
  /** One reading of the path, with the query as it was sent. */
  readonly resource: string;
  /** First value of each key; parsed when first asked for. */
  readonly query: ReadonlyMap<string, string>;
  /** Where the visitor is, null when that is not known; parsed when first asked for. */
  readonly address: Address | null;
}

export interface Criterion {
  readonly name: CriterionName;
  /** Whether the answer depends on who is asking. */
  readonly hasSubject: boolean;
  /** What it asks for, in the words of the configuration. */
  readonly wants: string;
  readonly test: (facts: Facts) => Answer;
}

/** One test of the `query` criterion, as the configuration has it. `value` is absent for present and absent. */
export interface QueryTest {
  /** equal, not equal, present, absent, pattern, not pattern; letter case does not matter. */
  readonly operator: string;
  readonly key: string;
  readonly value?: string | undefined;
}

/** The facts of one reading. */
export function factsOf(target: TargetRequest, subject: Subject, reading: string): Facts {
  return new ReadingFacts(target, subject, reading);
}

class ReadingFacts implements Facts {
  readonly target: TargetRequest;
  readonly subject: Subject;
  readonly isAnonymous: boolean;
  readonly resource: string;
  #query: ReadonlyMap<string, string> | undefined;
  #address: Address | null | undefined;

  constructor(target: TargetRequest, subject: Subject, reading: string) {
    const { query } = target.url;
    this.target = target;
    this.subject = subject;
    this.isAnonymous =
      subject.username === '' && subject.groups.length === 0 && subject.clientId === undefined;
    this.resource = query === '' ? reading : `${reading}?${query}`;
  }

  get query(): ReadonlyMap<string, string> {
    this.#query ??= parseQuery(this.target.url.query);
    return this.#query;
  }

  get address(): Address | null {
    if (this.#address === undefined) this.#address = parseAddress(this.target.ip);
    return this.#address;
  }
}

/** The facts about a host alone, as a stranger would ask: enough for a domain criterion. */
export function hostFacts(host: string): Facts {
  const url = {
    scheme: 'https',
    host,
    port: '',
    readings: ['/'] as const,
    query: '',
    href: `https://${host}/`,
  };
  return factsOf({ url, method: 'GET', ip: '' }, anonymous, '/');
}

/** Unlike `some` over answers: yes beats unknown beats no. */
function anyOf<T>(items: readonly T[], test: (item: T) => Answer): Answer {
  let answer: Answer = 'no';
  for (const item of items) {
    const next = test(item);
    if (next === 'yes') return next;
    if (next === 'unknown') answer = next;
  }
  return answer;
}

function sameText(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase();
}

function isInGroups(name: string, groups: readonly string[]): boolean {
  return groups.some((group) => sameText(group, name));
}

/** An expression with the meaning that groups named `User` and `Group` have; one of them it has. */
function testPersonal(regex: Regex, hasUser: boolean, hasGroup: boolean, text: string, facts: Facts): Answer {
  if (facts.isAnonymous) return regex.test(text) ? 'unknown' : 'no';
  const groups = regex.match(text);
  if (groups === null) return 'no';
  const { username, groups: memberOf } = facts.subject;
  // An OAuth client has no user name, and a group that took no part captured none: that is no agreement.
  if (hasUser && (username === '' || !sameText(groups['User'] ?? '', username))) return 'no';
  return hasGroup && !isInGroups(groups['Group'] ?? '', memberOf) ? 'no' : 'yes';
}

interface Expression {
  readonly regex: Regex;
  readonly hasSubject: boolean;
  test(text: string, facts: Facts): Answer;
}

function compileExpression(source: string): Expression {
  const regex = compileRegex(source);
  const hasUser = regex.groupNames.includes('User');
  const hasGroup = regex.groupNames.includes('Group');
  const hasSubject = hasUser || hasGroup;
  return {
    regex,
    hasSubject,
    test: hasSubject
      ? (text, facts) => testPersonal(regex, hasUser, hasGroup, text, facts)
      : (text) => (regex.test(text) ? 'yes' : 'no'),
  };
}

/** The domain criterion, with what an index by host needs to know. */
export interface DomainCriterion extends Criterion {
  /** Exact names that match, whoever asks. */
  readonly names: ReadonlySet<string>;
  /** Endings, each with its leading dot, that match whoever asks. */
  readonly endings: readonly string[];
  /** Whether only `test` can tell for a host that is in neither of the above. */
  readonly mustTest: boolean;
}

type Placeholder = 'user' | 'group';

interface PersonalDomain {
  readonly placeholder: Placeholder;
  /** What follows the name, usually with its leading dot. */
  readonly rest: string;
}

function testPersonalDomain({ placeholder, rest }: PersonalDomain, facts: Facts): Answer {
  const { host } = facts.target.url;
  if (host.length <= rest.length || !host.endsWith(rest)) return 'no';
  if (facts.isAnonymous) return 'unknown';
  const { username, groups } = facts.subject;
  if (placeholder === 'user') return username !== '' && host === username.toLowerCase() + rest ? 'yes' : 'no';
  const dot = host.indexOf('.');
  if (dot === -1 || host.slice(dot) !== rest) return 'no';
  return isInGroups(host.slice(0, dot), groups) ? 'yes' : 'no';
}

/**
 * Names, `*.name` (any depth, not the name itself), `{user}.name`, `{group}.name` and expressions, of which one must
 * match. Hosts are canonical, so letter case does not matter.
 */
export function compileDomains(domains: readonly string[], expressions: readonly string[]): DomainCriterion {
  const names = new Set<string>();
  const endings: string[] = [];
  const personal: PersonalDomain[] = [];
  for (const domain of domains.map((text) => text.toLowerCase())) {
    if (domain.startsWith('*.')) endings.push(domain.slice(1));
    else if (domain.startsWith('{user}')) personal.push({ placeholder: 'user', rest: domain.slice(6) });
    else if (domain.startsWith('{group}')) personal.push({ placeholder: 'group', rest: domain.slice(7) });
    else names.add(domain);
  }
  const compiled = expressions.map(compileExpression);
  return {
    name: 'domain',
    wants: [...domains, ...expressions].join(', '),
    hasSubject: personal.length > 0 || compiled.some(({ hasSubject }) => hasSubject),
    names,
    endings,
    mustTest: personal.length > 0 || compiled.length > 0,
    test(facts) {
      const { host } = facts.target.url;
      if (names.has(host) || endings.some((ending) => host.length > ending.length && host.endsWith(ending)))
        return 'yes';
      const answer = anyOf(personal, (domain) => testPersonalDomain(domain, facts));
      if (answer === 'yes' || compiled.length === 0) return answer;
      const other = anyOf(compiled, (expression) => expression.test(host, facts));
      return other === 'no' ? answer : other;
    },
  };
}

/** The resource criterion, with the literal beginnings that an index by path needs to know. */
export interface ResourceCriterion extends Criterion {
  /** A resource that matches begins with one of these; null when some expression does not say so. */
  readonly prefixes: readonly string[] | null;
}

export function compileResources(expressions: readonly string[]): ResourceCriterion {
  const compiled = expressions.map(compileExpression);
  const prefixes = compiled.flatMap(({ regex }) => regex.prefixes);
  const [first] = compiled;
  const only = compiled.length === 1 ? first : undefined;
  return {
    name: 'resource',
    wants: expressions.join(', '),
    hasSubject: compiled.some(({ hasSubject }) => hasSubject),
    prefixes: prefixes.includes('') ? null : prefixes,
    test: only
      ? (facts) => only.test(facts.resource, facts)
      : (facts) => anyOf(compiled, (expression) => expression.test(facts.resource, facts)),
  };
}

/** All of a list, of any list. */
function alternatives(lists: readonly (readonly string[])[]): string {
  if (lists.some((list) => list.length === 0))
    throw new Error('an inner list is empty, which would match everything');
  return lists.map((list) => list.join(' and ')).join(', or ');
}

type QueryPredicate = (query: ReadonlyMap<string, string>) => boolean;

/** A missing key counts as an empty value, except for present and absent. */
const queryOperators: Readonly<Record<string, (key: string, value: string) => QueryPredicate>> = {
  present: (key) => (query) => query.has(key),
  absent: (key) => (query) => !query.has(key),
  equal: (key, value) => (query) => (query.get(key) ?? '') === value,
  'not equal': (key, value) => (query) => (query.get(key) ?? '') !== value,
  pattern(key, value) {
    const regex = compileRegex(value);
    return (query) => regex.test(query.get(key) ?? '');
  },
  'not pattern'(key, value) {
    const regex = compileRegex(value);
    return (query) => !regex.test(query.get(key) ?? '');
  },
};

function describeQueryTest({ operator, key, value }: QueryTest): string {
  return value === undefined ? `${key} ${operator}` : `${key} ${operator} '${value}'`;
}

function compileQueryTest({ operator, key, value }: QueryTest): QueryPredicate {
  const name = operator.toLowerCase();
  const create = Object.hasOwn(queryOperators, name) ? queryOperators[name] : undefined;
  if (create === undefined) throw new Error(`unknown query operator '${operator}'`);
  return create(key, value ?? '');
}

/** Lists of tests: all of one list must hold, of any list. */
export function compileQuery(lists: readonly (readonly QueryTest[])[]): Criterion {
  const compiled = lists.map((tests) => tests.map(compileQueryTest));
  return {
    name: 'query',
    wants: alternatives(lists.map((tests) => tests.map(describeQueryTest))),
    hasSubject: false,
    test: (facts) => (compiled.some((tests) => tests.every((holds) => holds(facts.query))) ? 'yes' : 'no'),
  };
}

/** The method criterion, with what an index by method needs to know. */
export interface MethodCriterion extends Criterion {
  readonly methods: ReadonlySet<string>;
}

export function compileMethods(methods: readonly string[]): MethodCriterion {
  const allowed = new Set(methods);
  return {
    methods: allowed,
    name: 'method',
    wants: methods.join(', '),
    hasSubject: false,
    test: (facts) => (allowed.has(facts.target.method) ? 'yes' : 'no'),
  };
}

/** `networks` holds addresses, blocks, and names of `named`. Throws for a text that is none of them. */
export function compileNetworkCriterion(
  networks: readonly string[],
  named: Readonly<Record<string, readonly string[]>>,
): Criterion {
  const texts = networks.flatMap((text) => (Object.hasOwn(named, text) ? (named[text] ?? []) : [text]));
  if (texts.length === 0) throw new Error(`networks: ${networks.join(', ')} holds no address`);
  const contains = compileAddressTest(texts);
  return {
    name: 'network',
    wants: networks.join(', '),
    hasSubject: false,
    test: (facts) => (contains(facts.address) ? 'yes' : 'no'),
  };
}

type SubjectPredicate = (subject: Subject) => boolean;

const subjectKinds: readonly (readonly [string, (name: string) => SubjectPredicate])[] = [
  ['user:', (name) => (subject) => subject.username === name && name !== ''],
  ['group:', (name) => (subject) => subject.groups.includes(name)],
  ['oauth2:client:', (name) => (subject) => subject.clientId === name],
];

function compileSubject(text: string): SubjectPredicate {
  const kind = subjectKinds.find(([prefix]) => text.startsWith(prefix));
  if (kind === undefined) {
    throw new Error(
      `subject '${text}' begins with none of ${subjectKinds.map(([prefix]) => prefix).join(', ')}`,
    );
  }
  const [prefix, create] = kind;
  return create(text.slice(prefix.length));
}

function allOf(predicates: readonly SubjectPredicate[]): SubjectPredicate {
  const [first] = predicates;
  return predicates.length === 1 && first ? first : (subject) => predicates.every((holds) => holds(subject));
}

function isAny(predicates: readonly SubjectPredicate[], subject: Subject): boolean {
  for (const holds of predicates) if (holds(subject)) return true;
  return false;
}

/** Lists of people, groups and clients: all of one list must hold, of any list. Unknown for anonymous visitors. */
export function compileSubjects(lists: readonly (readonly string[])[]): Criterion {
  const compiled = lists.map((subjects) => subjects.map(compileSubject)).map(allOf);
  const [first] = compiled;
  const holds = compiled.length === 1 && first ? first : (subject: Subject) => isAny(compiled, subject);
  return {
    name: 'subject',
    wants: alternatives(lists),
    hasSubject: true,
    test({ isAnonymous, subject }) {
      if (isAnonymous) return 'unknown';
      return holds(subject) ? 'yes' : 'no';
    },
  };
}
