import { describe, expect, test } from 'vitest';

import { askAuthorization, askProxyAuthorization } from '../../../src/authn/basic.ts';
import { type Answer, type Dialect, type Outcome, respond } from '../../../src/forward-auth/respond.ts';

const DIALECTS: readonly Dialect[] = ['forward-auth', 'auth-request', 'ext-authz', 'legacy'];
const PORTAL = {
  portalUrl: 'https://auth.example.com/',
  target: 'https://app.example.com/a?b=c&d',
  method: 'GET',
};
const LOCATION = 'https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2Fa%3Fb%3Dc%26d&rm=GET';

function header(answer: Answer, name: string): string | undefined {
  const at = answer.headers.findIndex((one, i) => i % 2 === 0 && one.toLowerCase() === name.toLowerCase());
  return at === -1 ? undefined : answer.headers[at + 1];
}

const john = {
  username: 'john',
  displayName: 'John Doe',
  emails: ['john@example.com'],
  groups: ['dev', 'admins'],
};

describe.each(DIALECTS)('%s', (dialect) => {
  const outcomes: readonly Outcome[] = [
    { kind: 'allow', identity: null },
    { kind: 'allow', identity: { user: john, level: 1, factors: [] } },
    { kind: 'deny' },
    { kind: 'credentials', challenge: askAuthorization, portal: PORTAL },
    { kind: 'credentials', challenge: askProxyAuthorization, portal: null },
    { kind: 'login', portal: PORTAL, wantsHtml: true, method: 'GET' },
    { kind: 'login', portal: null, wantsHtml: false, method: 'POST' },
    { kind: 'bad-request', reason: 'something is wrong' },
    { kind: 'untrusted-peer' },
    { kind: 'unavailable' },
  ];

  test('only an allowing decision is 2xx', () => {
    for (const outcome of outcomes) {
      const { status } = respond(dialect, outcome);
      expect(status >= 200 && status < 300, outcome.kind).toBe(outcome.kind === 'allow');
    }
  });

  test('no answer is kept by a cache, each says its length, and no header is there twice', () => {
    for (const outcome of outcomes) {
      const answer = respond(dialect, outcome);
      expect(header(answer, 'cache-control')).toBe('no-store');
      expect(header(answer, 'vary')).toBe('Cookie, Authorization');
      expect(header(answer, 'content-length')).toBe(String(Buffer.byteLength(answer.body)));
      expect(answer.headers.length % 2).toBe(0);
      const names = answer.headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
      expect(new Set(names).size, outcome.kind).toBe(names.length);
      expect(names).not.toContain('set-cookie');
    }
  });

  test('200 is empty and tells who it is, with every header there for nobody too', () => {
    const known = respond(dialect, { kind: 'allow', identity: { user: john, level: 1, factors: [] } });
    expect([known.status, known.body]).toEqual([200, '']);
    expect(header(known, 'remote-user')).toBe('john');
    expect(header(known, 'remote-groups')).toBe('dev,admins');
    expect(header(known, 'remote-name')).toBe('John Doe');
    expect(header(known, 'remote-email')).toBe('john@example.com');
    const nobody = respond(dialect, { kind: 'allow', identity: null });
    for (const name of ['remote-user', 'remote-groups', 'remote-name', 'remote-email'])
      expect(header(nobody, name)).toBe('');
  });

  test('nothing but 200 tells who it is', () => {
    for (const outcome of outcomes.filter(({ kind }) => kind !== 'allow')) {
      expect(respond(dialect, outcome).headers.join()).not.toContain('Remote-');
    }
  });

  test('two people never share an answer', () => {
    const twin = { ...john, groups: [] };
    respond(dialect, { kind: 'allow', identity: { user: john, level: 1, factors: [] } });
    expect(
      header(
        respond(dialect, { kind: 'allow', identity: { user: twin, level: 1, factors: [] } }),
        'remote-groups',
      ),
    ).toBe('');
    expect(
      header(
        respond(dialect, { kind: 'allow', identity: { user: john, level: 1, factors: [] } }),
        'remote-groups',
      ),
    ).toBe('dev,admins');
  });

  test('denied is 403, an outage 503 with Retry-After', () => {
    expect(respond(dialect, { kind: 'deny' }).status).toBe(403);
    const down = respond(dialect, { kind: 'unavailable' });
    expect([down.status, header(down, 'retry-after')]).toEqual([503, '2']);
  });

  test('a challenge has the header of its scheme', () => {
    const basic = respond(dialect, { kind: 'credentials', challenge: askAuthorization, portal: null });
    expect([basic.status, header(basic, 'www-authenticate')]).toEqual([
      401,
      'Basic realm="Authorization Required"',
    ]);
    expect(header(basic, 'location')).toBeUndefined();
    const proxy = respond(dialect, { kind: 'credentials', challenge: askProxyAuthorization, portal: PORTAL });
    expect([proxy.status, header(proxy, 'proxy-authenticate')]).toEqual([
      407,
      'Basic realm="Authorization Required"',
    ]);
    expect(header(proxy, 'location')).toBe(LOCATION);
  });

  test('without a portal a login is 401 without Location', () => {
    const answer = respond(dialect, { kind: 'login', portal: null, wantsHtml: true, method: 'GET' });
    expect([answer.status, header(answer, 'location')]).toEqual([401, undefined]);
  });
});

describe('status codes by dialect', () => {
  const login = (wantsHtml: boolean, method: string): Outcome => ({
    kind: 'login',
    portal: PORTAL,
    wantsHtml,
    method,
  });
  const table: readonly [dialect: Dialect, wantsHtml: boolean, method: string, status: number][] =
    DIALECTS.flatMap((dialect) => {
      const redirect = dialect !== 'auth-request';
      return [
        ...['GET', 'HEAD', 'OPTIONS'].map((method) => [dialect, true, method, redirect ? 302 : 401] as const),
        ...['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'CONNECT', 'PROPFIND'].map(
          (method) => [dialect, true, method, redirect ? 303 : 401] as const,
        ),
        ...['GET', 'POST'].map((method) => [dialect, false, method, 401] as const),
      ].map(([...row]) => row as [Dialect, boolean, string, number]);
    });
  test.each(table)('%s, HTML %s, %s: %i', (dialect, wantsHtml, method, status) => {
    const answer = respond(dialect, login(wantsHtml, method));
    expect(answer.status).toBe(status);
    expect(header(answer, 'location')).toBe(LOCATION);
  });

  test.each([
    ['forward-auth', 400, 403],
    ['auth-request', 400, 403],
    ['ext-authz', 400, 403],
    ['legacy', 401, 401],
  ] as const)('%s: malformed %i, untrusted %i', (dialect, malformed, untrusted) => {
    const answer = respond(dialect, { kind: 'bad-request', reason: 'the header x is missing' });
    expect(answer.status).toBe(malformed);
    expect(answer.body).toContain('the header x is missing');
    expect(header(answer, 'content-type')).toBe('text/plain; charset=utf-8');
    expect(respond(dialect, { kind: 'untrusted-peer' }).status).toBe(untrusted);
  });
});

describe('Location', () => {
  const locationOf = (portalUrl: string, target: string, method = 'GET'): string =>
    header(
      respond('forward-auth', {
        kind: 'login',
        portal: { portalUrl, target, method },
        wantsHtml: true,
        method,
      }),
      'location',
    ) ?? '';

  test('the portal keeps its own parameters and path', () => {
    expect(locationOf('https://auth.example.com/sso/?x=1', 'https://a.example.com/')).toBe(
      'https://auth.example.com/sso/?x=1&rd=https%3A%2F%2Fa.example.com%2F&rm=GET',
    );
  });

  test('the target comes back whole', () => {
    const target = 'https://a.example.com/ü 漢\u{1f510}?a=b&c=%2F#x\'"<>+\u0000';
    const { searchParams } = new URL(locationOf('https://auth.example.com/', target, 'POST'));
    expect(searchParams.get('rd')).toBe(target);
    expect(searchParams.get('rm')).toBe('POST');
    expect(locationOf('https://auth.example.com/', target)).toMatch(/^[!-~]+$/);
  });

  test.each([
    ['fits', 'https://a.example.com/p?q=', 6000, 'whole'],
    ['a query too long', 'https://a.example.com/p?q=', 8000, 'https://a.example.com/p'],
    ['a query too long with more marks', 'https://a.example.com/p?q=?', 8000, 'https://a.example.com/p'],
    ['a query too long once escaped', 'https://a.example.com/p?', 2800, 'https://a.example.com/p', '"'],
    ['a path too long', 'https://a.example.com:8443/p', 8000, 'https://a.example.com:8443/'],
    ['a query too long right after the host', 'https://a.example.com?q', 8000, 'https://a.example.com'],
    ['far too long', 'https://a.example.com/p', 60_000, 'https://a.example.com/'],
  ] as const)('%s', (_what, start, length, expected, filler: string = 'x') => {
    const target = start + filler.repeat(length);
    const location = locationOf('https://auth.example.com/', target);
    expect(location.length).toBeLessThanOrEqual(7168);
    expect(new URL(location).searchParams.get('rd')).toBe(expected === 'whole' ? target : expected);
    expect(new URL(location).searchParams.get('rm')).toBe('GET');
  });

  test('a path too long with a query too loses both', () => {
    const location = locationOf(
      'https://auth.example.com/',
      `https://a.example.com/${'p'.repeat(8000)}?${'q'.repeat(100)}`,
    );
    expect(new URL(location).searchParams.get('rd')).toBe('https://a.example.com/');
  });
});
