import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { HeaderLine, RawAnswer } from '../support/raw-http.ts';
import { ask } from '../support/wire.ts';
import { type InProcessGateway, PASSWORD, startInProcess } from './in-process.ts';

/** The portal and the decisions of the whole gateway, as a browser behind a proxy sees them. */

let gateway: InProcessGateway;
beforeEach(async () => {
  gateway = await startInProcess();
});
afterEach(() => gateway.stop());

const AUTH = 'auth.example.com';
const behindProxy = (host = AUTH): HeaderLine[] => [
  ['Host', host],
  ['X-Forwarded-Proto', 'https'],
  ['X-Forwarded-Host', host],
  ['X-Forwarded-For', '203.0.113.5'],
];
const cookieLine = (cookie?: string): HeaderLine[] => (cookie === undefined ? [] : [['Cookie', cookie]]);
const JSON_TYPE = ['Content-Type', 'application/json'] as const;

const get = (path: string, cookie?: string, host?: string): Promise<RawAnswer> =>
  ask(gateway.port, 'GET', path, [...behindProxy(host), ...cookieLine(cookie)]);
const post = (path: string, body: unknown, cookie?: string, host?: string): Promise<RawAnswer> =>
  ask(
    gateway.port,
    'POST',
    path,
    [...behindProxy(host), JSON_TYPE, ...cookieLine(cookie)],
    JSON.stringify(body),
  );
const form = (
  path: string,
  fields: Record<string, string>,
  cookie?: string,
  host = AUTH,
): Promise<RawAnswer> =>
  ask(
    gateway.port,
    'POST',
    path,
    [
      ...behindProxy(host),
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['Sec-Fetch-Site', 'same-origin'],
      ['Origin', `https://${host}`],
      ...cookieLine(cookie),
    ],
    new URLSearchParams(fields).toString(),
  );
const decide = (url: string, cookie?: string, more: readonly HeaderLine[] = []): Promise<RawAnswer> => {
  const { host, pathname, search } = new URL(url);
  return ask(gateway.port, 'GET', '/api/authz/forward-auth', [
    ['Host', 'gateway'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', host],
    ['X-Forwarded-URI', pathname + search],
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-For', '203.0.113.5'],
    ['Accept', 'text/html'],
    ...cookieLine(cookie),
    ...more,
  ]);
};

/** What a browser would send back. */
const cookieOf = (answer: RawAnswer): string => answer.header('set-cookie')?.split(';')[0] ?? '';
const dataOf = (answer: RawAnswer): unknown =>
  (JSON.parse(answer.body.toString()) as { data?: unknown }).data;
const credentials = (more: object = {}) => ({ username: 'john', password: PASSWORD, ...more });
const logIn = async (more: object = {}, host?: string): Promise<string> => {
  const answer = await post('/api/firstfactor', credentials(more), undefined, host);
  expect(answer.status).toBe(200);
  return cookieOf(answer);
};

const APP = 'https://app.example.com/a?b=c';

describe('signing in by JSON', () => {
  test('opens the protected page that asked for it', async () => {
    const before = await decide(APP);
    expect([before.status, before.header('location')]).toEqual([
      302,
      'https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2Fa%3Fb%3Dc&rm=GET',
    ]);
    const answer = await post(
      '/api/firstfactor',
      credentials({ targetURL: APP, requestMethod: 'GET', keepMeLoggedIn: false, workflow: 'x' }),
    );
    expect([answer.status, dataOf(answer)]).toEqual([200, { redirect: APP }]);
    const after = await decide(APP, cookieOf(answer));
    expect(after.status).toBe(200);
    expect(after.header('remote-user')).toBe('john');
    expect(after.header('remote-groups')).toBe('dev');
    expect(after.header('remote-name')).toBe('John Doe');
    expect(after.header('remote-email')).toBe('john.doe@example.com');
    expect(after.body).toHaveLength(0);
    expect(after.all('set-cookie')).toEqual([]);
  });

  test('sets the cookie for the whole domain, for browsers over https alone', async () => {
    const answer = await post('/api/firstfactor', credentials());
    expect(answer.all('set-cookie')).toHaveLength(2);
    const [pair = '', ...attributes] = (answer.header('set-cookie') ?? '').split('; ');
    expect(pair).toMatch(/^authelia_session=[A-Za-z0-9_-]{43}$/);
    expect(attributes).toEqual([
      'Path=/',
      'Domain=example.com',
      'Max-Age=3600',
      'HttpOnly',
      'Secure',
      'SameSite=Lax',
    ]);
    const remembered = await post('/api/firstfactor', credentials({ keepMeLoggedIn: true }));
    expect(remembered.header('set-cookie')).toContain('; Max-Age=2592000;');
    const org = await post(
      '/api/firstfactor',
      credentials({ keepMeLoggedIn: true }),
      undefined,
      'auth.example.org',
    );
    expect(org.header('set-cookie')).toMatch(
      /^org_session=[\w-]{43}; Path=\/; Domain=example\.org; Max-Age=3600; HttpOnly; Secure; SameSite=Strict$/,
    );
  });

  test('where it leads', async () => {
    const redirectOf = async (more: object): Promise<unknown> => {
      const answer = await post('/api/firstfactor', credentials(more));
      expect(answer.status).toBe(200);
      return (dataOf(answer) as { redirect?: string } | undefined)?.redirect;
    };
    expect(await redirectOf({ targetURL: 'https://app.example.org/' })).toBe('https://app.example.org/');
    expect(await redirectOf({ targetURL: 'https://methods.example.com/', requestMethod: 'POST' })).toBe(
      'https://methods.example.com/',
    );
    // More is asked for than was shown.
    expect(await redirectOf({ targetURL: 'https://two.example.com/' })).toBeUndefined();
    // Not a place to send anybody.
    for (const targetURL of [
      'https://evil.test/',
      '//app.example.com/',
      'javascript:alert(1)',
      'https://auth.example.com/?rd=https://evil.test/',
    ]) {
      expect(await redirectOf({ targetURL }), targetURL).toBeUndefined();
    }
    // A rule asks for two factors: who has no target stays.
    expect(await redirectOf({})).toBeUndefined();
  });

  test('unknown, disabled, wrong and missing are the same answer, without a cookie', async () => {
    const answers = await Promise.all(
      [
        credentials({ password: 'wrong' }),
        credentials({ username: 'nobody' }),
        credentials({ username: 'gone' }),
        credentials({ username: '__proto__' }),
        credentials({ username: '' }),
        { username: 'john' },
        { password: PASSWORD },
        {},
        credentials({ username: null }),
      ].map((body) => post('/api/firstfactor', body)),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(answer.body.toString()).toBe(
        '{"status":"KO","message":"Authentication failed. Check your credentials."}',
      );
      expect(answer.all('set-cookie')).toEqual([]);
      expect(answer.header('cache-control')).toBe('no-store');
    }
  });

  test('wrong types are 400', async () => {
    for (const body of [
      credentials({ username: 5 }),
      credentials({ password: ['x'] }),
      credentials({ keepMeLoggedIn: 'true' }),
      credentials({ targetURL: {} }),
      [],
      'x',
      5,
      null,
    ]) {
      expect((await post('/api/firstfactor', body)).status, JSON.stringify(body)).toBe(400);
    }
  });

  test('is refused over http and on hosts of no cookie domain, before the password counts', async () => {
    const plain = await ask(
      gateway.port,
      'POST',
      '/api/firstfactor',
      [['Host', AUTH], JSON_TYPE],
      JSON.stringify(credentials()),
    );
    expect([plain.status, plain.all('set-cookie')]).toEqual([400, []]);
    expect(plain.body.toString()).toContain('https');
    expect((await post('/api/firstfactor', credentials(), undefined, 'auth.evil.test')).status).toBe(400);
  });

  test('over a session gives a new one and ends the old one', async () => {
    const first = await logIn();
    const answer = await post('/api/firstfactor', { username: 'harry', password: PASSWORD }, first);
    const second = cookieOf(answer);
    expect(second).not.toBe(first);
    expect((await decide(APP, first)).status).toBe(302);
    expect((await decide(APP, second)).header('remote-user')).toBe('harry');
  });

  test('a token that somebody planted never becomes a session', async () => {
    const planted = `authelia_session=${'A'.repeat(43)}`;
    const answer = await post('/api/firstfactor', credentials(), planted);
    expect(cookieOf(answer)).not.toBe(planted);
    expect((await decide(APP, planted)).status).toBe(302);
    expect((await decide(APP, `${planted}; ${cookieOf(answer)}`)).status).toBe(302);
  });
});

describe('signing in by form', () => {
  test('is answered 303 to the target, with the cookie', async () => {
    const answer = await form(`/form/login?rd=${encodeURIComponent(APP)}&rm=GET`, {
      username: 'john',
      password: PASSWORD,
    });
    expect([answer.status, answer.header('location')]).toEqual([303, APP]);
    expect(answer.header('set-cookie')).toContain(
      'Domain=example.com; Max-Age=3600; HttpOnly; Secure; SameSite=Lax',
    );
    expect((await decide(APP, cookieOf(answer))).status).toBe(200);
    const remembered = await form('/form/login', { username: 'john', password: PASSWORD, remember: 'on' });
    expect([remembered.status, remembered.header('location')]).toEqual([303, '/']);
    expect(remembered.header('set-cookie')).toContain('Max-Age=2592000');
  });

  test('leads back to the form with the reason and the target when it does not hold', async () => {
    const path = `/form/login?rd=${encodeURIComponent(APP)}&rm=POST`;
    const wrong = await form(path, { username: 'john', password: 'wrong' });
    expect([wrong.status, wrong.all('set-cookie')]).toEqual([303, []]);
    const back = new URL(wrong.header('location') ?? '', 'https://auth.example.com');
    expect(back.pathname).toBe('/');
    expect(Object.fromEntries(back.searchParams)).toEqual({ error: 'credentials', rd: APP, rm: 'POST' });
    expect((await form(path, { username: 'john', password: '' })).header('location')).toContain(
      'error=missing',
    );
    expect((await form(path, {})).header('location')).toContain('error=missing');
  });

  test('never leads away', async () => {
    for (const rd of ['https://evil.test/', '//evil.test/', 'javascript:alert(1)', '/\\evil.test']) {
      for (const password of [PASSWORD, 'wrong']) {
        const answer = await form(`/form/login?rd=${encodeURIComponent(rd)}`, { username: 'john', password });
        expect([answer.status, answer.header('location')?.startsWith('/')], rd).toEqual([303, true]);
        expect(answer.header('location'), rd).not.toMatch(/evil|javascript|^\/[/\\]/);
      }
    }
    const twice = await form(`/form/login?rd=${encodeURIComponent(APP)}&rd=https://evil.test/`, {
      username: 'john',
      password: PASSWORD,
    });
    expect(twice.header('location')).toBe('/');
  });
});

describe('signing out', () => {
  const DELETED =
    'authelia_session=; Path=/; Domain=example.com; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax';

  test('by JSON ends the session for the very next request and takes the cookie away', async () => {
    const cookie = await logIn();
    expect((await decide(APP, cookie)).status).toBe(200);
    const answer = await post('/api/logout', { targetURL: 'https://app.example.com/' }, cookie);
    expect([answer.status, dataOf(answer), answer.all('set-cookie')]).toEqual([
      200,
      { safeTargetURL: true },
      [DELETED],
    ]);
    expect((await decide(APP, cookie)).status).toBe(302);
    expect((await get('/api/user/info', cookie)).status).toBe(403);
    expect(gateway.log.filter(({ message }) => message === 'session ended')).toMatchObject([
      { fields: { reason: 'logout', username: 'john' } },
    ]);
  });

  test('by form leads to a safe target only', async () => {
    const cookie = await logIn();
    const answer = await form(`/form/logout?rd=${encodeURIComponent(APP)}`, {}, cookie);
    expect([answer.status, answer.header('location'), answer.all('set-cookie')]).toEqual([
      303,
      APP,
      [DELETED],
    ]);
    expect((await decide(APP, cookie)).status).toBe(302);
    const again = await form('/form/logout?rd=https://evil.test/', {}, cookie);
    expect([again.status, again.header('location')]).toEqual([303, '/']);
  });

  test('without a session is no error; an unsafe target is told', async () => {
    const answer = await post('/api/logout', { targetURL: 'https://evil.test/' });
    expect([answer.status, dataOf(answer), answer.all('set-cookie')]).toEqual([
      200,
      { safeTargetURL: false },
      [],
    ]);
    expect((await post('/api/logout', {}, 'authelia_session=garbage')).all('set-cookie')).toEqual([DELETED]);
  });

  test('a cookie that another site planted beside it keeps no session alive', async () => {
    const cookie = await logIn();
    const planted = `authelia_session=${'A'.repeat(43)}`;
    expect((await decide(APP, `${cookie}; ${planted}`)).status, 'nobody is believed').toBe(302);
    const out = await post('/api/logout', {}, `${planted}; ${cookie}`);
    expect([out.status, out.all('set-cookie')]).toEqual([200, [DELETED]]);
    expect((await decide(APP, cookie)).status).toBe(302);

    const before = await logIn();
    await post('/api/firstfactor', credentials(), `${planted}; ${before}`);
    expect((await decide(APP, before)).status, 'a sign-in ends what the browser had').toBe(302);
  });

  test('of one browser leaves the other one signed in', async () => {
    const [one, other] = [await logIn(), await logIn()];
    await post('/api/logout', {}, one);
    expect((await decide(APP, other)).status).toBe(200);
  });
});

describe('what the portal tells', () => {
  test('state', async () => {
    expect(dataOf(await get('/api/state'))).toEqual({
      username: '',
      authentication_level: 0,
      factor_knowledge: false,
    });
    const cookie = await logIn();
    expect(dataOf(await get('/api/state', cookie))).toEqual({
      username: 'john',
      authentication_level: 1,
      factor_knowledge: true,
      default_redirection_url: 'https://home.example.com/',
    });
  });

  test('safe-redirection, to people who are signed in', async () => {
    const cookie = await logIn();
    const check = async (uri: unknown) => post('/api/checks/safe-redirection', { uri }, cookie);
    expect(dataOf(await check('https://app.example.com/'))).toEqual({ ok: true });
    expect(dataOf(await check('https://app.example.org/x'))).toEqual({ ok: true });
    for (const uri of ['https://evil.test/', 'http://app.example.com/', 'https:app.example.com', '', null]) {
      expect(dataOf(await check(uri)), String(uri)).toEqual({ ok: false });
    }
    expect((await check(5)).status).toBe(400);
    const stranger = await post('/api/checks/safe-redirection', { uri: 'https://app.example.com/' });
    expect([stranger.status, stranger.body.toString()]).toEqual([401, '401 Unauthorized\n']);
  });

  test('user/info, with the address masked', async () => {
    const cookie = await logIn();
    const info = {
      display_name: 'John Doe',
      method: '',
      has_totp: false,
      has_webauthn: false,
      has_duo: false,
    };
    const [shown] = (dataOf(await get('/api/user/info', cookie)) as { emails: string[] }).emails;
    expect(shown).toMatch(/@/);
    expect(shown).not.toContain('john.doe');
    expect(dataOf(await get('/api/user/info', cookie))).toEqual({ ...info, emails: [shown] });
    expect(dataOf(await post('/api/user/info', {}, cookie))).toEqual({ ...info, emails: [shown] });
    expect((await get('/api/user/info')).status).toBe(403);
    expect((await post('/api/user/info', {})).status).toBe(403);
  });

  test('a page says who signs in where, complete when it arrives', async () => {
    const page = await get(`/?rd=${encodeURIComponent(APP)}&rm=GET`);
    expect([page.status, page.header('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.header('cache-control')).toBe('no-store');
    expect(page.header('content-security-policy')).toMatch(/nonce-/);
    const html = page.body.toString();
    expect(html).toContain('app.example.com');
    expect(html).toContain('action="/form/login?rd=https%3A%2F%2Fapp.example.com%2Fa%3Fb%3Dc&amp;rm=GET"');
    const evil = (await get(`/?rd=${encodeURIComponent('https://evil.test/"><script>')}`)).body.toString();
    expect(evil).not.toContain('evil.test');
    const cookie = await logIn();
    const onward = await get(`/?rd=${encodeURIComponent(APP)}`, cookie);
    expect([onward.status, onward.header('location')]).toEqual([303, APP]);
    expect((await get(`/?rd=${encodeURIComponent('https://two.example.com/')}`, cookie)).status).toBe(200);
  });
});

describe('requests that did not come from the portal itself', () => {
  const ROUTES = [
    '/api/firstfactor',
    '/api/logout',
    '/api/checks/safe-redirection',
    '/api/user/info',
    '/form/login',
    '/form/logout',
  ];
  const from = (path: string, cookie: string, ...more: readonly HeaderLine[]): Promise<RawAnswer> => {
    const isForm = path.startsWith('/form/');
    const type: HeaderLine = isForm ? ['Content-Type', 'application/x-www-form-urlencoded'] : JSON_TYPE;
    const body = isForm
      ? `username=john&password=${encodeURIComponent(PASSWORD)}`
      : JSON.stringify(credentials());
    return ask(gateway.port, 'POST', path, [...behindProxy(), type, ...cookieLine(cookie), ...more], body);
  };

  test.each(ROUTES)('%s', async (path) => {
    const cookie = await logIn();
    for (const more of [
      [['Sec-Fetch-Site', 'cross-site']],
      [
        ['Sec-Fetch-Site', 'same-site'],
        ['Origin', 'https://app.example.com'],
      ],
      [['Sec-Fetch-Site', 'none']],
      [['Origin', 'https://evil.test']],
      [['Origin', 'https://app.example.com']],
      [['Origin', 'null']],
      [['Origin', 'http://auth.example.com']],
      [
        ['Sec-Fetch-Site', 'same-origin'],
        ['Origin', 'https://evil.test'],
      ],
    ] satisfies HeaderLine[][]) {
      const answer = await from(path, cookie, ...more);
      expect([answer.status, answer.all('set-cookie')], JSON.stringify(more)).toEqual([403, []]);
    }
    expect((await decide(APP, cookie)).status).toBe(200);
    const own = await from(
      path,
      cookie,
      ['Sec-Fetch-Site', 'same-origin'],
      ['Origin', 'https://auth.example.com'],
    );
    expect(own.status).toBeLessThan(400);
  });

  test('a form of another site can neither sign in nor out', async () => {
    const cookie = await logIn();
    for (const path of ROUTES) {
      for (const type of [
        'application/x-www-form-urlencoded',
        'text/plain',
        'multipart/form-data; boundary=x',
      ]) {
        const answer = await ask(
          gateway.port,
          'POST',
          path,
          [...behindProxy(), ['Content-Type', type], ['Sec-Fetch-Site', 'cross-site'], ...cookieLine(cookie)],
          '{"targetURL":"x"}',
        );
        expect(answer.status, `${path} ${type}`).toBe(403);
      }
      expect((await get(path, cookie)).status, path).toBe(path === '/api/user/info' ? 200 : 405);
    }
    expect((await decide(APP, cookie)).status).toBe(200);
  });
});

describe('strangers', () => {
  test('get no cookie, and nothing is kept of them', async () => {
    gateway.drawn.length = 0;
    const answers = [
      await decide(APP),
      await decide('https://open.example.com/'),
      await decide('https://nothing.example.com/'),
      await decide(APP, 'authelia_session=garbage'),
      await decide(APP, `authelia_session=${'A'.repeat(43)}`),
      await get('/'),
      await get('/logout'),
      await get('/api/state'),
      await get('/api/configuration'),
      await get('/nowhere'),
      await get('/api/health'),
      await post('/api/firstfactor', credentials({ password: 'wrong' })),
      await post('/api/logout', {}),
      await form('/form/login', { username: 'john', password: 'wrong' }),
    ];
    for (const answer of answers) expect(answer.all('set-cookie')).toEqual([]);
    expect(answers.slice(0, 5).map(({ status }) => status)).toEqual([302, 200, 403, 302, 302]);
    // A session would need a token.
    expect(gateway.drawn).not.toContain(32);
    await logIn();
    expect(gateway.drawn).toContain(32);
  });

  test('with a broken cookie get what they would get without one', async () => {
    const without = await decide(APP);
    for (const cookie of [
      'authelia_session=',
      'authelia_session="x"',
      `authelia_session=${'A'.repeat(43)}`,
      `authelia_session=${'x'.repeat(9000)}`,
      '=',
      ';;;',
      'authelia_session=\xff',
    ]) {
      const answer = await decide(APP, cookie);
      expect([answer.status, answer.header('location')], cookie.slice(0, 40)).toEqual([
        without.status,
        without.header('location'),
      ]);
    }
  });
});

describe('sessions in the course of time', () => {
  test('end after inactivity, and activity keeps them to the absolute end', async () => {
    const idle = await logIn();
    const active = await logIn();
    for (let minute = 0; minute < 56; minute += 4) {
      gateway.clock.advance(4 * 60_000);
      expect((await decide(APP, active)).status, `minute ${minute + 4}`).toBe(200);
    }
    expect((await decide(APP, idle)).status).toBe(302);
    gateway.clock.advance(4 * 60_000 - 1);
    expect((await decide(APP, active)).status).toBe(200);
    gateway.clock.advance(1);
    expect((await decide(APP, active)).status).toBe(302);
  });

  test('of another cookie domain do not count', async () => {
    const cookie = await logIn();
    const token = cookie.split('=')[1];
    expect((await decide('https://app.example.org/', `org_session=${token}`)).status).toBe(302);
    const org = await logIn({}, 'auth.example.org');
    expect((await decide('https://app.example.org/', org)).status).toBe(200);
    expect((await decide(APP, org.replace('org_session', 'authelia_session'))).status).toBe(302);
  });
});

describe('Basic', () => {
  const basic = (text: string): HeaderLine => [
    'Authorization',
    `Basic ${Buffer.from(text).toString('base64')}`,
  ];

  test('opens what one factor opens', async () => {
    const answer = await decide(APP, undefined, [basic(`john:${PASSWORD}`)]);
    expect([answer.status, answer.header('remote-user')]).toEqual([200, 'john']);
    expect((await decide('https://two.example.com/', undefined, [basic(`john:${PASSWORD}`)])).status).toBe(
      401,
    );
    expect((await decide('https://admin.example.com/', undefined, [basic(`john:${PASSWORD}`)])).status).toBe(
      403,
    );
  });

  test('that does not hold is asked for again, whoever it was and whatever cookie came with it', async () => {
    const cookie = await logIn();
    for (const text of ['john:wrong', 'nobody:x', `gone:${PASSWORD}`, 'john:', ':', 'john']) {
      const answer = await decide(APP, cookie, [basic(text)]);
      expect([answer.status, answer.header('www-authenticate')], text).toEqual([
        401,
        'Basic realm="Authorization Required"',
      ]);
    }
  });

  test('of many people at once each get their own answer', async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, i) => {
        const name = ['john', 'harry', 'nobody'][i % 3] ?? '';
        return decide(APP, undefined, [basic(`${name}:${PASSWORD}`)]);
      }),
    );
    expect(
      answers.map((answer) => (answer.status === 200 ? answer.header('remote-user') : answer.status)),
    ).toEqual(Array.from({ length: 60 }, (_, i) => ['john', 'harry', 401][i % 3]));
  });
});
