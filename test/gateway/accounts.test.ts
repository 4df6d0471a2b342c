import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import type { HeaderLine, RawAnswer } from '../support/raw-http.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { ask } from '../support/wire.ts';
import { type InProcessGateway, PASSWORD, startInProcess } from './in-process.ts';

/** What people do about their accounts, over two gateways with one SQLite file and one mailbox; mails are files. */

let folder: TemporaryFolder;
let gateways: InProcessGateway[];

beforeEach(async () => {
  folder = await temporaryFolder('accounts');
  gateways = [];
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.stop();
  await folder.remove();
});

const SECTIONS = `
storage:
  encryption_key: an encryption key of the tests
  local:
    path: SHARED/db.sqlite3
notifier:
  filesystem:
    filename: SHARED/mail.txt
password_policy:
  standard:
    enabled: true
    min_length: 10
    require_number: true
`;
const NEW_PASSWORD = 'another 1 password';

async function start(count = 1, more = '', change: (text: string) => string = (text) => text): Promise<void> {
  for (let i = 0; i < count; i++) {
    gateways.push(
      await startInProcess((text) => change(`${text}${SECTIONS}${more}`).replaceAll('SHARED', folder.path)),
    );
  }
}

const at = (i: number): InProcessGateway => gateways[i % gateways.length] as InProcessGateway;

let addresses = 0;

/** A browser: keeps cookies, and comes from an address of its own. */
class Visitor {
  readonly jar = new Map<string, string>();
  gateway: number;
  ip: string;

  constructor(gateway = 0) {
    this.gateway = gateway;
    this.ip = `198.51.100.${++addresses % 250}`;
  }

  copy(gateway = this.gateway): Visitor {
    const other = new Visitor(gateway);
    other.ip = this.ip;
    for (const [name, value] of this.jar) other.jar.set(name, value);
    return other;
  }

  async ask(
    method: string,
    path: string,
    more: readonly HeaderLine[] = [],
    body?: string,
  ): Promise<RawAnswer> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask(
      at(this.gateway).port,
      method,
      path,
      [
        ['Host', 'auth.example.com'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-For', this.ip],
        ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
        ...more,
      ],
      body,
    );
    for (const line of answer.all('set-cookie')) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (value === '') this.jar.delete(name);
      else this.jar.set(name, value);
    }
    return answer;
  }

  get = (path: string): Promise<RawAnswer> => this.ask('GET', path);
  json = (method: string, path: string, body: unknown = {}): Promise<RawAnswer> =>
    this.ask(method, path, [['Content-Type', 'application/json']], JSON.stringify(body));
  form = (path: string, fields: Readonly<Record<string, string>> = {}): Promise<RawAnswer> =>
    this.ask(
      'POST',
      path,
      [
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Sec-Fetch-Site', 'same-origin'],
        ['Origin', 'https://auth.example.com'],
      ],
      new URLSearchParams(fields).toString(),
    );

  async signIn(username = 'john', password = PASSWORD): Promise<this> {
    const answer = await this.json('POST', '/api/firstfactor', { username, password });
    expect(answer.status).toBe(200);
    return this;
  }

  async level(): Promise<unknown> {
    const { data } = read(await this.get('/api/state'));
    return (data as { authentication_level: unknown }).authentication_level;
  }

  async isElevated(): Promise<unknown> {
    const { data } = read(await this.get('/api/user/session/elevation'));
    return (data as { elevated: unknown }).elevated;
  }

  async elevate(): Promise<this> {
    expect((await this.json('POST', '/api/user/session/elevation')).status).toBe(200);
    const answer = await this.json('PUT', '/api/user/session/elevation', { otc: codeIn(await mailed()) });
    expect(answer.status).toBe(200);
    return this;
  }
}

const read = (answer: RawAnswer): { status: string; message?: string; data?: unknown } =>
  JSON.parse(answer.body.toString()) as { status: string; message?: string; data?: unknown };
const isOk = (answer: RawAnswer): boolean => answer.status === 200 && read(answer).status === 'OK';
const outcome = (answer: RawAnswer): unknown => [answer.status, read(answer).status, read(answer).message];
const whither = (answer: RawAnswer): unknown => [answer.status, answer.header('location')];

const mails = async (): Promise<readonly string[]> => {
  const names = await readdir(join(folder.path, 'mail.txt.d')).catch(() => []);
  const texts = names
    .toSorted((a, b) => a.localeCompare(b))
    .map((name) => readFile(join(folder.path, 'mail.txt.d', name), 'utf8'));
  return Promise.all(texts);
};
/** Every mail so far; no test makes two codes. */
const mailed = async (): Promise<string> => (await mails()).join('\n');
const firstMail = (): Promise<string> => eventually('a mail', 5000, async () => (await mails())[0]);
/** Waits for a mail that says this. */
const mailThatSays = (text: string): Promise<string> =>
  eventually(`a mail that says: ${text}`, 5000, async () =>
    (await mails()).find((mail) => mail.replaceAll(/\s+/g, ' ').includes(text)),
  );
const codeIn = (mail: string): string => /^([A-Z0-9]{8})\r?$/m.exec(mail)?.[1] ?? '';
const tokenIn = (mail: string): string => /step2\?token=([A-Za-z0-9_-]+)/.exec(mail)?.[1] ?? '';

/** Where the sign-in page leads who has forgotten his password. */
const resetLink = async (visitor: Visitor): Promise<string | null> =>
  /href="([^"]*)">I have forgotten my password/.exec((await visitor.get('/')).body.toString())?.[1] ?? null;

/** Asks for a link, and answers what it carries. */
async function linkFor(username = 'john', visitor = new Visitor()): Promise<string> {
  const before = new Set(await mails());
  const answer = await visitor.json('POST', '/api/reset-password/identity/start', { username });
  expect(isOk(answer)).toBe(true);
  return eventually('a mail with a link', 5000, async () => {
    const fresh = (await mails()).find((mail) => !before.has(mail) && tokenIn(mail) !== '');
    return fresh && tokenIn(fresh);
  });
}

describe('a link to reset a password', () => {
  test('opens a page that changes nothing, however often it is opened; a post sets the new password', async () => {
    await start();
    const token = await linkFor();
    for (let i = 0; i < 3; i++) {
      const page = await new Visitor().get(`/reset-password/step2?token=${token}`);
      expect([page.status, page.header('referrer-policy')]).toEqual([200, 'no-referrer']);
      expect(page.body.toString()).toContain(`name="token" value="${token}"`);
    }
    const visitor = new Visitor();
    const set = await visitor.form('/form/reset-password', { token, new: NEW_PASSWORD });
    expect(whither(set)).toEqual([303, '/reset-password/step2?done=1']);
    await new Visitor().signIn('john', NEW_PASSWORD);
    const again = await visitor.form('/form/reset-password', { token, new: `${NEW_PASSWORD} 2` });
    expect(whither(again)).toEqual([303, `/reset-password/step2?token=${token}`]);
    const page = await visitor.get(`/reset-password/step2?token=${token}`);
    expect(page.body.toString()).toContain('This link cannot be used any more');
  });

  test('is used up by one of 50 at the same time, on two gateways', async () => {
    await start(2);
    const token = await linkFor();
    const visitors = Array.from({ length: 50 }, (_, i) => new Visitor(i));
    const answers = await Promise.all(
      visitors.map((one) => one.json('POST', '/api/reset-password/identity/finish', { token })),
    );
    expect(answers.filter(isOk)).toHaveLength(1);
    const set = await Promise.all(
      visitors.map((one) => one.json('POST', '/api/reset-password', { password: NEW_PASSWORD })),
    );
    expect(set.filter(isOk)).toHaveLength(1);
    expect(set.map(isOk)).toEqual(answers.map(isOk));
  });

  test('becomes a permission of one browser, for ten minutes at most, and for one password', async () => {
    await start(1, '', (text) => `${text}\nidentity_validation: { reset_password: { jwt_lifespan: 1h } }\n`);
    const visitor = new Visitor();
    const accept = await visitor.json('POST', '/api/reset-password/identity/finish', {
      token: await linkFor(),
    });
    expect(accept.header('set-cookie')).toMatch(
      /^__Host-sallyport_flow=reset-password\.[\w-]{43}; Path=\/; Max-Age=600; HttpOnly; Secure; SameSite=Strict$/,
    );
    const later = visitor.copy();
    const weak = await visitor.json('POST', '/api/reset-password', { password: 'short' });
    expect(outcome(weak)).toEqual([
      200,
      'KO',
      'Your supplied password does not meet the password policy requirements',
    ]);
    const stranger = await new Visitor().json('POST', '/api/reset-password', { password: NEW_PASSWORD });
    expect(outcome(stranger)).toEqual([200, 'KO', 'Unable to reset your password.']);
    at(0).clock.advance(600_001);
    const late = await later.copy().json('POST', '/api/reset-password', { password: NEW_PASSWORD });
    expect(outcome(late)).toEqual([200, 'KO', 'Unable to reset your password.']);
    at(0).clock.advance(-2);
    expect(isOk(await visitor.json('POST', '/api/reset-password', { password: NEW_PASSWORD }))).toBe(true);
    expect([...visitor.jar.keys()]).toEqual([]);
    expect(isOk(await later.json('POST', '/api/reset-password', { password: NEW_PASSWORD }))).toBe(false);
  });

  test('is asked for from one address sixty times at once at most', async () => {
    await start();
    const visitor = new Visitor();
    for (let i = 0; i < 60; i++) {
      const answer = await visitor.json('POST', '/api/reset-password', { password: NEW_PASSWORD });
      expect(answer.status).toBe(200);
    }
    const answer = await visitor.json('POST', '/api/reset-password', { password: NEW_PASSWORD });
    expect([answer.status, answer.header('retry-after')]).toEqual([429, '1']);
  });

  test('makes every other link and permission void with the first new password', async () => {
    await start();
    const [one, two, three] = [await linkFor(), await linkFor(), await linkFor()];
    const visitor = new Visitor();
    expect(isOk(await visitor.json('POST', '/api/reset-password/identity/finish', { token: one }))).toBe(
      true,
    );
    await new Visitor().form('/form/reset-password', { token: two, new: NEW_PASSWORD });
    expect(isOk(await visitor.json('POST', '/api/reset-password', { password: 'a third 1 password' }))).toBe(
      false,
    );
    const finish = await visitor.json('POST', '/api/reset-password/identity/finish', { token: three });
    expect(outcome(finish)).toEqual([200, 'KO', 'Operation failed.']);
    await new Visitor().signIn('john', NEW_PASSWORD);
  });

  test('ends every session of the person, and tells him', async () => {
    await start(2);
    const sessions = [await new Visitor(0).signIn(), await new Visitor(0).signIn()];
    await new Visitor().form('/form/reset-password', { token: await linkFor(), new: NEW_PASSWORD });
    for (const session of sessions) expect(await session.level()).toBe(0);
    expect(await mailThatSays('was replaced by a new one')).toContain('john.doe@example.com');
  });

  test('can be made useless from the mail, which asks first', async () => {
    await start();
    const token = await linkFor();
    expect(await mailed()).toContain(`https://auth.example.com/revoke/reset-password?token=${token}`);
    const visitor = new Visitor();
    const asked = await visitor.get(`/revoke/reset-password?token=${token}`);
    expect([asked.status, asked.header('referrer-policy')]).toEqual([200, 'no-referrer']);
    expect((await visitor.get(`/reset-password/step2?token=${token}`)).body.toString()).toContain(
      'name="new"',
    );
    const revoked = await visitor.form('/form/revoke/reset-password', { value: token });
    expect(whither(revoked)).toEqual([303, '/revoke/reset-password?state=done']);
    expect(isOk(await visitor.json('POST', '/api/reset-password/identity/finish', { token }))).toBe(false);
    expect(outcome(await visitor.json('DELETE', '/api/reset-password', { token }))).toEqual([
      200,
      'KO',
      'Operation failed.',
    ]);
  });

  test('can be made useless from the mail also after somebody has opened it', async () => {
    await start();
    const token = await linkFor();
    const thief = new Visitor();
    expect(isOk(await thief.json('POST', '/api/reset-password/identity/finish', { token }))).toBe(true);
    const revoked = await new Visitor().form('/form/revoke/reset-password', { value: token });
    expect(whither(revoked)).toEqual([303, '/revoke/reset-password?state=done']);
    const answer = await thief.json('POST', '/api/reset-password', { password: NEW_PASSWORD });
    expect(isOk(answer)).toBe(false);
    await new Visitor().signIn();
  });

  test('holds for its time only', async () => {
    await start();
    const token = await linkFor();
    at(0).clock.advance(300_000);
    expect(isOk(await new Visitor().json('POST', '/api/reset-password/identity/finish', { token }))).toBe(
      false,
    );
  });

  test('leads to the configured portal, whatever the request calls it', async () => {
    await start();
    const visitor = new Visitor();
    await visitor.ask(
      'POST',
      '/api/reset-password/identity/start',
      [
        ['X-Forwarded-Host', 'evil.example.com'],
        ['Content-Type', 'application/json'],
      ],
      JSON.stringify({ username: 'john' }),
    );
    await firstMail();
    expect(await mailed()).toContain('https://auth.example.com/reset-password/step2?token=');
    expect(await mailed()).not.toContain('evil');
  });
});

describe('asking for a link', () => {
  test('answers the same for a person, for nobody, for one without mail and for one who is disabled', async () => {
    await start();
    const shapes = [];
    for (const username of ['john', 'nobody', 'harry', 'gone']) {
      const { status, headers, body } = await new Visitor().json(
        'POST',
        '/api/reset-password/identity/start',
        { username },
      );
      const names = headers.map(([name, value]) =>
        /^x-request-id|date$/i.test(name) ? name : [name, value],
      );
      shapes.push({ status, names, body: body.toString() });
    }
    expect(new Set(shapes.map((shape) => JSON.stringify(shape))).size).toBe(1);
    await firstMail();
  });

  test('mails one person five at once, from wherever they are asked for', async () => {
    await start(2);
    for (let i = 0; i < 9; i++) {
      const visitor = new Visitor(i);
      expect(
        isOk(await visitor.json('POST', '/api/reset-password/identity/start', { username: 'john' })),
      ).toBe(true);
    }
    // What is under way is finished before a gateway has closed.
    for (const gateway of gateways) await gateway.gateway.close(0);
    const database = new DatabaseSync(join(folder.path, 'db.sqlite3'), { readOnly: true });
    const row = database.prepare('select count(*) as links from sallyport_reset_links').get();
    database.close();
    expect(row).toEqual({ links: 5 });
  });

  test('is limited for an address, on the page as well', async () => {
    await start();
    const visitor = new Visitor();
    for (let i = 0; i < 5; i++) {
      const answer = await visitor.form('/form/reset-password/start', { username: 'nobody' });
      expect(whither(answer)).toEqual([303, '/reset-password/step1?done=1']);
    }
    const answer = await visitor.json('POST', '/api/reset-password/identity/start', { username: 'nobody' });
    expect([answer.status, read(answer).status, answer.header('retry-after')]).toEqual([429, 'KO', '600']);
    expect((await visitor.form('/form/reset-password/start', { username: 'nobody' })).status).toBe(429);
  });

  test.each([
    ['disabled', 'password_reset: { disable: true }', null],
    [
      'elsewhere',
      'password_reset: { custom_url: "https://id.example.net/forgot" }',
      'https://id.example.net/forgot',
    ],
  ])('is not offered here where it is %s', async (_name, setting, link) => {
    await start(1, '', (text) =>
      text.replace('authentication_backend:\n', `authentication_backend:\n  ${setting}\n`),
    );
    const visitor = new Visitor();
    const answers = [
      await visitor.json('POST', '/api/reset-password/identity/start', { username: 'john' }),
      await visitor.get('/reset-password/step1'),
      await visitor.form('/form/reset-password', {}),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, 404, 404]);
    expect(await resetLink(visitor)).toBe(link);
  });
});

describe('a code from the mail', () => {
  test('elevates the session that asked for it, under a new token, for a while', async () => {
    await start();
    const visitor = await new Visitor().signIn();
    const before = visitor.copy();
    await visitor.elevate();
    expect(visitor.jar.get('authelia_session')).not.toBe(before.jar.get('authelia_session'));
    expect([await visitor.isElevated(), await before.level()]).toEqual([true, 0]);
    at(0).clock.advance(299_000);
    await visitor.get('/api/state');
    at(0).clock.advance(299_000);
    expect(await visitor.isElevated()).toBe(true);
    await visitor.get('/api/state');
    at(0).clock.advance(3000);
    expect(await visitor.isElevated()).toBe(false);
  });

  test('is accepted once of 50 times at once', async () => {
    await start(1);
    const visitor = await new Visitor().signIn();
    await visitor.json('POST', '/api/user/session/elevation');
    const otc = codeIn(await mailed());
    // Each from another address, so that no limit but the code's own counts.
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => {
        const copy = visitor.copy();
        copy.ip = new Visitor().ip;
        return copy.json('PUT', '/api/user/session/elevation', { otc });
      }),
    );
    expect(answers.filter(isOk)).toHaveLength(1);
  });

  test('counts in its own session only, and not after five wrong tries', async () => {
    await start(1, '\nregulation: { max_retries: 0 }\n');
    const [one, two] = [await new Visitor().signIn(), await new Visitor().signIn()];
    await one.json('POST', '/api/user/session/elevation');
    const otc = codeIn(await mailed());
    expect(outcome(await two.json('PUT', '/api/user/session/elevation', { otc }))).toEqual([
      403,
      'KO',
      'Operation failed.',
    ]);
    for (let i = 0; i < 5; i++) {
      const copy = one.copy();
      copy.ip = new Visitor().ip;
      const answer = await copy.json('PUT', '/api/user/session/elevation', { otc: 'AAAAAAAA' });
      expect(outcome(answer)).toEqual([403, 'KO', 'Operation failed.']);
    }
    expect(isOk(await one.json('PUT', '/api/user/session/elevation', { otc }))).toBe(false);
    expect(await one.isElevated()).toBe(false);
  });

  test('does not hold for another address, nor for the first one afterwards', async () => {
    await start();
    const visitor = await (await new Visitor().signIn()).elevate();
    const home = visitor.ip;
    visitor.ip = new Visitor().ip;
    expect(await visitor.isElevated()).toBe(false);
    visitor.ip = home;
    expect(await visitor.isElevated()).toBe(false);
  });

  test('can be made useless by who did not ask for it', async () => {
    await start();
    const visitor = await new Visitor().signIn();
    const { data } = read(await visitor.json('POST', '/api/user/session/elevation'));
    const id = (data as { delete_id: string }).delete_id;
    const otc = codeIn(await mailed());
    expect(await mailed()).toContain(`https://auth.example.com/revoke/one-time-code?id=${id}`);
    const stranger = new Visitor();
    expect((await stranger.get(`/revoke/one-time-code?id=${id}`)).status).toBe(200);
    const revoked = await stranger.form('/form/revoke/one-time-code', { value: id });
    expect(whither(revoked)).toEqual([303, '/revoke/one-time-code?state=done']);
    expect(outcome(await stranger.json('DELETE', `/api/user/session/elevation/${id}`))).toEqual([
      200,
      'KO',
      'Operation failed.',
    ]);
    expect(isOk(await visitor.json('PUT', '/api/user/session/elevation', { otc }))).toBe(false);
  });

  test('that was used by somebody else ends his session for who got the mail', async () => {
    await start();
    const thief = await new Visitor().signIn();
    const own = await new Visitor().signIn();
    const { data } = read(await thief.json('POST', '/api/user/session/elevation'));
    const { delete_id: value } = data as { delete_id: string };
    const otc = codeIn(await mailed());
    expect(isOk(await thief.json('PUT', '/api/user/session/elevation', { otc }))).toBe(true);
    const revoke = (): Promise<RawAnswer> => new Visitor().form('/form/revoke/one-time-code', { value });
    expect(whither(await revoke())).toEqual([303, '/revoke/one-time-code?state=done']);
    expect([await thief.level(), await own.level()]).toEqual([0, 1]);
    expect(whither(await revoke())).toEqual([303, '/revoke/one-time-code?state=gone']);
  });

  test('leads over the page to where it was needed, without script', async () => {
    await start();
    const visitor = await new Visitor().signIn();
    const sent = await visitor.get('/settings/password');
    expect(whither(sent)).toEqual([303, '/settings/elevation?back=password']);
    const page = await visitor.get('/settings/elevation?back=password');
    expect(page.body.toString()).toContain('j******e@example.com');
    const started = await visitor.form('/form/elevation/start?back=password');
    expect(whither(started)).toEqual([303, '/settings/elevation?back=password&sent=now']);
    const wrong = await visitor.form('/form/elevation/finish?back=password&sent=now', { code: 'AAAAAAAA' });
    expect(whither(wrong)).toEqual([303, '/settings/elevation?back=password&sent=now&error=code']);
    const code = ` ${codeIn(await mailed()).toLowerCase()} `;
    await visitor.form('/form/elevation/finish?back=password&sent=now', { code });
    expect(whither(await visitor.get('/settings/elevation?back=password'))).toEqual([
      303,
      '/settings/password',
    ]);
    expect((await visitor.get('/settings/password')).status).toBe(200);
  });

  test('is nothing for somebody without a mail address, who is told so', async () => {
    await start();
    const visitor = await new Visitor().signIn('harry');
    expect(outcome(await visitor.json('POST', '/api/user/session/elevation'))).toEqual([
      403,
      'KO',
      'Your account has no mail address to send a code to.',
    ]);
    const page = await visitor.get('/settings/elevation');
    expect(page.body.toString()).toContain('No mail address is known');
  });
});

describe('changing the password', () => {
  const change = (visitor: Visitor, old_password: string, new_password: string): Promise<RawAnswer> =>
    visitor.json('POST', '/api/change-password', { username: 'harry', old_password, new_password });

  test('needs an elevation, says what is missing, and only in the browser that signed in', async () => {
    await start();
    const visitor = await new Visitor().signIn();
    const missing = await change(visitor, PASSWORD, NEW_PASSWORD);
    expect([missing.status, read(missing)]).toEqual([
      403,
      { status: 'KO', data: { elevation: true, first_factor: false, second_factor: false } },
    ]);
    await visitor.elevate();
    const planted = visitor.copy();
    planted.jar.delete('__Host-sallyport_portal');
    expect((await change(planted, PASSWORD, NEW_PASSWORD)).status).toBe(403);
    expect((await planted.form('/form/password', { old: PASSWORD, new: NEW_PASSWORD })).status).toBe(403);
    await new Visitor().signIn();
  });

  test('ends the other sessions, goes on under a new token, and tells the person', async () => {
    await start();
    const other = await new Visitor().signIn();
    const visitor = await (await new Visitor().signIn()).elevate();
    const token = await linkFor();
    const before = visitor.jar.get('authelia_session');
    expect(isOk(await change(visitor, PASSWORD, NEW_PASSWORD))).toBe(true);
    expect(visitor.jar.get('authelia_session')).not.toBe(before);
    expect([await visitor.level(), await other.level()]).toEqual([1, 0]);
    expect(isOk(await new Visitor().json('POST', '/api/reset-password/identity/finish', { token }))).toBe(
      false,
    );
    await mailThatSays('The password of your account at auth.example.com was changed.');
    await new Visitor().signIn('john', NEW_PASSWORD);
    const old = await new Visitor().json('POST', '/api/firstfactor', {
      username: 'john',
      password: PASSWORD,
    });
    expect(old.status).toBe(401);
  });

  test('refuses a wrong old password, the same one again and a weak one; guessing is counted', async () => {
    await start();
    const visitor = await (await new Visitor().signIn()).elevate();
    const wrong = await change(visitor, 'a wrong one', NEW_PASSWORD);
    expect(outcome(wrong)).toEqual([401, 'KO', 'Incorrect Password']);
    expect((await change(visitor, PASSWORD, PASSWORD)).status).toBe(400);
    for (const weak of ['', 'short 1', 'without any number']) {
      expect((await change(visitor, PASSWORD, weak)).status).toBe(400);
    }
    const form = await visitor.form('/form/password', { old: PASSWORD, new: 'short' });
    expect(whither(form)).toEqual([303, '/settings/password?error=weak&broken=min_length.require_number']);
    const page = await visitor.get('/settings/password?error=weak&broken=min_length.require_number');
    expect(page.body.toString()).toMatch(/at least 10 characters<strong> \(missing\)/);
    await change(visitor, 'a wrong one', NEW_PASSWORD);
    await change(visitor, 'a wrong one', NEW_PASSWORD);
    expect(outcome(await change(visitor, PASSWORD, NEW_PASSWORD))).toEqual([401, 'KO', 'Incorrect Password']);
  });

  test('is not offered where it is switched off', async () => {
    await start(1, '', (text) =>
      text.replace(
        'authentication_backend:\n',
        'authentication_backend:\n  password_change: { disable: true }\n',
      ),
    );
    const visitor = await new Visitor().signIn();
    expect((await change(visitor, PASSWORD, NEW_PASSWORD)).status).toBe(404);
    expect((await visitor.get('/settings/password')).status).toBe(404);
  });
});

describe('the password once more', () => {
  test('makes the session a fresh one under a new token, and says where to go', async () => {
    await start();
    const visitor = await new Visitor().signIn();
    const before = visitor.copy();
    const body = { password: PASSWORD, targetURL: 'https://app.example.com/x' };
    const answer = await visitor.json('POST', '/api/firstfactor/reauthenticate', body);
    expect(read(answer)).toEqual({ status: 'OK', data: { redirect: 'https://app.example.com/x' } });
    expect([await visitor.level(), await before.level()]).toEqual([1, 0]);
    const wrong = await visitor.json('POST', '/api/firstfactor/reauthenticate', { password: 'x' });
    expect(wrong.status).toBe(401);
    const thief = visitor.copy();
    thief.jar.delete('__Host-sallyport_portal');
    const refused = await thief.json('POST', '/api/firstfactor/reauthenticate', body);
    expect([refused.status, refused.all('set-cookie')]).toEqual([403, []]);
    const stranger = await new Visitor().json('POST', '/api/firstfactor/reauthenticate', body);
    expect(stranger.status).toBe(403);
  });
});

test('without a storage nothing of it is offered, and nothing breaks', async () => {
  gateways.push(await startInProcess());
  const visitor = await new Visitor().signIn();
  const answers = [
    await visitor.get('/settings/password'),
    await visitor.get('/settings/elevation'),
    await visitor.get('/reset-password/step1'),
    await visitor.json('POST', '/api/reset-password/identity/start', { username: 'john' }),
    await visitor.json('POST', '/api/change-password', {}),
  ];
  expect(answers.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);
  expect(await resetLink(new Visitor())).toBe(null);
  expect(read(await visitor.get('/api/configuration/password-policy')).data).toMatchObject({
    mode: 'disabled',
  });
  expect(isOk(await visitor.json('POST', '/api/firstfactor/reauthenticate', { password: PASSWORD }))).toBe(
    true,
  );
});
