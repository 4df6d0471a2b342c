/**
 * Finds rules that cannot do what they say. Each rule taken for itself is well-formed when it comes here; this is about
 * what it comes to: rules that never decide, names that no host has, expressions that match more than they seem to.
 */
import { compileNetworks, parseNetwork } from '../lib/ip-network.ts';
import { compileRegex } from '../lib/regex.ts';
import { compileDomains, hostFacts, type DomainCriterion, type Facts, type QueryTest } from './criteria.ts';
import type { AccessControlInput, NamedNetworks, RuleInput } from './policy.ts';

/** `path` leads from the root of the configuration; the message says how to mend it. */
export interface PolicyProblem {
  readonly path: (string | number)[];
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

type Report = (severity: PolicyProblem['severity'], path: (string | number)[], message: string) => void;

interface DeadName {
  readonly looksLike: RegExp;
  message(domain: string): string;
}

/** Spellings that no canonical host has, in the order in which they are told. */
const deadNames: readonly DeadName[] = [
  {
    looksLike: /:\/\//,
    message: () => 'matches no host, because of its scheme: write the host alone, such as app.example.com',
  },
  {
    looksLike: /[/?#]/,
    message: () => 'matches no host, because of its path: write the host here and the path under resources',
  },
  { looksLike: /,/, message: () => 'matches no host, because of its comma: write several hosts as a list' },
  {
    looksLike: /^[^:]*:\d*$/,
    message: () => 'matches no host, because of its port: rules are about hosts, leave the port out',
  },
  {
    looksLike: /\.$/,
    message: (domain) => `matches no host, because of the dot at its end: write ${domain.slice(0, -1)}`,
  },
  { looksLike: /^$|^\.|\.\./, message: () => 'matches no host, because a label is empty' },
  {
    looksLike: /\{(?:user|group)\}/,
    message: () =>
      'matches no host: {user} and {group} work at the start of the name only; elsewhere use domain_regex with (?P<User>…)',
  },
  {
    looksLike: /^\*[^.]/,
    message: (domain) =>
      `matches no host: a star must be a whole label; write *.${domain.replace(/^\*-?/, '')}, or domain_regex`,
  },
  {
    looksLike: /\*/,
    message: () => 'matches no host: a star works as the first label only; elsewhere use domain_regex',
  },
  {
    looksLike: /[^\u0020-\u007e]/,
    message: () => 'matches no host: hosts are ASCII; write the name as browsers send it, with xn--',
  },
  {
    looksLike: /[^a-z\d._:[\]-]/,
    message: () => 'matches no host: names have letters, digits, hyphens, underscores and dots only',
  },
];

/** The part of a pattern that must be a name: without the leading wildcard or placeholder. */
function nameOf(domain: string): string {
  return domain.replace(/^(?:\*\.|\{(?:user|group)\}[.-]?)/, '');
}

function checkDomains(rule: RuleInput, at: (string | number)[], report: Report): void {
  rule.domain.forEach((domain, index) => {
    const name = nameOf(domain.toLowerCase());
    const dead = deadNames.find(({ looksLike }) => looksLike.test(name));
    if (dead !== undefined) report('warning', [...at, 'domain', index], dead.message(domain));
    if (rule.policy === 'bypass' && /^\{(?:user|group)\}/i.test(domain)) {
      report(
        'warning',
        [...at, 'domain', index],
        'lets everybody in on every such host, since bypass asks nobody who they are: use one_factor for the owner alone',
      );
    }
  });
  rule.domain_regex.forEach((source, index) => {
    if (/^\(\?[a-zA-Z]*i/.test(source)) return;
    const literals = source.replaceAll(/\\[pP]\{?\w+\}?|\\.|\(\?P?<\w+>|\(\?[a-zA-Z]+/g, '');
    if (/[A-Z]/.test(literals)) {
      report(
        'warning',
        [...at, 'domain_regex', index],
        'has capital letters, but hosts are compared in lower case: write it in lower case',
      );
    }
  });
}

function checkResources(rule: RuleInput, at: (string | number)[], report: Report): void {
  if (rule.policy !== 'bypass') return;
  rule.resources.forEach((source, index) => {
    const { isAnchored, groupNames } = compileRegex(source);
    if (!isAnchored) {
      report(
        'warning',
        [...at, 'resources', index],
        'is not anchored, so it also matches inside of longer paths and inside of the query, which visitors choose (/private?x=/public): begin it with ^/, each side of a top-level | too',
      );
    }
    if (groupNames.includes('User') || groupNames.includes('Group')) {
      report(
        'warning',
        [...at, 'resources', index],
        'names the group User or Group, but bypass asks nobody who they are and lets everybody in: use one_factor',
      );
    }
  });
}

function checkSubjects(rule: RuleInput, at: (string | number)[], report: Report): void {
  rule.subject.forEach((subjects, index) => {
    for (const subject of subjects) {
      const name = subject.replace(/^(?:user|group|oauth2:client):/, '');
      if (name !== '' && name === name.trim()) continue;
      const fault = name === '' ? 'names nobody' : 'has a blank at the start or the end of the name';
      report(
        'warning',
        [...at, 'subject', index],
        `${fault}, so it never matches: write user:john or group:admins`,
      );
    }
  });
}

/** One entry of `domain`. */
interface Pattern {
  readonly text: string;
  /** What follows the wildcard or placeholder; null for a plain name. */
  readonly ending: string | null;
  readonly facts: Facts;
}

interface Judged {
  readonly rule: RuleInput;
  readonly domain: DomainCriterion;
  readonly patterns: readonly Pattern[];
}

function judge(rule: RuleInput): Judged {
  const patterns = rule.domain.map((domain) => {
    const text = domain.toLowerCase();
    const ending = /^(?:\*(?=\.)|\{(?:user|group)\})(?<rest>.*)$/.exec(text)?.groups?.['rest'] ?? null;
    return { text, ending, facts: hostFacts(text) };
  });
  return { rule, domain: compileDomains(rule.domain, rule.domain_regex), patterns };
}

/** Whether a rule matches every host that a pattern matches, for everybody whom the pattern matches. */
function coversPattern({ domain, patterns }: Judged, { text, ending, facts }: Pattern): boolean {
  if (ending === null) return domain.test(facts) === 'yes';
  return (
    domain.endings.some((other) => ending.endsWith(other)) || patterns.some((other) => other.text === text)
  );
}

function coversDomains(earlier: Judged, { rule, patterns }: Judged): boolean {
  return (
    patterns.every((pattern) => coversPattern(earlier, pattern)) &&
    rule.domain_regex.every((source) => earlier.rule.domain_regex.includes(source))
  );
}

/** Whether each of `narrow` is among `wide`; an absent criterion is the widest. */
function includesAll<T>(
  wide: readonly T[],
  narrow: readonly T[],
  includes: (wide: T, narrow: T) => boolean,
): boolean {
  return (
    wide.length === 0 ||
    (narrow.length > 0 && narrow.every((one) => wide.some((other) => includes(other, one))))
  );
}

const isSame = (a: string, b: string): boolean => a === b;

function isSameTest(a: QueryTest, b: QueryTest): boolean {
  return a.operator === b.operator && a.key === b.key && (a.value ?? '') === (b.value ?? '');
}

function resolve(texts: readonly string[], named: NamedNetworks): readonly string[] {
  return texts.flatMap((text) => (Object.hasOwn(named, text) ? (named[text] ?? []) : [text]));
}

/** Whether every address of `narrow` lies in `wide`. */
function coversNetwork(wide: string, narrow: string): boolean {
  const [outer, inner] = [parseNetwork(wide), parseNetwork(narrow)];
  return (
    outer.family === inner.family &&
    outer.bits <= inner.bits &&
    compileNetworks([wide])(narrow.replace(/\/.*$/, ''))
  );
}

/**
 * Whether the earlier rule decides about everything that the later one matches. Cautious: false unless it is certain.
 * The earlier rule's criteria on people hold for strangers too, who count as a match of either.
 */
function covers(before: Judged, after: Judged, named: NamedNetworks): boolean {
  const [earlier, rule] = [before.rule, after.rule];
  return (
    coversDomains(before, after) &&
    includesAll(earlier.methods, rule.methods, isSame) &&
    includesAll(earlier.resources, rule.resources, isSame) &&
    includesAll(earlier.subject, rule.subject, (wide, narrow) => wide.every((one) => narrow.includes(one))) &&
    includesAll(earlier.query, rule.query, (wide, narrow) =>
      wide.every((test) => narrow.some((other) => isSameTest(test, other))),
    ) &&
    includesAll(resolve(earlier.networks, named), resolve(rule.networks, named), coversNetwork)
  );
}

/** Finds what compiles but cannot do what it says. Expects rules and networks that compile. */
export function findPolicyProblems(
  accessControl: AccessControlInput,
  networks: NamedNetworks,
): PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  const report: Report = (severity, path, message) => problems.push({ path, severity, message });
  const judged = accessControl.rules.map(judge);
  judged.forEach((current, index) => {
    const { rule } = current;
    const at = ['access_control', 'rules', index];
    checkDomains(rule, at, report);
    checkResources(rule, at, report);
    checkSubjects(rule, at, report);
    const earlier = judged.slice(0, index).findIndex((other) => covers(other, current, networks));
    if (earlier !== -1) {
      report(
        'warning',
        at,
        `can never decide: access_control.rules[${earlier}] matches everything that it matches; move it before that rule, or remove it`,
      );
    }
  });
  return problems;
}
