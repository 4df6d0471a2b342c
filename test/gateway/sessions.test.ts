import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { HeaderLine, RawAnswer } from '../support/raw-http.ts';
import { ask } from '../support/wire.ts';
import { type InProcessGateway, PASSWORD, startInProcess } from './in-process.ts';

/** The list of one's sessions, ending them, and the second cookie that this takes. */

let gateway: InProcessGateway;
beforeEach(async () => {
  gateway = await startInProcess((text) => text.replace('default_redirection_url', '# '));
});
afterEach(() => gateway.stop());

const AUTH = 'auth.example.com';
const SESSION = 'authelia_session';
const BINDING = '__Host-sallyport_portal';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const OWN: readonly HeaderLine[] = [
  ['Sec-Fetch-Site', 'same-origin'],
  ['Origin', `https://${AUTH}`],
];

/** A browser with the cookies of one portal. */
class Visitor {
  readonly jar = new Map<string, string>();
  readonly host: string;
  constructor(host = AUTH) {
    this.host = host;
  }

  async send(
    method: string,
    path: string,
    { headers = [], body = '' }: { headers?: readonly HeaderLine[]; body?: string } = {},
  ): Promise<RawAnswer> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask(
      gateway.port,
      method,
      path,
      [
        ['Host', this.host],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', this.host],
        ['X-Forwarded-For', '203.0.113.5'],
        ['User-Agent', FIREFOX],
        ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
        ...headers,
      ],
      body,
    );
    for (const line of answer.all('set-cookie')) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (line.includes('Max-Age=0')) this.jar.delete(name);
      else this.jar.set(name, value);
    }
    return answer;
  }

  async signIn(username = 'john', more: object = {}): Promise<this> {
    const body = JSON.stringify({ username, password: PASSWORD, ...more });
    const headers = [['Content-Type', 'application/json']] as const;
    expect((await this.send('POST', '/api/firstfactor', { headers, body })).status).toBe(200);
    return this;
  }

  form(path: string, fields: Record<string, string> = {}): Promise<RawAnswer> {
    const origin: HeaderLine[] = [
      ['Content-Type', 'application/x-www-form-urlencoded'],
      ['Sec-Fetch-Site', 'same-origin'],
      ['Origin', `https://${this.host}`],
    ];
    return this.send('POST', path, { headers: origin, body: new URLSearchParams(fields).toString() });
  }

  delete(path: string): Promise<RawAnswer> {
    return this.send('DELETE', path, { headers: OWN });
  }

  async sessions(): Promise<Record<string, unknown>[]> {
    const answer = await this.send('GET', LIST);
    expect(answer.status).toBe(200);
    return (JSON.parse(answer.body.toString()) as { data: Record<string, unknown>[] }).data;
  }

  async ownId(): Promise<string> {
    return String((await this.sessions()).find(({ current }) => current)?.id);
  }

  /** Whether a proxy would let this browser through. */
  async passes(): Promise<boolean> {
    const answer = await ask(gateway.port, 'GET', '/api/authz/forward-auth', [
      ['Host', 'gateway'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', this.host.replace('auth.', 'app.')],
      ['X-Forwarded-URI', '/'],
      ['X-Forwarded-Method', 'GET'],
      ['X-Forwarded-For', '203.0.113.5'],
      ['Cookie', [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')],
    ]);
    return answer.status === 200;
  }
}

const LIST = '/api/user/sessions';
/** The page as it is seen, without the data that the browser takes over. */
const seen = (answer: RawAnswer): string =>
  answer.body.toString().split('<script type="application/json"')[0] ?? '';
const messageOf = (answer: RawAnswer): string =>
  (JSON.parse(answer.body.toString()) as { message: string }).message;

describe('the second cookie', () => {
  test('belongs to the portal alone and lives as long as the session', async () => {
    const visitor = new Visitor();
    const body = JSON.stringify({ username: 'john', password: PASSWORD, keepMeLoggedIn: true });
    const answer = await visitor.send('POST', '/api/firstfactor', {
      headers: [['Content-Type', 'application/json']],
      body,
    });
    expect(answer.all('set-cookie').map((line) => line.replace(/=[\w-]{43};/, '=…;'))).toEqual([
      `${SESSION}=…; Path=/; Domain=example.com; Max-Age=2592000; HttpOnly; Secure; SameSite=Lax`,
      `${BINDING}=…; Path=/; Max-Age=2592000; HttpOnly; Secure; SameSite=Strict`,
    ]);
    expect(visitor.jar.get(BINDING)).not.toBe(visitor.jar.get(SESSION));
  });

  test('goes with the session', async () => {
    const visitor = await new Visitor().signIn();
    await visitor.form('/form/logout');
    expect(visitor.jar.size).toBe(0);
  });

  test('is asked for by no decision, by no reading, and not by signing out', async () => {
    const visitor = await new Visitor().signIn();
    visitor.jar.delete(BINDING);
    expect(await visitor.passes()).toBe(true);
    expect(await visitor.sessions()).toHaveLength(1);
    expect((await visitor.send('GET', '/settings/sessions')).status).toBe(200);
    expect((await visitor.form('/form/logout')).status).toBe(303);
    expect(await visitor.passes()).toBe(false);
  });

  /** What somebody gains who plants his own session on others. */
  test.each<[string, (victim: Visitor, attacker: Visitor) => void]>([
    ['a victim who was signed in', () => {}],
    ['a victim who was not', (victim) => victim.jar.delete(BINDING)],
    [
      "a victim with the planter's digest in the place of the token",
      (victim, attacker) => victim.jar.set(BINDING, attacker.jar.get(SESSION) ?? ''),
    ],
  ])('keeps a session that a sibling site planted from changing anything: %s', async (_name, prepare) => {
    const attacker = await new Visitor().signIn('harry');
    const attackersOther = await new Visitor().signIn('harry');
    const victim = await new Visitor().signIn('john');
    prepare(victim, attacker);
    victim.jar.set(SESSION, attacker.jar.get(SESSION) ?? '');

    const id = await attackersOther.ownId();
    for (const answer of [await victim.delete(LIST), await victim.delete(`${LIST}/${id}`)]) {
      expect([answer.status, messageOf(answer)]).toEqual([403, expect.stringContaining('Sign in again')]);
    }
    for (const answer of [
      await victim.form('/form/sessions/end', { id }),
      await victim.form('/form/sessions/end-others'),
    ]) {
      expect(answer.status).toBe(403);
      expect(answer.body.toString()).toContain('Please sign in again');
      expect(answer.body.toString()).toContain('action="/form/logout"');
    }
    expect(await attackersOther.passes()).toBe(true);
    expect(await attacker.sessions()).toHaveLength(2);

    // To sign in again is all that it takes.
    victim.jar.delete(SESSION);
    await victim.signIn('john');
    expect((await victim.delete(LIST)).status).toBe(200);
  });

  test('of another sign-in of the same person does not do', async () => {
    const [one, other] = [await new Visitor().signIn(), await new Visitor().signIn()];
    one.jar.set(BINDING, other.jar.get(BINDING) ?? '');
    expect((await one.delete(LIST)).status).toBe(403);
    expect(await other.passes()).toBe(true);
  });
});

describe('the list', () => {
  test('tells of every session of the person, on every cookie domain, and of no one else', async () => {
    const org = await new Visitor('auth.example.org').signIn();
    gateway.clock.advance(60_000);
    await new Visitor().signIn('harry');
    const visitor = await new Visitor().signIn('john', { keepMeLoggedIn: true });
    gateway.clock.advance(30_000);
    const [own, ...others] = await visitor.sessions();
    expect(own).toEqual({
      id: expect.stringMatching(/^[\w-]{16}$/) as string,
      current: true,
      created_at: '2027-01-15T08:01:00.000Z',
      last_active_at: '2027-01-15T08:01:30.000Z',
      expires_at: '2027-02-14T08:01:00.000Z',
      remembered: true,
      cookie_domain: 'example.com',
      device: { user_agent: FIREFOX, summary: 'Firefox on Linux', ip: '203.0.113.5' },
    });
    expect(others).toMatchObject([
      {
        current: false,
        cookie_domain: 'example.org',
        remembered: false,
        created_at: '2027-01-15T08:00:00.000Z',
        expires_at: '2027-01-15T09:00:00.000Z',
      },
    ]);
    expect((await org.sessions()).map(({ id }) => id)).toEqual([others[0]?.id, own?.id]);
    const text = JSON.stringify(await visitor.sessions());
    for (const secret of [...visitor.jar.values(), ...org.jar.values()]) expect(text).not.toContain(secret);
  });

  test('leaves out what has expired', async () => {
    await new Visitor().signIn();
    gateway.clock.advance(6 * 60_000);
    expect(await (await new Visitor().signIn()).sessions()).toHaveLength(1);
  });

  test('is for people who are signed in', async () => {
    const stranger = new Visitor();
    for (const [method, path] of [
      ['GET', LIST],
      ['DELETE', LIST],
      ['DELETE', `${LIST}/AAAAAAAAAAAAAAAA`],
    ] as const) {
      const answer = await stranger.send(method, path, { headers: OWN });
      expect([answer.status, answer.body.toString()], path).toEqual([403, '403 Forbidden\n']);
    }
    expect(stranger.jar.size).toBe(0);
    const page = await stranger.send('GET', '/settings/sessions');
    expect([page.status, page.header('location')]).toEqual([303, '/']);
    const form = await stranger.form('/form/sessions/end-others');
    expect([form.status, form.header('location')]).toEqual([303, '/']);
  });
});

describe('ending', () => {
  test('one session ends that one and no other, for the very next request', async () => {
    const [here, there, third] = [
      await new Visitor().signIn(),
      await new Visitor('auth.example.org').signIn(),
      await new Visitor().signIn(),
    ];
    const id = await there.ownId();
    const answer = await here.delete(`${LIST}/${id}`);
    expect([answer.status, answer.body.toString(), answer.all('set-cookie')]).toEqual([
      200,
      '{"status":"OK"}',
      [],
    ]);
    expect([await here.passes(), await there.passes(), await third.passes()]).toEqual([true, false, true]);
    expect((await here.sessions()).map((one) => one.id)).not.toContain(id);
    expect((await here.delete(`${LIST}/${id}`)).status).toBe(404);
    expect(gateway.log.filter(({ message }) => message === 'session ended')).toMatchObject([
      { fields: { session: id, username: 'john', reason: 'revoked' } },
    ]);
  });

  test("one's own session takes the cookies away", async () => {
    const visitor = await new Visitor().signIn();
    const copy = new Visitor();
    for (const [name, value] of visitor.jar) copy.jar.set(name, value);
    expect((await visitor.delete(`${LIST}/${await visitor.ownId()}`)).status).toBe(200);
    expect(visitor.jar.size).toBe(0);
    expect(await copy.passes()).toBe(false);
    expect((await copy.send('GET', LIST)).status).toBe(403);
  });

  test("somebody else's session is not possible, nor told apart from one that is not there", async () => {
    const [john, harry] = [await new Visitor().signIn('john'), await new Visitor().signIn('harry')];
    const answers = [
      await john.delete(`${LIST}/${await harry.ownId()}`),
      await john.delete(`${LIST}/AAAAAAAAAAAAAAAA`),
      await john.delete(`${LIST}/`),
      await john.delete(`${LIST}/x/y`),
      await john.delete(`${LIST}/__proto__`),
    ];
    for (const answer of answers) {
      expect([answer.status, answer.body.toString()]).toEqual([
        404,
        '{"status":"KO","message":"There is no such session."}',
      ]);
    }
    const form = await john.form('/form/sessions/end', { id: await harry.ownId() });
    expect(form.header('location')).toBe('/settings/sessions?error=gone');
    expect(await harry.passes()).toBe(true);
  });

  test('all others leaves this one, and other people alone', async () => {
    const here = await new Visitor().signIn();
    const others = [
      await new Visitor().signIn(),
      await new Visitor('auth.example.org').signIn(),
      await new Visitor().signIn(),
    ];
    const harry = await new Visitor().signIn('harry');
    const answer = await here.delete(LIST);
    expect([answer.status, answer.body.toString()]).toEqual([200, '{"status":"OK","data":{"ended":3}}']);
    for (const other of others) expect(await other.passes()).toBe(false);
    expect([await here.passes(), await harry.passes()]).toEqual([true, true]);
    expect((await here.delete(LIST)).body.toString()).toBe('{"status":"OK","data":{"ended":0}}');
  });

  test('many at once, the same one and each other, ends in a state that holds', async () => {
    const visitors = await Promise.all(Array.from({ length: 6 }, () => new Visitor().signIn()));
    const ids = await Promise.all(visitors.map((one) => one.ownId()));
    const answers = await Promise.all(
      visitors.flatMap((one, i) => [
        one.delete(`${LIST}/${ids[(i + 1) % 6]}`),
        one.delete(`${LIST}/${ids[0]}`),
      ]),
    );
    for (const { status } of answers) expect([200, 403, 404]).toContain(status);
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
    expect(await visitors[0]?.passes()).toBe(false);
  });
});

describe('somebody who is gone from the users file', () => {
  test.each([
    ['disabled', '"displayname":"John Doe","disabled":true'],
    ['deleted', null],
  ])('is out at once, whatever the refresh interval: %s', async (_name, disabled) => {
    await gateway.stop();
    gateway = await startInProcess((text) =>
      text.replace('refresh_interval: always', 'refresh_interval: 1d'),
    );
    const [john, there, harry] = [
      await new Visitor().signIn('john'),
      await new Visitor('auth.example.org').signIn('john'),
      await new Visitor().signIn('harry'),
    ];
    await gateway.changeUsers((text) =>
      disabled === null
        ? text.replace('"john":', '"jane":')
        : text.replace('"displayname":"John Doe"', disabled),
    );
    expect([await john.passes(), await there.passes(), await harry.passes()]).toEqual([false, false, true]);
    const ended = gateway.log.filter(({ message }) => message === 'session ended');
    expect(ended.map(({ fields }) => fields.reason)).toEqual(['user-gone', 'user-gone']);
  });
});

describe('requests that did not come from the portal itself', () => {
  const kinds: readonly (readonly HeaderLine[])[] = [
    [],
    [['Sec-Fetch-Site', 'cross-site']],
    [
      ['Sec-Fetch-Site', 'same-site'],
      ['Origin', 'https://app.example.com'],
    ],
    [['Sec-Fetch-Site', 'none']],
    [['Origin', 'https://app.example.com']],
    [['Origin', 'null']],
    [['Content-Type', 'text/plain']],
  ];

  test.each(kinds.map((headers) => [JSON.stringify(headers), headers] as const))(
    'end nothing: %s',
    async (_name, headers) => {
      const [here, there] = [await new Visitor().signIn(), await new Visitor().signIn()];
      const paths = [LIST, `${LIST}/${await there.ownId()}`];
      for (const path of paths) expect((await here.send('DELETE', path, { headers })).status).toBe(403);
      const form: HeaderLine = ['Content-Type', 'application/x-www-form-urlencoded'];
      const more = headers.filter(([name]) => name !== 'Content-Type');
      const answer = await here.send('POST', '/form/sessions/end-others', { headers: [form, ...more] });
      expect(answer.status).toBe(403);
      expect(await there.passes()).toBe(true);
    },
  );

  test('a client that is no browser says JSON; a body has to be JSON', async () => {
    const here = await new Visitor().signIn();
    const json: HeaderLine = ['Content-Type', 'application/json'];
    expect((await here.send('DELETE', LIST, { headers: [json] })).status).toBe(200);
    expect((await here.send('DELETE', LIST, { headers: [json], body: '{}' })).status).toBe(200);
    expect((await here.send('DELETE', LIST, { headers: [json], body: '{' })).status).toBe(400);
    expect((await here.send('DELETE', LIST, { headers: OWN, body: 'x' })).status).toBe(415);
    const text: HeaderLine = ['Content-Type', 'text/plain'];
    expect((await here.send('DELETE', LIST, { headers: [text, ...OWN] })).status).toBe(415);
    expect((await here.send('POST', LIST, { headers: [json], body: '{}' })).header('allow')).toBe(
      'DELETE, GET, HEAD',
    );
  });
});

describe('the page', () => {
  test('shows each session with its own button, and works by forms', async () => {
    const here = await new Visitor().signIn();
    const there = await new Visitor('auth.example.org').signIn();
    const start = seen(await here.send('GET', '/'));
    expect(start).toContain('href="/settings/security"');
    expect(seen(await here.send('GET', '/settings/security'))).toContain('href="/settings/sessions"');
    const [own, other] = [await here.ownId(), await there.ownId()];
    const html = seen(await here.send('GET', '/settings/sessions'));
    expect(html).toContain('Firefox on Linux');
    expect(html).toContain('This browser');
    expect(html).toContain('<bdi>example.org</bdi>');
    expect(html).toContain('<time datetime="2027-01-15T08:00:00.000Z">now ');
    for (const id of [own, other]) expect(html).toContain(`name="id" value="${id}"`);

    const answer = await here.form('/form/sessions/end', { id: other });
    expect([answer.status, answer.header('location'), answer.all('set-cookie')]).toEqual([
      303,
      '/settings/sessions?done=one',
      [],
    ]);
    expect(await there.passes()).toBe(false);
    const after = seen(await here.send('GET', '/settings/sessions?done=one'));
    expect(after).toContain('That session has ended.');
    expect(after).not.toContain('end-others');
    const again = await here.form('/form/sessions/end', { id: other });
    expect(again.header('location')).toBe('/settings/sessions?error=gone');
    expect((await here.form('/form/sessions/end')).header('location')).toBe('/settings/sessions?error=gone');

    const last = await here.form('/form/sessions/end', { id: own });
    expect([last.status, last.header('location')]).toEqual([303, '/']);
    expect(here.jar.size).toBe(0);
  });

  test('signs out everywhere else', async () => {
    const [here, there] = [await new Visitor().signIn(), await new Visitor().signIn()];
    const answer = await here.form('/form/sessions/end-others');
    expect([answer.status, answer.header('location')]).toEqual([303, '/settings/sessions?done=others']);
    expect([await here.passes(), await there.passes()]).toEqual([true, false]);
  });

  test('says nothing that an address puts into its mouth', async () => {
    const here = await new Visitor().signIn();
    const html = seen(await here.send('GET', '/settings/sessions?done=evil&error=constructor'));
    expect(html).not.toMatch(/evil|constructor|sessions\.done|sessions\.error/);
  });
});
