import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GatewayPayload, GatewaySessions } from '../../../src/authn/gateway-session.ts';
import { sessionsCommand, type SessionsCommandDeps } from '../../../src/cli/sessions.ts';
import type { OpenSharedSessions } from '../../../src/cli/shared-sessions.ts';
import type { Revoked } from '../../../src/cli/tell-revoked.ts';
import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import { createSealer } from '../../../src/sessions/seal.ts';
import { openSessions } from '../../../src/sessions/sessions.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

const configuration = (session: string): string => `
authentication_backend: { file: { path: users.yml } }
session:
  secret: a-secret-for-tests-only
  cookies: [{ domain: example.com, authelia_url: 'https://auth.example.com' }]
  ${session}
storage: { encryption_key: a-key-for-tests-only-a-key, local: { path: db.sqlite3 } }
notifier: { filesystem: { filename: mail.txt } }
access_control: { default_policy: deny, rules: [{ domain: app.example.com, policy: one_factor }] }
`;
const STORES = {
  memory: '',
  filesystem: 'filesystem: { path: sessions }',
  redis: 'redis: { host: redis.example.com }',
};

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sessions-'));
  for (const [name, text] of Object.entries(STORES))
    writeFileSync(join(folder, `${name}.yml`), configuration(text));
});
afterAll(() => rmSync(folder, { recursive: true }));

const random = seededRandom('sessions command');
const clock = fakeClock();
let sessions: GatewaySessions;
let closed = 0;
let told: Revoked[] = [];
beforeEach(() => {
  closed = 0;
  told = [];
  sessions = openSessions<GatewayPayload>({
    timers: fakeTimers(),
    store: openMemoryStore({}, { clock }),
    sealer: createSealer('gateway', ['secret'], { random }),
    clock,
    random,
    lifetimesOf: () => ({ expiration: 3_600_000, inactivity: 300_000, rememberMe: 2_592_000_000 }),
    onEnd: () => {},
    onBrokenRecord: () => {},
  });
});

async function signIn(userId: string, userAgent = 'curl/8.14.1', remembered = false): Promise<string> {
  const { session } = await sessions.begin({
    userId,
    cookieDomain: 'example.com',
    remembered,
    payload: {
      factors: [{ method: 'password', at: clock.now() }],
      profile: { username: userId, displayName: '', emails: [], groups: [] },
      refreshedAt: clock.now(),
      device: { userAgent, ip: '203.0.113.5' },
      portalBinding: '',
    },
  });
  return session.publicId;
}

async function run(
  args: readonly string[],
  {
    store = 'redis',
    tell = async (revoked) => void told.push(revoked),
    open = () => Promise.resolve({ ...sessions, close: () => Promise.resolve(void closed++) }),
  }: { store?: keyof typeof STORES; open?: OpenSharedSessions; tell?: SessionsCommandDeps['tell'] } = {},
): Promise<{ out: string; err: string; code: number }> {
  const result = { out: '', err: '', code: 0 };
  const io = {
    out: (text: string) => void (result.out += text),
    err: (text: string) => void (result.err += text),
    environment: {},
    exit: (code: number) => void (result.code = code),
  };
  const path = join(folder, `${store}.yml`);
  await sessionsCommand(io, { open, tell }).parseAsync([...args, '-c', path], { from: 'user' });
  return result;
}

describe('sessions list', () => {
  it('prints a table of the sessions of that person, and closes the store', async () => {
    const first = await signIn(
      'john',
      'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
      true,
    );
    await signIn('harry');
    const { out, err, code } = await run(['list', '--user', 'john']);
    expect([err, code, closed]).toEqual(['', 0, 1]);
    expect(out).toBe(`\
id                device            address      sites        signed in             last active           ends                  remembered
${first}  Firefox on Linux  203.0.113.5  example.com  2027-01-15T08:00:00Z  2027-01-15T08:00:00Z  2027-02-14T08:00:00Z  yes
`);
  });

  it('says that there are none', async () => {
    expect((await run(['list', '--user', 'john'])).out).toBe('john has no sessions.\n');
    expect((await run(['list', '--user', 'john', '--json'])).out).toBe('[]\n');
  });

  it('prints JSON as the API has it', async () => {
    const id = await signIn('john');
    const { out } = await run(['list', '--user', 'john', '--json']);
    expect(JSON.parse(out)).toEqual([
      {
        id,
        created_at: '2027-01-15T08:00:00.000Z',
        last_active_at: '2027-01-15T08:00:00.000Z',
        expires_at: '2027-01-15T09:00:00.000Z',
        remembered: false,
        cookie_domain: 'example.com',
        device: { user_agent: 'curl/8.14.1', summary: 'curl', ip: '203.0.113.5' },
      },
    ]);
  });
});

describe('sessions show', () => {
  it('shows one session of that person', async () => {
    const id = await signIn('john');
    const { out, code } = await run(['show', '--user', 'john', '--id', id]);
    expect(code).toBe(0);
    expect(out).toContain(
      `id           ${id}\nuser         john\ndevice       curl\nuser agent   curl/8.14.1\n`,
    );
    expect(out).toContain('factors      password\n');
    const json: unknown = JSON.parse((await run(['show', '--user', 'john', '--id', id, '--json'])).out);
    expect(json).toMatchObject({ user: 'john', id });
    const others = await run(['show', '--user', 'harry', '--id', id]);
    expect([others.out, others.code]).toEqual(['', 1]);
    expect(others.err).toBe(
      `sallyport: harry has no session ${id}; see "sallyport sessions list --user harry"\n`,
    );
    expect(closed).toBe(3);
  });
});

describe('sessions revoke', () => {
  it('ends exactly one', async () => {
    const [one, other] = [await signIn('john'), await signIn('john')];
    const { out, code } = await run(['revoke', '--user', 'john', '--id', one]);
    expect([out, code]).toEqual(['1 session of john ended.\n', 0]);
    expect((await sessions.listOf('john')).map(({ publicId }) => publicId)).toEqual([other]);
    expect(told).toMatchObject([{ username: 'john', count: 1, ended: [one] }]);
    const again = await run(['revoke', '--user', 'john', '--id', one]);
    expect([again.out, again.code]).toEqual(['', 1]);
    expect(again.err).toContain(`john has no session ${one}`);
    expect((await run(['revoke', '--user', 'harry', '--id', other])).code).toBe(1);
    // Ids may begin so.
    expect((await run(['revoke', '--user', 'john', '--id', '-x'])).err).toContain('john has no session -x');
    expect(await sessions.listOf('john')).toHaveLength(1);
  });

  it('ends all of one person', async () => {
    await signIn('john');
    await signIn('john');
    await signIn('harry');
    expect((await run(['revoke', '--user', 'john', '--all'])).out).toBe('2 sessions of john ended.\n');
    expect(await sessions.listOf('john')).toEqual([]);
    expect(await sessions.listOf('harry')).toHaveLength(1);
    expect(told).toMatchObject([{ username: 'john', count: 2, example: { userId: 'john' } }]);
    expect(told[0]?.ended).toHaveLength(2);
    expect((await run(['revoke', '--user', 'john', '--all', '--json'])).out).toBe('{\n  "ended": 0\n}\n');
  });

  it.each([[[]], [['--id', 'x', '--all']]])('wants either an id or all: %j', async (more) => {
    const { err, code } = await run(['revoke', '--user', 'john', ...more], {
      open: () => Promise.reject(new Error('must not be opened')),
    });
    expect([err, code]).toEqual(['sallyport: sessions revoke takes either --id <id> or --all\n', 1]);
  });
});

describe('a store', () => {
  it.each([
    ['memory', /in the memory of the gateway/],
    ['filesystem', /session\.filesystem: the gateway holds the folder/],
  ] as const)('that no other process can see is refused with the way out: %s', async (store, reason) => {
    const open: OpenSharedSessions = () => Promise.reject(new Error('must not be opened'));
    for (const args of [['list'], ['show', '--id', 'x'], ['revoke', '--all']]) {
      const { out, err, code } = await run([...args, '--user', 'john'], { store, open });
      expect([out, code]).toEqual(['', 1]);
      expect(err).toMatch(reason);
      expect(err).toContain('session.redis or session.postgres');
      expect(err).toContain('at the portal');
    }
  });

  it('that does not answer, or cannot be opened, is an error and never an empty list', async () => {
    const down = await run(['list', '--user', 'john'], {
      open: () =>
        Promise.resolve({
          ...sessions,
          listOf: () => Promise.reject(new StoreUnavailable('connection refused')),
          close: () => Promise.resolve(void closed++),
        }),
    });
    expect([down.out, down.err, down.code, closed]).toEqual([
      '',
      'sallyport: the session store does not answer: connection refused\n',
      1,
      1,
    ]);
    const refused = await run(['list', '--user', 'john'], {
      open: () => Promise.reject(new Error('session.redis.password: the server refuses it')),
    });
    expect([refused.err, refused.code]).toEqual([
      'sallyport: session.redis.password: the server refuses it\n',
      1,
    ]);
  });
});
