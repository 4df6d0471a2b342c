import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { parseTotpSecret, totpCode, totpStep } from '../../src/factors/totp.ts';
import { eventually } from '../support/eventually.ts';
import type { RawAnswer } from '../support/raw-http.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { type InProcessGateway, startInProcess } from './in-process.ts';
import { dataOf, Visitor } from './visitor.ts';

/** Second factors from enrolment to removal. */

let folder: TemporaryFolder;
let gateways: InProcessGateway[];

const sections = (path: string): string => `
storage:
  encryption_key: an encryption key of the tests
  local:
    path: ${path}/db.sqlite3
notifier:
  filesystem:
    filename: ${path}/mails.txt
totp:
  issuer: Example
regulation:
  max_retries: 5
`;
const RULES = `
    - domain: fresh.example.com
      policy: two_factor
      max_age: 10m
    - domain: recent.example.com
      policy: one_factor
      max_age: 10m
    - domain: app-only.example.com
      policy: one_factor
      factors: [totp]
`;

const start = async (): Promise<InProcessGateway> => {
  const gateway = await startInProcess((text) =>
    `${text}${sections(folder.path)}`
      .replace('\n    - domain: open.example.com', `${RULES}    - domain: open.example.com`)
      .replace('expiration: 1h\n  inactivity: 5m', 'expiration: 12h\n  inactivity: 12h'),
  );
  gateways.push(gateway);
  return gateway;
};

beforeEach(async () => {
  folder = await temporaryFolder('second-factor');
  gateways = [];
  await start();
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.stop();
  await folder.remove();
});

const first = (): InProcessGateway => gateways[0] as InProcessGateway;
const visitor = (): Visitor => new Visitor(first().port);
const advance = (ms: number): void => gateways.forEach(({ clock }) => clock.advance(ms));
const codeOf = (secret: string, offset = 0): string => {
  const key = { algorithm: 'SHA1', digits: 6, period: 30, secret: parseTotpSecret(secret) } as const;
  return totpCode(key, totpStep(key, first().clock.now()) + offset);
};
const queryOf = (of: Record<string, string>): string => `?${new URLSearchParams(of).toString()}`;
const location = (answer: RawAnswer): string | undefined => answer.header('location');

/** Proves by mail that the person is there. */
async function elevate(person: Visitor): Promise<void> {
  const before = await readFile(join(folder.path, 'mails.txt'), 'utf8').catch(() => '');
  expect((await person.json('POST', '/api/user/session/elevation', {})).status).toBe(200);
  const otc = await eventually('a mail with a code', 5000, async () => {
    const mail = await readFile(join(folder.path, 'mails.txt'), 'utf8');
    const code = /^[A-Z0-9]{8}\r?$/m.exec(mail)?.[0].trim();
    return mail === before ? undefined : code;
  });
  expect((await person.json('PUT', '/api/user/session/elevation', { otc })).status).toBe(200);
}

/** Enrols an authenticator over the API; its first code is over afterwards. Answers the secret. */
async function enrol(person: Visitor): Promise<string> {
  const begun = await person.json('PUT', '/api/secondfactor/totp/register', {
    algorithm: 'SHA1',
    length: 6,
    period: 30,
  });
  const { base32_secret: secret } = dataOf(begun) as { base32_secret: string };
  const answer = await person.json('POST', '/api/secondfactor/totp/register', { token: codeOf(secret) });
  expect(answer.status).toBe(200);
  advance(30_000);
  return secret;
}

/** Somebody at level 1 with an authenticator. */
async function enrolled(): Promise<{ person: Visitor; secret: string }> {
  const person = await visitor().signIn();
  await elevate(person);
  return { person, secret: await enrol(person) };
}

const TWO = 'https://two.example.com/reports?year=2026&x=%2F';

describe('at sign-in', () => {
  test('a code opens what asks for two factors, under a new token, and leads back with the query', async () => {
    const { person, secret } = await enrolled();
    const stolen = person.copy();
    expect(await person.decide(TWO)).toBe(302);
    const query = queryOf({ rd: TWO, rm: 'GET' });
    const page = await person.get(`/${query}`);
    expect(page.status).toBe(200);
    const action = /<form method="post" action="(\/form\/2fa\/one-time-password[^"]*)"/.exec(
      page.body.toString(),
    );
    const path = (action?.[1] ?? '').replaceAll('&amp;', '&');
    const wrong = await person.form(path, { code: '000000' });
    const back = new URL(location(wrong) ?? '', 'https://auth.example.com');
    expect([wrong.status, back.pathname]).toEqual([303, '/2fa/one-time-password']);
    expect(Object.fromEntries(back.searchParams)).toEqual({ error: 'code', rd: TWO, rm: 'GET' });
    expect((await person.get(back.pathname + back.search)).body.toString()).toContain(
      'That code does not work',
    );
    const right = await person.form(path, { code: ` ${codeOf(secret)} ` });
    expect([right.status, location(right)]).toEqual([303, TWO]);
    expect(right.header('set-cookie')).toMatch(
      /^authelia_session=[\w-]{43}; Path=\/; Domain=example\.com; Max-Age=\d+;/,
    );
    expect([await person.decide(TWO), await stolen.decide(TWO)]).toEqual([200, 302]);
    expect(dataOf(await person.get('/api/state'))).toMatchObject({
      username: 'john',
      authentication_level: 2,
    });
    // The binding to this browser was kept.
    expect((await person.json('POST', '/api/user/info/2fa_method', { method: 'totp' })).status).toBe(200);
  });

  test('of many who use one code at once on two gateways one succeeds', async () => {
    const { person, secret } = await enrolled();
    const second = await start();
    second.clock.set(first().clock.now());
    const people = [
      person,
      await visitor().signIn(),
      await new Visitor(second.port, '203.0.113.9').signIn(),
      await new Visitor(second.port, '203.0.113.9').signIn(),
    ];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        people[i % 4]?.copy().json('POST', '/api/secondfactor/totp', { token: codeOf(secret) }),
      ),
    );
    const statuses = answers.map((answer) => answer?.status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(new Set(statuses)).toEqual(new Set([200, 403]));
  });

  test('wrong, used and nobody’s codes are one answer', async () => {
    const { person, secret } = await enrolled();
    expect((await person.json('POST', '/api/secondfactor/totp', { token: codeOf(secret, 1) })).status).toBe(
      200,
    );
    const again = await visitor().signIn();
    const harry = await visitor().signIn('harry');
    const bodies = await Promise.all([
      again.json('POST', '/api/secondfactor/totp', { token: '000000' }),
      again.json('POST', '/api/secondfactor/totp', { token: codeOf(secret, 1) }),
      // Older than one that was used.
      again.json('POST', '/api/secondfactor/totp', { token: codeOf(secret) }),
      harry.json('POST', '/api/secondfactor/totp', { token: codeOf(secret) }),
      harry.json('POST', '/api/secondfactor/recovery-code', { token: 'AAAA-BBBB-CCCC-DDDD' }),
    ]);
    for (const { status, body } of bodies) {
      expect([status, body.toString()]).toEqual([
        403,
        '{"status":"KO","message":"Authentication failed, please retry later."}',
      ]);
    }
    expect((await person.json('POST', '/api/secondfactor/totp', { token: '12345' })).status).toBe(400);
    expect((await visitor().json('POST', '/api/secondfactor/totp', { token: '123456' })).status).toBe(403);
  });

  test('a session cookie without the browser that signed in cannot rise', async () => {
    const { person, secret } = await enrolled();
    const answer = await person.json('POST', '/api/secondfactor/totp', { token: codeOf(secret) });
    const token = /authelia_session=([\w-]{43})/.exec(answer.header('set-cookie') ?? '')?.[1] ?? '';
    const thief = new Visitor(first().port, '203.0.113.66', new Map([['authelia_session', token]]));
    advance(30_000);
    const refused = await thief.json('POST', '/api/secondfactor/totp', { token: codeOf(secret) });
    expect(refused.status).toBe(403);
    expect((await thief.form('/form/2fa/one-time-password', { code: codeOf(secret) })).status).toBe(403);
  });
});

describe('rules that ask for more', () => {
  test('a proof that has become old is asked for again, and leads back', async () => {
    const { person, secret } = await enrolled();
    const fresh = 'https://fresh.example.com/a?b=c';
    await person.json('POST', '/api/secondfactor/totp', { token: codeOf(secret) });
    expect(await person.decide(fresh)).toBe(200);
    advance(600_001);
    expect([await person.decide(fresh), await person.decide(TWO)]).toEqual([302, 200]);
    const query = queryOf({ rd: fresh, rm: 'GET' });
    expect((await person.get(`/${query}`)).body.toString()).toContain('asks for a fresh proof');
    const again = await person.form(`/form/2fa/one-time-password${query}`, { code: codeOf(secret) });
    expect([location(again), await person.decide(fresh)]).toEqual([fresh, 200]);
  });

  test('the password once more, where any proof will do', async () => {
    const person = await visitor().signIn();
    const recent = 'https://recent.example.com/x?y=z';
    advance(600_001);
    expect(await person.decide(recent)).toBe(302);
    const query = queryOf({ rd: recent, rm: 'GET' });
    expect((await person.get(`/${query}`)).body.toString()).toContain('action="/form/reauthenticate?');
    const wrong = await person.form(`/form/reauthenticate${query}`, { password: 'wrong' });
    expect(location(wrong)).toContain('error=credentials');
    const right = await person.form(`/form/reauthenticate${query}`, { password: 'a right password' });
    expect([location(right), await person.decide(recent)]).toEqual([recent, 200]);
  });

  test('a recovery code does not do where the authenticator is asked for by name', async () => {
    const { person, secret } = await enrolled();
    const made = await person.json('POST', '/api/secondfactor/recovery-codes', {});
    const { codes } = dataOf(made) as { codes: string[] };
    const only = 'https://app-only.example.com/';
    expect(await person.decide(only)).toBe(302);
    await person.json('POST', '/api/secondfactor/recovery-code', { token: codes[0] });
    expect([await person.decide(TWO), await person.decide(only)]).toEqual([200, 302]);
    const page = (await person.get(`/${queryOf({ rd: only })}`)).body.toString();
    expect(page).toContain('/form/2fa/one-time-password');
    expect(page).not.toContain('2fa/recovery-code');
    await person.json('POST', '/api/secondfactor/totp', { token: codeOf(secret) });
    expect(await person.decide(only)).toBe(200);
  });
});

describe('an enrolment', () => {
  test('on the pages: from the closed site over elevation and QR code back to it', async () => {
    const person = await visitor().signIn();
    const query = queryOf({ rd: TWO, rm: 'GET' });
    const closed = (await person.get(`/${query}`)).body.toString();
    const link = /href="(\/settings\/totp[^"]*)"/.exec(closed)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const proof = location(await person.get(link)) ?? '';
    expect(proof).toMatch(/^\/settings\/elevation\?back=totp&rd=/);
    await elevate(person);
    expect(location(await person.get(proof))).toBe(link);
    expect((await person.get(link)).body.toString()).not.toContain('<svg class="qr-code"');
    expect(location(await person.form(`/form/totp/begin${query}`))).toBe(link);
    const page = (await person.get(link)).body.toString();
    expect(page).toMatch(/<svg class="qr-code"[^>]*><rect[^>]*><\/rect><path d="M/);
    const secret = /<code class="secret">([A-Z2-7 ]+)<\/code>/.exec(page)?.[1] ?? '';
    expect(secret).toHaveLength(64);
    const wrong = await person.form(`/form/totp/finish${query}`, { code: '000000' });
    expect(location(wrong)).toMatch(/^\/settings\/totp\?error=code&rd=/);
    expect(await (await person.get('/settings/totp')).body.toString(), 'the same secret again').toContain(
      secret,
    );
    const right = await person.form(`/form/totp/finish${query}`, { code: codeOf(secret) });
    expect(location(right)).toBe(`/${query}`);
    advance(30_000);
    const code = { code: codeOf(secret) };
    expect(location(await person.form(`/form/2fa/one-time-password${query}`, code))).toBe(TWO);
    const account = (await person.get('/settings/security')).body.toString();
    expect(account).toContain('Make recovery codes');
    expect(account).toContain('/form/totp/remove');
  });

  test('shows its secret to no browser but the one that signed in', async () => {
    const person = await visitor().signIn();
    await elevate(person);
    await person.form('/form/totp/begin');
    const secret = '<code class="secret">';
    expect((await person.get('/settings/totp')).body.toString()).toContain(secret);
    const seen = await person.thief().get('/settings/totp');
    expect(seen.status).toBe(200);
    expect(seen.body.toString()).not.toMatch(/class="secret"|otpauth:|class="qr-code"/);
  });

  test('a new one takes the place of one that is under way; it ends after ten minutes, and when it is dropped', async () => {
    const person = await visitor().signIn();
    await elevate(person);
    const begin = async (): Promise<string> => {
      const body = { algorithm: 'SHA1', length: 6, period: 30 };
      const answer = await person.json('PUT', '/api/secondfactor/totp/register', body);
      return (dataOf(answer) as { base32_secret: string }).base32_secret;
    };
    const confirm = async (secret: string): Promise<number> => {
      const body = { token: codeOf(secret) };
      return (await person.json('POST', '/api/secondfactor/totp/register', body)).status;
    };
    const [one, two] = [await begin(), await begin()];
    expect(await confirm(one)).toBe(403);
    await person.json('DELETE', '/api/secondfactor/totp/register');
    expect(await confirm(two)).toBe(403);
    const three = await begin();
    advance(600_000);
    await elevate(person);
    expect(await confirm(three)).toBe(403);
    const four = await begin();
    expect(await confirm(four)).toBe(200);
    expect(await confirm(four)).toBe(403);
  });

  test('in the place of an earlier authenticator ends the other sessions, and the first one does not', async () => {
    const other = await visitor().signIn();
    const { person, secret } = await enrolled();
    expect(await other.decide('https://app.example.com/')).toBe(200);
    const next = await enrol(person);
    expect(next).not.toBe(secret);
    expect(await other.decide('https://app.example.com/')).toBe(302);
    expect(await person.decide('https://app.example.com/')).toBe(200);
    expect((await person.json('POST', '/api/secondfactor/totp', { token: codeOf(secret) })).status).toBe(403);
    expect((await person.json('POST', '/api/secondfactor/totp', { token: codeOf(next) })).status).toBe(200);
  });
});

describe('recovery codes', () => {
  test('are shown once, work once each, and a new set takes the place of the old one', async () => {
    const { person } = await enrolled();
    const page = (await person.form('/form/recovery-codes')).body.toString();
    const codes = [...page.matchAll(/<code>([0-9A-Z-]{19})<\/code>/g)].map(([, code]) => code ?? '');
    expect(codes).toHaveLength(10);
    expect((await person.get('/settings/recovery-codes')).body.toString()).not.toContain(codes[0]);
    const use = async (code: string | undefined): Promise<number> =>
      (await person.json('POST', '/api/secondfactor/recovery-code', { token: code })).status;
    expect(await use(codes[0]?.toLowerCase().replaceAll('-', ' '))).toBe(200);
    expect(await use(codes[0])).toBe(403);
    expect(dataOf(await person.get('/api/secondfactor/recovery-codes'))).toEqual({ left: 9 });
    await person.json('POST', '/api/secondfactor/recovery-codes', {});
    expect(await use(codes[1])).toBe(403);
  });

  test('need a factor that they stand for, and go with it', async () => {
    const person = await visitor().signIn();
    await elevate(person);
    expect((await person.json('POST', '/api/secondfactor/recovery-codes', {})).status).toBe(409);
    await enrol(person);
    const { codes } = dataOf(await person.json('POST', '/api/secondfactor/recovery-codes', {})) as {
      codes: string[];
    };
    const other = await visitor().signIn();
    expect((await person.json('DELETE', '/api/secondfactor/totp')).status).toBe(200);
    expect((await person.json('DELETE', '/api/secondfactor/totp')).status).toBe(403);
    expect((await person.get('/api/secondfactor/totp')).status).toBe(404);
    expect((await person.json('POST', '/api/secondfactor/recovery-code', { token: codes[0] })).status).toBe(
      403,
    );
    expect(await other.decide('https://app.example.com/'), 'other sessions').toBe(302);
  });
});

describe('what is told of it', () => {
  test('methods, what there is, and the wish', async () => {
    const { person } = await enrolled();
    expect(dataOf(await person.get('/api/configuration'))).toMatchObject({ available_methods: ['totp'] });
    const info = { method: 'totp', has_totp: true, has_webauthn: false, has_duo: false };
    const emails = ['j******e@example.com'];
    for (const answer of [
      await person.get('/api/user/info'),
      await person.json('POST', '/api/user/info', {}),
    ]) {
      expect(dataOf(answer)).toEqual({ display_name: 'John Doe', emails, ...info });
    }
    const refused = await person.json('POST', '/api/user/info/2fa_method', { method: 'webauthn' });
    expect([refused.status, refused.body.toString()]).toEqual([
      200,
      '{"status":"KO","message":"Operation failed."}',
    ]);
    const details = dataOf(await person.get('/api/secondfactor/totp'));
    expect(details).toMatchObject({ issuer: 'Example', algorithm: 'SHA1', digits: 6, period: 30 });
    expect(details).not.toHaveProperty('last_used_at');
  });

  test('without an elevation nothing changes', async () => {
    const person = await visitor().signIn();
    for (const [method, path] of [
      ['PUT', '/api/secondfactor/totp/register'],
      ['POST', '/api/secondfactor/totp/register'],
      ['DELETE', '/api/secondfactor/totp'],
      ['POST', '/api/secondfactor/recovery-codes'],
    ] as const) {
      expect((await person.json(method, path, {})).status, `${method} ${path}`).toBe(403);
    }
    for (const path of ['begin', 'finish', 'remove', 'cancel']) {
      expect(location(await person.form(`/form/totp/${path}`)), path).toMatch(
        /^\/settings\/elevation\?back=/,
      );
    }
    expect(location(await person.form('/form/recovery-codes'))).toMatch(/^\/settings\/elevation\?back=/);
    expect((await person.get('/settings/security')).body.toString()).toContain('Set up an authenticator app');
  });
});
