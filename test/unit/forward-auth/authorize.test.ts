import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { askAuthorization } from '../../../src/authn/basic.ts';
import type { Challenge, Identity, Scheme, SchemeResult } from '../../../src/authn/scheme.ts';
import { decide } from '../../../src/decision/decide.ts';
import { compilePolicy, type RuleInput } from '../../../src/decision/policy.ts';
import { anonymous, type TargetRequest } from '../../../src/decision/target.ts';
import { createAuthorize } from '../../../src/forward-auth/authorize.ts';
import type { Endpoint } from '../../../src/forward-auth/endpoints.ts';
import type { Answer, Dialect, Outcome } from '../../../src/forward-auth/respond.ts';
import type { HeaderName, RequestHead } from '../../../src/http/request-head.ts';
import { createTrustedProxies } from '../../../src/http/trusted-proxies.ts';
import { createCookieDomains } from '../../../src/sessions/cookie-domains.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import { BackendUnavailable } from '../../../src/users/backend.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { exampleCom, fakeHead } from '../authn/fakes.ts';

const rule = (over: Partial<RuleInput>): RuleInput => ({
  domain: [],
  domain_regex: [],
  policy: 'one_factor',
  subject: [],
  networks: [],
  resources: [],
  methods: [],
  query: [],
  ...over,
});

const policy = compilePolicy({
  default_policy: 'deny',
  rules: [
    rule({ domain: ['public.example.com'], policy: 'bypass' }),
    rule({ domain: ['secure.example.com'], policy: 'two_factor' }),
    rule({ domain: ['net.example.com'], policy: 'bypass', networks: ['203.0.113.0/24'] }),
    rule({ domain: ['net.example.com'], policy: 'one_factor' }),
    rule({ domain: ['admin.example.com'], policy: 'one_factor', subject: [['group:admins']] }),
    rule({ domain: ['mixed.example.com'], policy: 'bypass', resources: ['^/open([/?].*)?$'] }),
    rule({ domain: ['mixed.example.com'], policy: 'one_factor' }),
    rule({ domain: ['app.example.com'], policy: 'one_factor' }),
    rule({ domain: ['app.example.org'], policy: 'one_factor' }),
  ],
});

const oldSchema = { ...exampleCom, domain: 'example.org', portalUrl: null };
const cookieDomains = createCookieDomains([exampleCom, oldSchema]);

const identity = (level: 1 | 2, groups: readonly string[] = []): Identity => ({
  user: { username: 'john', displayName: 'John', emails: [], groups },
  level,
  factors: [],
});

/** A scheme with one answer; an Error is thrown. */
function scheme(result: SchemeResult | Error, challenge: Challenge | null = null, later = false): Scheme {
  return {
    challenge,
    authenticate() {
      if (later) return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
      if (result instanceof Error) throw result;
      return result;
    },
  };
}

const DIALECTS: readonly Dialect[] = ['forward-auth', 'auth-request', 'ext-authz', 'legacy'];
const URI = {
  'forward-auth': '/api/authz/forward-auth',
  'auth-request': '/api/authz/auth-request',
  'ext-authz': '/api/authz/ext-authz',
  legacy: '/api/verify',
} as const;

/** The question about a URL, as a proxy of this dialect puts it. */
function question(
  dialect: Dialect,
  host: string,
  path: string,
  method = 'GET',
  headers: Partial<Record<HeaderName, string>> = {},
  more: Parameters<typeof fakeHead>[1] = {},
): RequestHead {
  const own: Record<Dialect, Partial<Record<HeaderName, string>>> = {
    'forward-auth': {
      'x-forwarded-method': method,
      'x-forwarded-proto': 'https',
      'x-forwarded-host': host,
      'x-forwarded-uri': path,
    },
    'auth-request': { 'x-original-url': `https://${host}${path}`, 'x-original-method': method },
    'ext-authz': { host, 'x-forwarded-proto': 'https' },
    legacy: { 'x-original-url': `https://${host}${path}`, 'x-forwarded-method': method },
  };
  const target = dialect === 'ext-authz' ? URI[dialect] + path : URI[dialect];
  return fakeHead(
    { accept: 'text/html', ...own[dialect], ...headers },
    { method: dialect === 'ext-authz' ? method : 'GET', target, ...more },
  );
}

function setUp(schemes: readonly Scheme[] = [scheme('skip')], trusted?: readonly string[]) {
  const outcomes: { outcome: Outcome; target: TargetRequest | null; error: unknown }[] = [];
  const endpoints = DIALECTS.map((dialect): Endpoint => ({
    name: dialect,
    dialect,
    schemes,
    usesSessions: true,
  }));
  const authorize = createAuthorize({
    endpoints,
    policy,
    cookieDomains,
    trustedProxies: createTrustedProxies(trusted),
    clock: fakeClock(),
    onOutcome: (_head, outcome, target, error) => outcomes.push({ outcome, target, error }),
  });
  return {
    outcomes,
    authorize: async (head: RequestHead): Promise<Answer> => authorize(head),
    now: authorize,
  };
}

function header(answer: Answer, name: string): string | undefined {
  const at = answer.headers.findIndex((one, i) => i % 2 === 0 && one.toLowerCase() === name);
  return at === -1 ? undefined : answer.headers[at + 1];
}

describe.each(DIALECTS)('%s', (dialect) => {
  const statusOf = async (
    schemes: readonly Scheme[],
    host: string,
    path = '/',
    method = 'GET',
  ): Promise<number> => (await setUp(schemes).authorize(question(dialect, host, path, method))).status;

  test('what a stranger, somebody with one factor and somebody with two may see', async () => {
    const login = dialect === 'auth-request' || dialect === 'legacy' ? 401 : 302;
    const table = [
      ['public.example.com', 200, 200, 200],
      ['app.example.com', login, 200, 200],
      ['secure.example.com', login, login, 200],
      ['admin.example.com', login, 403, 403],
      ['other.example.com', 403, 403, 403],
    ] as const;
    for (const [host, nobody, one, two] of table) {
      expect(await statusOf([scheme('skip')], host), host).toBe(nobody);
      expect(await statusOf([scheme(identity(1))], host), host).toBe(one);
      expect(await statusOf([scheme(identity(2))], host), host).toBe(two);
    }
    expect(await statusOf([scheme(identity(1, ['admins']))], 'admin.example.com')).toBe(200);
  });

  test('a store or backend that cannot answer: 503 but for what asks nothing of anybody', async () => {
    for (const error of [new StoreUnavailable('down'), new BackendUnavailable('down')]) {
      for (const later of [false, true]) {
        const { authorize, outcomes } = setUp([scheme(error, null, later)]);
        for (const host of [
          'app.example.com',
          'secure.example.com',
          'admin.example.com',
          'other.example.com',
        ]) {
          const answer = await authorize(question(dialect, host, '/'));
          expect([answer.status, header(answer, 'retry-after')], host).toEqual([503, '2']);
        }
        expect((await authorize(question(dialect, 'mixed.example.com', '/closed'))).status).toBe(503);
        expect(outcomes.every(({ outcome }) => outcome.kind === 'unavailable')).toBe(true);
        expect(outcomes.at(-1)).toMatchObject({ error, target: { method: 'GET' } });
        for (const [host, path] of [
          ['public.example.com', '/'],
          ['mixed.example.com', '/open'],
        ] as const) {
          const answer = await authorize(question(dialect, host, path));
          expect([answer.status, header(answer, 'remote-user')], host).toEqual([200, '']);
        }
      }
    }
  });

  test('any other error is a bug of ours: it is thrown, so that the answer is 500', async () => {
    for (const later of [false, true]) {
      const { authorize } = setUp([scheme(new TypeError('a bug'), null, later)]);
      await expect(authorize(question(dialect, 'public.example.com', '/'))).rejects.toThrow('a bug');
    }
  });

  test('a peer that is no trusted proxy learns nothing, not even about what is open', async () => {
    const { authorize, outcomes } = setUp([scheme(identity(2))], ['192.0.2.0/24']);
    for (const host of ['public.example.com', 'app.example.com']) {
      expect((await authorize(question(dialect, host, '/'))).status).toBe(dialect === 'legacy' ? 401 : 403);
      expect((await authorize(question(dialect, host, '/', 'GET', {}, { peer: '192.0.2.7' }))).status).toBe(
        200,
      );
    }
    expect(outcomes[0]).toMatchObject({ outcome: { kind: 'untrusted-peer' }, target: null });
  });

  test('malformed questions are refused whatever the policy says', async () => {
    const bad = dialect === 'legacy' ? 401 : 400;
    const { authorize, outcomes } = setUp([scheme(identity(2))]);
    const heads = [
      question(dialect, 'public.example.com', '/a b'),
      question(dialect, 'public.example.com', '/a#b'),
      question(dialect, 'public.example.com', '/%00'),
      question(dialect, 'public.example.com', '/%zz'),
      question(dialect, 'public.example.com', '/\xff'),
      question(dialect, 'public.example.com.', '/'),
      question(dialect, 'user@public.example.com', '/'),
      question(dialect, '', '/'),
      question(dialect, 'public.example.com:0', '/'),
      question(dialect, 'public.example.net', '/'),
      question(dialect, 'evilexample.com', '/'),
      question(dialect, 'public.example.com', '/', 'get'),
      question(dialect, 'public.example.com', '/', 'G=T'),
      question(dialect, 'public.example.com', '/', 'A'.repeat(21)),
      question(dialect, 'public.example.com', '/', 'GET', { 'x-forwarded-for': 'nonsense' }),
      question(
        dialect,
        'public.example.com',
        '/',
        'GET',
        { 'x-forwarded-for': '203.0.113.5' },
        { flaws: { 'x-forwarded-for': 'aliased' } },
      ),
    ];
    for (const [i, head] of heads.entries()) {
      const answer = await authorize(head);
      expect(answer.status, `${i}: ${outcomes.at(-1)?.outcome.kind}`).toBe(bad);
    }
    expect(outcomes.every(({ outcome, target }) => outcome.kind === 'bad-request' && target === null)).toBe(
      true,
    );
  });

  test('UTF-8 in the path is read as such', async () => {
    const { authorize, outcomes } = setUp([scheme(identity(2))]);
    expect(
      (await authorize(question(dialect, 'app.example.com', Buffer.from('/ü').toString('latin1')))).status,
    ).toBe(200);
    expect(outcomes[0]?.target?.url.readings).toContain('/ü');
  });

  test('HEAD asks like GET; the methods of questions are checked', async () => {
    const { authorize } = setUp([scheme(identity(2))]);
    if (dialect === 'ext-authz') return;
    const head = question(dialect, 'app.example.com', '/');
    expect((await authorize({ ...head, method: 'HEAD' })).status).toBe(200);
    for (const method of ['POST', 'OPTIONS', 'DELETE', 'CONNECT']) {
      const answer = await authorize({ ...head, method });
      expect(answer.status, method).toBe(dialect === 'legacy' ? 200 : 405);
      if (dialect !== 'legacy') expect(header(answer, 'allow')).toBe('GET, HEAD');
      expect(header(answer, 'content-length')).toBe(String(answer.body.length));
    }
  });

  test('a plain answer is there at once', () => {
    expect(setUp([scheme(identity(1))]).now(question(dialect, 'app.example.com', '/'))).not.toBeInstanceOf(
      Promise,
    );
  });
});

describe('the portal', () => {
  const portalOf = async (head: RequestHead): Promise<string | number | undefined> => {
    const answer = await setUp().authorize(head);
    const location = header(answer, 'location');
    return location === undefined ? answer.status : location.replace(/[?&]rd=.*$/, '');
  };
  const ask = (
    dialect: Dialect,
    query: string,
    headers: Partial<Record<HeaderName, string>> = {},
    host = 'app.example.com',
  ) => {
    const head = question(dialect, host, '/', 'GET', headers);
    return portalOf({
      ...head,
      target: head.target + (dialect === 'ext-authz' || query === '' ? '' : `?${query}`),
    });
  };

  test('is the configured one when none is named; legacy sends nobody anywhere', async () => {
    for (const dialect of ['forward-auth', 'auth-request', 'ext-authz'] as const) {
      expect(await ask(dialect, '')).toBe('https://auth.example.com/');
    }
    expect(await ask('legacy', '')).toBe(401);
  });

  test('may be named only as configured', async () => {
    const named = 'https://auth.example.com/';
    expect(await ask('forward-auth', `authelia_url=${named}`)).toBe(named);
    expect(await ask('forward-auth', 'authelia_url=https://auth.example.com')).toBe(named);
    expect(await ask('forward-auth', 'authelia_url=https://AUTH.example.com:443/')).toBe(named);
    expect(await ask('legacy', `rd=${named}`)).toBe(named);
    expect(await ask('legacy', '', { 'x-authelia-url': named })).toBe(named);
    expect(await ask('ext-authz', '', { 'x-authelia-url': named })).toBe(named);
    for (const other of [
      'https://evil.com/',
      'https://app.example.com/',
      'http://auth.example.com/',
      'https://auth.example.com/x',
      'https://auth.example.com:8443/',
      '//auth.example.com/',
      'javascript:1',
      '',
      'https://auth.example.com@evil.com/',
    ]) {
      expect(await ask('forward-auth', `authelia_url=${encodeURIComponent(other)}`), other).toBe(400);
      expect(await ask('auth-request', `authelia_url=${encodeURIComponent(other)}`), other).toBe(400);
      expect(await ask('ext-authz', '', { 'x-authelia-url': other }), other).toBe(400);
      expect(await ask('legacy', `rd=${encodeURIComponent(other)}`), other).toBe(401);
    }
  });

  test('in the old session schema must be https inside of the cookie domain', async () => {
    const host = 'app.example.org';
    expect(await ask('forward-auth', '', {}, host)).toBe(401);
    expect(await ask('forward-auth', 'authelia_url=https://login.example.org/sso', {}, host)).toBe(
      'https://login.example.org/sso',
    );
    for (const other of [
      'https://login.example.com/',
      'http://login.example.org/',
      'https://evilexample.org/',
    ]) {
      expect(await ask('forward-auth', `authelia_url=${other}`, {}, host), other).toBe(400);
    }
  });

  test('is of no use to background requests', async () => {
    const statusOf = async (headers: Partial<Record<HeaderName, string>>) =>
      (await setUp().authorize(question('forward-auth', 'app.example.com', '/', 'GET', headers))).status;
    expect(await statusOf({ accept: 'text/html,application/xhtml+xml' })).toBe(302);
    expect(await statusOf({ accept: '*/*' })).toBe(302);
    expect(await statusOf({ accept: 'application/json' })).toBe(401);
    expect(await statusOf({ accept: 'application/json, */*' })).toBe(401);
    expect(await statusOf({ accept: '' })).toBe(401);
    expect(await statusOf({ accept: 'text/html', 'x-requested-with': 'XMLHttpRequest' })).toBe(401);
    expect(await statusOf({ accept: 'text/html', 'x-requested-with': 'com.example.app' })).toBe(302);
    const { accept: _, ...none } = { accept: '' };
    expect(
      (
        await setUp().authorize(
          fakeHead({
            'x-forwarded-method': 'GET',
            'x-forwarded-proto': 'https',
            'x-forwarded-host': 'app.example.com',
            ...none,
          }),
        )
      ).status,
    ).toBe(401);
  });
});

describe('credentials that do not hold', () => {
  const failing = [scheme('failure', askAuthorization), scheme('skip')];
  test.each(DIALECTS)('%s: are asked for again, and never pass', async (dialect) => {
    for (const host of ['app.example.com', 'secure.example.com', 'other.example.com']) {
      const answer = await setUp(failing).authorize(question(dialect, host, '/'));
      expect([answer.status, header(answer, 'www-authenticate')], host).toEqual([
        401,
        'Basic realm="Authorization Required"',
      ]);
      expect(header(answer, 'location') !== undefined, host).toBe(dialect === 'auth-request');
    }
    const open = await setUp(failing).authorize(question(dialect, 'public.example.com', '/'));
    expect([open.status, header(open, 'remote-user')]).toEqual([200, '']);
  });
});

test('the client address decides, and X-Forwarded-For only as far as it is believed', async () => {
  const statusOf = async (forwardedFor: string): Promise<number> =>
    (
      await setUp().authorize(
        question('forward-auth', 'net.example.com', '/', 'GET', { 'x-forwarded-for': forwardedFor }),
      )
    ).status;
  expect(await statusOf('203.0.113.5')).toBe(200);
  expect(await statusOf('203.0.113.5, 198.51.100.1')).toBe(302);
  expect(await statusOf('198.51.100.1, 203.0.113.5')).toBe(200);
});

test('an unknown endpoint is 404, whoever asks', async () => {
  const { authorize, outcomes } = setUp([scheme(identity(2))]);
  for (const target of [
    '/api/authz/nothing',
    '/api/authz/',
    '/api/authz/forward-auth/x',
    '/api/authz/Forward-Auth?x=y',
  ]) {
    const answer = await authorize({ ...question('forward-auth', 'public.example.com', '/'), target });
    expect([answer.status, header(answer, 'content-length')], target).toEqual([
      404,
      String(answer.body.length),
    ]);
  }
  expect(outcomes).toEqual([]);
});

describe('whatever a proxy or client sends', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      'https',
      'http',
      'wss',
      '://',
      '/',
      '//',
      '?',
      '#',
      '@',
      ':',
      ';',
      '\\',
      '%',
      '%00',
      '%2f',
      '%2e%2e',
      '..',
      '.',
      ' ',
      '\t',
      '\0',
      '\xc3\xbc',
      '\xff',
      '&',
      '=',
    ),
    fc.constantFrom(
      'public.example.com',
      'app.example.com',
      'secure.example.com',
      'mixed.example.com',
      'example.com',
      'evil.com',
      '127.0.0.1',
      '[::1]',
      'open',
      'GET',
      'POST',
      'XMLHttpRequest',
      'text/html',
      'rd=',
      'auth=basic',
      'authelia_url=',
    ),
    fc.string({ unit: 'binary', maxLength: 4 }),
    fc.string({ maxLength: 8 }),
  );
  const noise = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
  const host = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        'public.example.com',
        'app.example.com',
        'secure.example.com',
        'mixed.example.com',
        'net.example.com',
        'APP.example.com:443',
      ),
    },
    { weight: 1, arbitrary: noise },
  );
  const path = noise.map((text) => `/${text}`);
  const method = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'OPTIONS') },
    { weight: 1, arbitrary: noise },
  );
  const urlScheme = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('https', 'wss') },
    { weight: 1, arbitrary: noise },
  );
  const often = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 9 });
  const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
    fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

  const headers = fc.record({
    host: often(host),
    'x-forwarded-proto': often(urlScheme),
    'x-forwarded-host': often(host),
    'x-forwarded-uri': often(path),
    'x-forwarded-method': often(method),
    'x-original-url': often(fc.tuple(urlScheme, host, path).map(([s, h, p]) => `${s}://${h}${p}`)),
    'x-original-method': often(method),
    'x-authelia-url': rarely(fc.oneof(fc.constant('https://auth.example.com/'), noise)),
    'x-forwarded-for': rarely(fc.oneof(fc.constantFrom('203.0.113.5', '1.1.1.1, ::1'), noise)),
    'x-requested-with': rarely(noise),
    accept: fc.option(fc.oneof(fc.constantFrom('text/html', '*/*'), noise), { nil: undefined }),
    cookie: rarely(noise),
    authorization: rarely(noise),
    'session-username': rarely(noise),
  });
  const flaws = fc.dictionary(
    fc.constantFrom<HeaderName[]>(
      'x-forwarded-host',
      'x-original-url',
      'x-forwarded-for',
      'host',
      'x-forwarded-uri',
    ),
    fc.constantFrom('repeated' as const, 'aliased' as const),
    { maxKeys: 1 },
  );
  const target = fc
    .tuple(
      fc.constantFrom(...Object.values(URI), '/api/authz/ext-authz/', '/api/authz/ext-authz/open'),
      fc.option(noise, { nil: '' }),
    )
    .map(([start, text]) => start + (text && `?${text}`));
  const schemes = [
    [[scheme('skip')], anonymous, 0],
    [[scheme('failure', askAuthorization)], anonymous, 0],
    [[scheme('skip', askAuthorization), scheme(identity(1))], { username: 'john', groups: [] }, 1],
    [[scheme(identity(2))], { username: 'john', groups: [] }, 2],
    [[scheme(new StoreUnavailable('down'))], anonymous, 0],
  ] as const;

  test('nothing throws, answers are bounded, and 2xx is said for an allowing decision only', () => {
    const seen = new Map<number, number>();
    fc.assert(
      fc.property(
        headers,
        flaws,
        target,
        method,
        fc.constantFrom(...schemes),
        fc.constantFrom('127.0.0.1', '10.0.0.1', '', '8.8.8.8'),
        (given, broken, asked, verb, [list, subject, level], peer) => {
          const { now, outcomes } = setUp(list);
          const present = Object.fromEntries(
            Object.entries(given).filter(([, value]) => value !== undefined),
          ) as Partial<Record<HeaderName, string>>;
          const answer = now(fakeHead(present, { method: verb, target: asked, peer, flaws: broken }));
          if (answer instanceof Promise) throw new Error('a promise without need');
          seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
          expect([200, 302, 303, 400, 401, 403, 404, 405, 503]).toContain(answer.status);
          expect(answer.headers.join('').length).toBeLessThan(8192);
          for (const value of answer.headers) expect(value).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/);
          if (answer.status === 200) {
            const [decided] = outcomes;
            expect(decided?.outcome.kind).toBe('allow');
            if (!decided?.target) throw new Error('allowed without a target');
            expect(decide(policy, decided.target, subject, level).outcome).toBe('allow');
            expect(peer).not.toBe('8.8.8.8');
            expect(Object.keys(broken)).not.toContain('x-forwarded-for');
          }
        },
      ),
      { numRuns: 5000, seed: 20_260 },
    );
    // The heads are not all nonsense: each kind of answer occurs.
    for (const status of [200, 302, 400, 401, 403, 503])
      expect(seen.get(status) ?? 0, String(status)).toBeGreaterThan(20);
  });

  test('a long question has a short answer', async () => {
    for (const dialect of DIALECTS) {
      for (const long of [
        '/'.repeat(30_000),
        `/${'a'.repeat(30_000)}`,
        `/?${'%'.repeat(30_000)}`,
        `/${'%25'.repeat(10_000)}`,
        `/${';'.repeat(30_000)}`,
        `/${'../'.repeat(10_000)}`,
      ]) {
        const start = performance.now();
        const answer = await setUp().authorize(question(dialect, 'app.example.com', long));
        expect(performance.now() - start, `${dialect} ${long.slice(0, 10)}`).toBeLessThan(500);
        expect(answer.headers.join('').length + answer.body.length).toBeLessThan(8192);
        expect(answer.status).toBeGreaterThanOrEqual(300);
      }
    }
  });
});
