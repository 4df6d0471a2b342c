import { readdirSync, readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { accessControlSchema, definitionsSchema } from '../../../src/decision/config.ts';
import { decide, outcomeOf, requiredLevel } from '../../../src/decision/decide.ts';
import { compilePolicy, type Policy } from '../../../src/decision/policy.ts';
import { anonymous, type AuthenticationLevel, type Subject } from '../../../src/decision/target.ts';
import { parseCanonicalUrl } from '../../../src/lib/canonical-url.ts';
import { targetOf } from './target-of.ts';

interface Row {
  readonly who: string;
  readonly ask: string;
  readonly want: 'allow' | 'challenge' | 'deny';
  /** Counted from 1; 0 is the default policy. */
  readonly rule: number;
  readonly method?: string;
  readonly from?: string;
}

const john = { username: 'john', groups: ['dev', 'admins'] };
const visitors: Readonly<Record<string, readonly [Subject, AuthenticationLevel]>> = {
  nobody: [anonymous, 0],
  john1: [john, 1],
  john2: [john, 2],
  harry1: [{ username: 'harry', groups: ['dev'] }, 1],
  bob1: [{ username: 'bob', groups: [] }, 1],
  Zoe1: [{ username: 'Zoe', groups: ['Dev-Ops'] }, 1],
  client1: [{ username: '', groups: [], clientId: 'robot' }, 1],
};

const folder = new URL('../../fixtures/decisions/', import.meta.url);

describe.each(readdirSync(folder))('%s', (file) => {
  const fixture = parse(readFileSync(new URL(file, folder), 'utf8')) as Record<string, unknown>;
  const { network } = definitionsSchema.parse({ network: fixture['networks'] ?? {} });
  const policy = compilePolicy(accessControlSchema.parse(fixture['access_control']), network);

  it.each(fixture['rows'] as Row[])('$who $method $ask $from: $want by rule $rule', (row) => {
    const [subject, level] = visitors[row.who] ?? [];
    if (subject === undefined || level === undefined) throw new Error(`unknown visitor ${row.who}`);
    const target = targetOf(row.ask, { method: row.method ?? 'GET', ip: row.from ?? '203.0.113.1' });
    const decision = decide(policy, target, subject, level);
    expect([decision.outcome, decision.rule + 1]).toEqual([row.want, row.rule]);
  });
});

describe('outcomeOf', () => {
  it.each([
    ['bypass', false, ['allow', 'allow', 'allow']],
    ['one_factor', false, ['challenge', 'allow', 'allow']],
    ['one_factor', true, ['challenge', 'allow', 'allow']],
    ['two_factor', false, ['challenge', 'challenge', 'allow']],
    ['deny', false, ['deny', 'deny', 'deny']],
    ['deny', true, ['challenge', 'deny', 'deny']],
  ] as const)('%s, about people: %s', (level, hasSubject, wanted) => {
    const outcomes = ([0, 1, 2] as const).map((shown) =>
      outcomeOf({ level, rule: 0, hasSubject, proofs: [] }, shown),
    );
    expect(outcomes).toEqual(wanted);
  });
});

function compile(accessControl: unknown): Policy {
  return compilePolicy(accessControlSchema.parse(accessControl));
}

describe('a policy', () => {
  it('says whether two factors are asked for anywhere', () => {
    const rules = [{ domain: 'a.b', policy: 'one_factor' }];
    expect(compile({ rules }).usesTwoFactor).toBe(false);
    expect(compile({ rules, default_policy: 'two_factor' }).usesTwoFactor).toBe(true);
    expect(compile({ rules: [...rules, { domain: 'c.d', policy: 'two_factor' }] }).usesTwoFactor).toBe(true);
  });

  it('says what a request demands, and whether that depends on the person', () => {
    const policy = compile({
      rules: [
        { domain: '{user}.b', policy: 'deny' },
        { domain: 'c.d', policy: 'two_factor' },
      ],
    });
    expect(requiredLevel(policy, targetOf('https://x.b/'), anonymous)).toEqual({
      level: 'deny',
      rule: 0,
      hasSubject: true,
      proofs: [],
    });
    expect(requiredLevel(policy, targetOf('https://c.d/'), john)).toEqual({
      level: 'two_factor',
      rule: 1,
      hasSubject: false,
      proofs: [],
    });
    expect(requiredLevel(policy, targetOf('https://e.f/'), john)).toEqual({
      level: 'deny',
      rule: -1,
      hasSubject: false,
      proofs: [],
    });
  });

  const plain = {
    domain: ['a.b'],
    domain_regex: [],
    policy: 'bypass',
    subject: [],
    networks: [],
    resources: [],
    methods: [],
    query: [],
  } as const;
  it.each([
    ['no host', { domain: [] }, /neither domain nor domain_regex/],
    ['a broken expression', { resources: ['('] }, /missing/],
    ['a back-reference', { resources: ['(a)\\1'] }, /escape/],
    ['an unknown operator', { query: [[{ operator: 'like', key: 'a' }]] }, /operator 'like'/],
    ['an inherited operator', { query: [[{ operator: 'toString', key: 'a' }]] }, /operator 'toString'/],
    ['an empty list of subjects', { subject: [[]] }, /empty/],
    ['an empty list of query tests', { query: [[]] }, /empty/],
    ['a subject without kind', { subject: [['john']] }, /subject 'john'/],
    ['an unknown network', { networks: ['office'] }, /'office'/],
    ['an empty network', { networks: ['none'] }, /none/],
  ])('is refused whole, naming the rule, for %s', (_, change, reason) => {
    const compiling = () =>
      compilePolicy({ default_policy: 'deny', rules: [plain, { ...plain, ...change }] }, { none: [] });
    expect(compiling).toThrow(/rule 2/);
    expect(compiling).toThrow(reason);
  });
});

describe('an ambiguous path', () => {
  const rank = { allow: 0, challenge: 1, deny: 2 };
  const levels = ['bypass', 'one_factor', 'two_factor', 'deny'] as const;
  const piece = fc.constantFrom(
    'admin',
    'public',
    '/',
    '..',
    '.',
    ';',
    '%5c',
    '\\',
    '%2f',
    '%25',
    '2e',
    '%3f',
    '%23',
    '%0a',
    '%EF%BC%8E',
    'x',
  );
  const rule = fc.record({
    domain: fc.constant('a.b'),
    policy: fc.constantFrom(...levels),
    resources: fc.constantFrom('^/admin', '^/public', '^/x$', '/admin$', '^/[^a]', '^/$'),
  });

  it('is never decided more openly than its plain reading, or than any other', () => {
    const path = fc.array(piece, { maxLength: 10 }).map((pieces) => `/${pieces.join('')}`);
    const visitor = fc.constantFrom(...Object.values(visitors));
    fc.assert(
      fc.property(
        fc.array(rule, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(...levels),
        path,
        visitor,
        (rules, fallback, uri, [subject, level]) => {
          const policy = compilePolicy(accessControlSchema.parse({ default_policy: fallback, rules }));
          const url = parseCanonicalUrl('https', 'a.b', uri);
          if ('invalid' in url) return;
          const whole = decide(policy, { url, method: 'GET', ip: '' }, subject, level);
          const single = url.readings.map((reading) =>
            decide(policy, { url: { ...url, readings: [reading] }, method: 'GET', ip: '' }, subject, level),
          );
          expect(rank[whole.outcome]).toBe(Math.max(...single.map(({ outcome }) => rank[outcome])));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
