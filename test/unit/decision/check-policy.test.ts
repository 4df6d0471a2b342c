import { describe, expect, it } from 'vitest';
import { findPolicyProblems } from '../../../src/decision/check-policy.ts';
import { accessControlSchema } from '../../../src/decision/config.ts';

const networks = { office: ['192.0.2.0/24', '198.51.100.7'] };

function problemsOf(...rules: Record<string, unknown>[]): [string, string][] {
  const accessControl = accessControlSchema.parse({
    rules: rules.map((rule) => ({ policy: 'one_factor', ...rule })),
  });
  return findPolicyProblems(accessControl, networks).map(({ path, message }) => [path.join('.'), message]);
}

describe('findPolicyProblems', () => {
  it.each([
    ['app.example.com:8443', /port/],
    ['https://app.example.com', /scheme.*app\.example\.com/],
    ['app.example.com/path', /path.*resources/],
    ['*example.com', /\*\.example\.com/],
    ['app.*.example.com', /domain_regex/],
    ['app.{user}.example.com', /start of the name/],
    ['app.example.com.', /write app\.example\.com/],
    ['a..example.com', /empty/],
    ['bücher.example.com', /xn--/],
    ['a b.example.com', /letters/],
  ])('a name that no host has: %s', (domain, mend) => {
    expect(problemsOf({ domain: ['ok.example.com', domain] })).toEqual([
      ['access_control.rules.0.domain.1', expect.stringMatching(mend)],
    ]);
  });

  it('nothing about names that hosts have', () => {
    const domain = [
      'app.example.com',
      'CaSe.example.com',
      '*.example.com',
      '{user}.example.org',
      '{user}-web.example.org',
      '{group}.example.org',
      'a_b.c',
      'localhost',
      '192.0.2.1',
      '2001:db8::1',
      'xn--bcher-kva.example',
    ];
    expect(problemsOf({ domain })).toEqual([]);
  });

  it('capital letters in expressions for hosts', () => {
    expect(problemsOf({ domain_regex: '^App\\.' })).toEqual([
      ['access_control.rules.0.domain_regex.0', expect.stringMatching(/lower case/)],
    ]);
    expect(problemsOf({ domain_regex: ['(?i)^App\\.', '^(?P<User>\\D\\pL\\p{Lu})$'] })).toEqual([]);
  });

  it.each(['/public', '\\.css$', '^/a|/b', '(?m)^/x', '(^/a)'])(
    'a bypass expression that is not anchored: %s',
    (resources) => {
      expect(problemsOf({ domain: 'a.b', policy: 'bypass', resources })).toEqual([
        ['access_control.rules.0.resources.0', expect.stringMatching(/anchored/)],
      ]);
      expect(problemsOf({ domain: 'a.b', resources })).toEqual([]);
    },
  );

  it.each(['^/public', '\\A/x', '(?i)^/x', '^/(a|b)', '^/[|]$', '^/\\Q|\\E', '^/[]|]', '^/[[:alpha:]|]'])(
    'an anchored one: %s',
    (resources) => {
      expect(problemsOf({ domain: 'a.b', policy: 'bypass', resources })).toEqual([]);
    },
  );

  it('bypass for people, whom it cannot know', () => {
    expect(problemsOf({ domain: '{user}.a.b', policy: 'bypass' })).toEqual([
      ['access_control.rules.0.domain.0', expect.stringMatching(/one_factor/)],
    ]);
    expect(problemsOf({ domain: 'a.b', policy: 'bypass', resources: '^/(?P<User>\\w+)' })).toEqual([
      ['access_control.rules.0.resources.0', expect.stringMatching(/one_factor/)],
    ]);
  });

  it('subjects that name nobody', () => {
    expect(
      problemsOf({ domain: 'a.b', subject: [['user:'], ['group: x'], ['user:x']] }).map(([path]) => path),
    ).toEqual(['access_control.rules.0.subject.0', 'access_control.rules.0.subject.1']);
  });

  const covered: readonly (readonly [string, Record<string, unknown>, Record<string, unknown>])[] = [
    ['the same host', { domain: 'a.b' }, { domain: 'a.b', methods: ['GET'] }],
    ['below a wildcard', { domain: '*.b' }, { domain: ['x.b', '*.y.b', '{user}.b'] }],
    ['an expression', { domain_regex: '\\.b$' }, { domain: 'x.b' }],
    [
      'the same expression',
      { domain_regex: '^(?P<User>\\w+)\\.b$' },
      { domain_regex: '^(?P<User>\\w+)\\.b$', resources: '^/x' },
    ],
    ['the same placeholder', { domain: '{user}.b' }, { domain: '{user}.b' }],
    ['fewer methods', { domain: 'a.b', methods: ['GET', 'HEAD'] }, { domain: 'a.b', methods: ['HEAD'] }],
    [
      'a part of the network',
      { domain: 'a.b', networks: ['office', '10.0.0.0/8'] },
      { domain: 'a.b', networks: ['10.1.0.0/16', '192.0.2.128/25'] },
    ],
    [
      'narrower subjects',
      { domain: 'a.b', subject: ['group:x'] },
      { domain: 'a.b', subject: [['user:y', 'group:x']] },
    ],
    [
      'narrower query',
      { domain: 'a.b', query: [{ key: 'x' }] },
      { domain: 'a.b', query: [[{ key: 'x' }, { key: 'y' }]] },
    ],
    ['fewer paths', { domain: 'a.b', resources: ['^/x', '^/y'] }, { domain: 'a.b', resources: '^/y' }],
  ];
  it.each(covered)('a rule that never decides: %s', (_, earlier, later) => {
    expect(problemsOf({ domain: 'other.b', methods: ['PUT'] }, earlier, later)).toEqual([
      ['access_control.rules.2', expect.stringMatching(/access_control\.rules\[1\] matches everything/)],
    ]);
  });

  const open: readonly (readonly [string, Record<string, unknown>, Record<string, unknown>])[] = [
    ['another host', { domain: 'a.b' }, { domain: 'c.b' }],
    ['the name above a wildcard', { domain: '*.a.b' }, { domain: 'a.b' }],
    ['a wider wildcard', { domain: '*.a.b' }, { domain: '*.b' }],
    ['everybody on a personal host', { domain: '{user}.b' }, { domain: 'x.b' }],
    ['an expression about people', { domain_regex: '^(?P<User>\\w+)\\.b$' }, { domain: 'x.b' }],
    ['more methods', { domain: 'a.b', methods: ['GET'] }, { domain: 'a.b' }],
    [
      'a wider network',
      { domain: 'a.b', networks: ['10.1.0.0/16'] },
      { domain: 'a.b', networks: ['10.0.0.0/8'] },
    ],
    ['another family', { domain: 'a.b', networks: ['::/0'] }, { domain: 'a.b', networks: ['10.0.0.0/8'] }],
    [
      'other people',
      { domain: 'a.b', subject: [['user:y', 'group:x']] },
      { domain: 'a.b', subject: ['group:x'] },
    ],
    [
      'another query',
      { domain: 'a.b', query: [{ key: 'x', value: '1' }] },
      { domain: 'a.b', query: [{ key: 'x' }] },
    ],
    ['other paths', { domain: 'a.b', resources: '^/x' }, { domain: 'a.b', resources: '^/x/y' }],
  ];
  it.each(open)('nothing about a rule that may decide: %s', (_, earlier, later) => {
    expect(problemsOf(earlier, later)).toEqual([]);
  });
});
