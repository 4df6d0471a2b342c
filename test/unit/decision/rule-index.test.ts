import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { factsOf } from '../../../src/decision/criteria.ts';
import { requirementOf } from '../../../src/decision/decide.ts';
import { explain } from '../../../src/decision/explain.ts';
import { compilePolicy, type Policy, type RuleInput } from '../../../src/decision/policy.ts';
import { createPrefixTree } from '../../../src/decision/prefix-tree.ts';
import { anonymous, type Subject, type TargetRequest } from '../../../src/decision/target.ts';
import { targetOf } from './target-of.ts';

const domain = fc.constantFrom(
  'a.b',
  'x.a.b',
  '*.b',
  '*.a.b',
  '{user}.b',
  '{group}.a.b',
  '{user}.a.b',
  'c.b',
);
const domainRegex = fc.constantFrom('^x', '^(?P<User>\\w+)\\.a', '\\.b$', '^(?P<Group>[a-z]+)\\.b$');
const resource = fc.constantFrom(
  '^/a',
  '^/ab$',
  '^/ab/c.*$',
  '^/[ab]',
  '/c',
  '^/a/(?P<User>\\w+)',
  '^/b([/?].*)?$',
  '^/a|^/b',
  '^/ab?/',
  '(?i)^/A',
  '^/x$',
);
const rule: fc.Arbitrary<RuleInput> = fc.record({
  domain: fc.array(domain, { minLength: 1, maxLength: 2 }),
  domain_regex: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.array(domainRegex, { maxLength: 1 }) },
  ),
  policy: fc.constantFrom('bypass', 'one_factor', 'two_factor', 'deny'),
  subject: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.constant([['user:x'], ['group:a']]) },
  ),
  networks: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.constant(['10.0.0.0/8']) },
  ),
  resources: fc.oneof(
    { weight: 1, arbitrary: fc.constant([]) },
    { weight: 4, arbitrary: fc.array(resource, { maxLength: 2 }) },
  ),
  methods: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.constant(['POST']) },
  ),
  query: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    { weight: 1, arbitrary: fc.constant([[{ operator: 'present', key: 'q' }]]) },
  ),
});
const subject: fc.Arbitrary<Subject> = fc.constantFrom(
  anonymous,
  { username: 'x', groups: ['a'] },
  { username: 'ab', groups: ['x', 'c'] },
  { username: '', groups: [], clientId: 'k' },
);
const host = fc.constantFrom('a.b', 'x.a.b', 'c.b', 'x.b', 'y.x.a.b', 'b', 'z.z');
const path = fc.stringMatching(/^\/[abcx/;%]{0,5}(?:\?q)?$/).filter((text) => !text.includes('%'));

/** Deciding without any index: every rule in turn. */
function firstOf(policy: Policy, target: TargetRequest, who: Subject, reading: string): number {
  const facts = factsOf(target, who, reading);
  return policy.rules.findIndex((one) => one.criteria.every((criterion) => criterion.test(facts) !== 'no'));
}

describe('the index by host and path', () => {
  it('never changes an answer, however many rules there are and whichever hosts came before', () => {
    const request = fc.tuple(
      host,
      path,
      subject,
      fc.constantFrom('GET', 'POST'),
      fc.constantFrom('10.1.1.1', '::1'),
    );
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 40 }),
        fc.array(request, { minLength: 1, maxLength: 12 }),
        (rules, requests) => {
          const policy = compilePolicy({ default_policy: 'deny', rules });
          for (const [name, where, who, method, ip] of requests) {
            const target = targetOf(`https://${name}${where}`, { method, ip });
            for (const reading of target.url.readings) {
              const found = requirementOf(policy, factsOf(target, who, reading)).rule;
              expect(found).toBe(firstOf(policy, target, who, reading));
            }
          }
        },
      ),
      { numRuns: 400 },
    );
  });

  it('explains what it decides', () => {
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 20 }), host, path, subject, (rules, name, where, who) => {
        const policy = compilePolicy({ default_policy: 'one_factor', rules });
        const explanation = explain(policy, targetOf(`https://${name}${where}`), who);
        for (const { rules: reports, requirement } of explanation.readings) {
          expect(reports.findIndex(({ answer }) => answer !== 'no')).toBe(requirement.rule);
        }
        expect(explanation.readings.map(({ requirement }) => requirement)).toContainEqual(
          explanation.requirement,
        );
      }),
      { numRuns: 200 },
    );
  });

  it('forgets hosts rather than grow without bound, and answers the same afterwards', () => {
    const policy = compilePolicy({
      default_policy: 'deny',
      rules: [
        {
          domain: ['*.a.b'],
          domain_regex: [],
          policy: 'bypass',
          subject: [],
          networks: [],
          resources: [],
          methods: [],
          query: [],
        },
      ],
    });
    const first = policy.index.find('h0.a.b');
    for (let i = 0; i < 20_000; i++) expect(policy.index.find(`h${i}.a.b`).general).toHaveLength(1);
    // Hosts with the same rules share them.
    expect(policy.index.find('h0.a.b')).toBe(first);
  });
});

describe('createPrefixTree', () => {
  it('finds exactly the keys that a text begins with', () => {
    const key = fc.stringMatching(/^[ab/]{0,6}$/);
    fc.assert(
      fc.property(fc.array(key), key, (keys, text) => {
        const tree = createPrefixTree<string>();
        for (const one of keys) tree.insert(one, one);
        expect(tree.find(text).sort()).toEqual(keys.filter((one) => text.startsWith(one)).sort());
      }),
    );
  });
});
