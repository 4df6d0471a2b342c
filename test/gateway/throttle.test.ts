import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { HeaderLine, RawAnswer } from '../support/raw-http.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';
import { ask } from '../support/wire.ts';
import { type InProcessGateway, PASSWORD, startInProcess } from './in-process.ts';

/** Two gateways over one SQLite file, as attackers see them. */

let folder: TemporaryFolder;
let gateways: InProcessGateway[];

beforeEach(async () => {
  folder = await temporaryFolder('throttle');
  gateways = [];
});
afterEach(async () => {
  for (const gateway of gateways) await gateway.stop();
  await folder.remove();
});

const database = (): string => join(folder.path, 'db.sqlite3');

const STORAGE = `
storage:
  encryption_key: an encryption key of the tests
  local:
    path: DATABASE
`;
const REGULATION = `
regulation:
  modes: [user, ip]
`;
const CACHED_BASIC = `
  endpoints:
    authz:
      forward-auth:
        implementation: ForwardAuth
        authn_strategies:
          - name: HeaderAuthorization
            scheme_basic_cache_lifespan: 1h
          - name: CookieSession
`;

async function start(count: number, sections = REGULATION + STORAGE): Promise<void> {
  for (let i = 0; i < count; i++) {
    gateways.push(
      await startInProcess((text) =>
        `${text}${sections}`
          .replace('DATABASE', database())
          .replace(
            'FOLDER/users.yml',
            'FOLDER/users.yml\n    search: { email: true, case_insensitive: true }',
          )
          .replace('127.0.0.1:0/\n', `127.0.0.1:0/${CACHED_BASIC}`),
      ),
    );
  }
}

const at = (i: number): InProcessGateway => gateways[i % gateways.length] as InProcessGateway;

const signIn = (i: number, username: string, password: string, ip = `198.51.100.${i}`): Promise<RawAnswer> =>
  ask(
    at(i).port,
    'POST',
    '/api/firstfactor',
    [
      ['Host', 'auth.example.com'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-For', ip],
      ['Content-Type', 'application/json'],
    ],
    JSON.stringify({ username, password }),
  );

const decide = (i: number, more: readonly HeaderLine[], ip = `198.51.100.${i}`): Promise<RawAnswer> =>
  ask(at(i).port, 'GET', '/api/authz/forward-auth', [
    ['Host', 'gateway'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'app.example.com'],
    ['X-Forwarded-URI', '/'],
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-For', ip],
    ...more,
  ]);

const basic = (i: number, username: string, password: string, ip?: string): Promise<RawAnswer> =>
  decide(i, [['Authorization', `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`]], ip);

const checks = (message: RegExp): number =>
  gateways.flatMap(({ log }) => log).filter((line) => message.test(line.message)).length;

/** What can be told of an answer, but for the request's number and the time of day. */
const shape = ({ status, headers, body }: RawAnswer): unknown => ({
  status,
  body: body.toString(),
  headers: headers.map(([name, value]) =>
    /^(?:x-request-id|date)$/i.test(name) ? name.toLowerCase() : `${name.toLowerCase()}: ${value}`,
  ),
});

const WRONG = 'a wrong password';

describe('a burst', () => {
  test('of 50 wrong passwords on two gateways: no more than max_retries are looked at', async () => {
    await start(2);
    const names = ['john', 'JOHN', 'John.Doe@Example.com'];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        i % 5 === 0 ? basic(i, names[i % 3] ?? '', WRONG) : signIn(i, names[i % 3] ?? '', `${WRONG} ${i}`),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]));
    expect(checks(/^Unsuccessful 1FA/)).toBeLessThanOrEqual(3);
    expect(checks(/^Unsuccessful 1FA/)).toBeGreaterThan(0);
    expect(checks(/refused unseen/)).toBe(50 - checks(/^Unsuccessful 1FA/));
  });
});

describe('many right passwords at one time', () => {
  test('are all accepted, of one person and from one address, on two gateways', async () => {
    await start(2);
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        signIn(i, i % 3 === 0 ? 'harry' : 'john', PASSWORD, '203.0.113.5'),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });
});

describe('a ban', () => {
  test('looks the same as a wrong password, on both gateways and for the right one', async () => {
    await start(2);
    const wrong = [await signIn(0, 'john', WRONG), await signIn(1, 'JOHN', WRONG)];
    const wrongBasic = await basic(2, 'john.doe@example.com', WRONG);
    const unknown = await signIn(3, 'nobody', WRONG);
    const disabled = await signIn(4, 'gone', PASSWORD);
    const banned = [await signIn(5, 'john', PASSWORD), await signIn(6, 'john.doe@EXAMPLE.com', PASSWORD)];
    for (const answer of [...wrong.slice(1), unknown, disabled, ...banned]) {
      expect(shape(answer)).toEqual(shape(wrong[0] as RawAnswer));
    }
    expect(shape(await basic(7, 'john', PASSWORD))).toEqual(shape(wrongBasic));
    expect(checks(/^Unsuccessful 1FA/)).toBe(5);
    expect((await signIn(8, 'harry', PASSWORD)).status).toBe(200);
    for (const { clock } of gateways) clock.advance(300_000);
    expect((await signIn(9, 'john', PASSWORD)).status).toBe(200);
  });

  test('leaves sessions alone', async () => {
    await start(1);
    const cookie = (await signIn(0, 'john', PASSWORD)).header('set-cookie')?.split(';')[0] ?? '';
    for (let i = 1; i < 4; i++) await signIn(i, 'john', WRONG);
    expect((await signIn(4, 'john', PASSWORD)).status).toBe(401);
    expect((await decide(5, [['Cookie', cookie]])).status).toBe(200);
  });

  test('of an address holds for all of its /64', async () => {
    await start(2);
    for (let i = 0; i < 3; i++) await signIn(i, `nobody ${i}`, WRONG, `2001:db8:1:2::${i}`);
    expect((await signIn(0, 'john', PASSWORD, '2001:db8:1:2:ffff::1')).status).toBe(401);
    expect((await signIn(1, 'john', PASSWORD, '2001:db8:1:3::1')).status).toBe(200);
  });

  test('by hand holds at once, for a remembered Basic password within two seconds', async () => {
    await start(2);
    expect((await basic(0, 'john', PASSWORD)).status).toBe(200);
    const sql = new DatabaseSync(database(), { timeout: 2000 });
    sql.exec(
      `insert into sallyport_bans (kind, subject, created_at, expires_at, source)
       values ('user', 'john', 0, null, 'cli')`,
    );
    sql.close();
    expect((await signIn(0, 'john', PASSWORD)).status).toBe(401);
    expect((await signIn(1, 'john', PASSWORD)).status).toBe(401);
    expect((await basic(1, 'john', PASSWORD)).status).toBe(401);
    at(0).clock.advance(2000);
    expect((await basic(0, 'john', PASSWORD)).status).toBe(401);
  });
});

describe('a storage that does not answer', () => {
  test('gives nobody a free try, and keeps no session out', async () => {
    await start(1);
    const cookie = (await signIn(0, 'john', PASSWORD)).header('set-cookie')?.split(';')[0] ?? '';
    const lock = new DatabaseSync(database(), { timeout: 2000 });
    lock.exec('begin exclusive');
    try {
      const [form, right, wrong] = await Promise.all([
        signIn(0, 'john', PASSWORD),
        basic(0, 'harry', PASSWORD),
        basic(0, 'harry', WRONG),
      ]);
      expect([form.status, right.status, wrong.status]).toEqual([503, 503, 503]);
      expect(form.header('retry-after')).toBe('2');
      expect(checks(/1FA authentication attempt/)).toBe(1);
      expect((await decide(0, [['Cookie', cookie]])).status).toBe(200);
    } finally {
      lock.close();
    }
  });
});

describe('without storage', () => {
  test('attempts are counted in the process, and across a reload', async () => {
    await start(1, REGULATION);
    await signIn(0, 'john', WRONG);
    await signIn(1, 'john', WRONG);
    await at(0).changeUsers((text) => text);
    await basic(2, 'john', WRONG);
    expect((await signIn(3, 'john', PASSWORD)).status).toBe(401);
  });
});

describe('a remembered Basic password', () => {
  test('is forgotten once it is another', async () => {
    await start(1);
    expect((await basic(0, 'john', PASSWORD)).status).toBe(200);
    const { log } = at(0);
    await basic(0, 'john', PASSWORD);
    expect(log.filter(({ message }) => message.startsWith('Successful 1FA'))).toHaveLength(1);
    await at(0).changeUsers((text) => {
      const { users } = JSON.parse(text) as { users: Record<string, { password: string }> };
      const other = users.gone?.password ?? '';
      return JSON.stringify({
        users: { ...users, john: { ...users.john, password: `${other.slice(0, -4)}AAAA` } },
      });
    });
    expect((await basic(0, 'john', PASSWORD)).status).toBe(401);
  });
});
