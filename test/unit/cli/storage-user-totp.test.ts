import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { GatewayPayload, GatewaySessions } from '../../../src/authn/gateway-session.ts';
import type { OpenSharedSessions } from '../../../src/cli/shared-sessions.ts';
import { storageCommand } from '../../../src/cli/storage.ts';
import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import { createSealer } from '../../../src/sessions/seal.ts';
import { openSessions } from '../../../src/sessions/sessions.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

const OLD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const NEW = '765432ZYXWVUTSRQPONMLKJIHGFEDCBA';

const random = seededRandom('storage user totp');
const clock = fakeClock();
let folder = '';
let sessions: GatewaySessions;
let closed = 0;
const file = (name: string): string => join(folder, name);

function configure(session: string): void {
  writeFileSync(
    file('configuration.yml'),
    `
authentication_backend: { file: { path: users.yml } }
session:
  secret: a-secret-for-tests-only
  cookies: [{ domain: example.com, authelia_url: 'https://auth.example.com' }]
  ${session}
storage: { encryption_key: a-key-for-tests-only-a-key, local: { path: '${file('db.sqlite3')}' } }
notifier: { filesystem: { filename: mail.txt } }
access_control: { default_policy: deny, rules: [{ domain: app.example.com, policy: one_factor }] }
`,
  );
}

async function run(
  words: readonly string[],
  open: OpenSharedSessions = async () => ({ ...sessions, close: async () => void closed++ }),
): Promise<{ out: string; err: string; code: number }> {
  const result = { out: '', err: '', code: 0 };
  const io = {
    out: (text: string) => void (result.out += text),
    err: (text: string) => void (result.err += text),
    environment: {},
    exit: (code: number) => void (result.code = code),
  };
  const place = ['--config', file('configuration.yml')];
  await storageCommand(io, open).parseAsync(['user', 'totp', ...words, ...place], { from: 'user' });
  return result;
}

/** The rows, past the storage. */
function ask(sql: string, ...values: readonly string[]): readonly Record<string, unknown>[] {
  const database = new DatabaseSync(file('db.sqlite3'), { timeout: 1000 });
  try {
    return database.prepare(sql).all(...values);
  } finally {
    database.close();
  }
}

const signIn = (username: string) =>
  sessions.begin({
    userId: username,
    cookieDomain: 'example.com',
    remembered: false,
    payload: {
      factors: [],
      profile: { username, displayName: '', emails: [`${username}@example.com`], groups: [] },
      refreshedAt: clock.now(),
      device: { userAgent: '', ip: '203.0.113.5' },
      portalBinding: '',
    },
  });

/** What is left of john's and jane's privileges. */
const left = async () => ({
  sessions: await Promise.all(['john', 'jane'].map(async (name) => (await sessions.listOf(name)).length)),
  codes: ask('select username from sallyport_recovery_codes order by username').map(
    ({ username }) => username,
  ),
  secret: (await run(['export', 'uri'])).out.match(/john.*secret=(\w+)/)?.[1],
});

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'storage-user-totp-'));
  configure('redis: { host: redis.example.com }');
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
  await run(['generate', 'john', '--secret', NEW]);
  await run(['export', '--file', file('new.yml')]);
  await run(['generate', 'john', '--secret', OLD, '--force']);
  for (const name of ['jane', 'john']) {
    ask('insert into sallyport_recovery_codes values (?, ?, ?, 0, null)', name, 'digest', 'salt');
  }
  for (const name of ['john', 'john', 'jane']) await signIn(name);
  ask('delete from sallyport_audit');
  closed = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

describe.each([
  ['delete', ['delete', 'john'], undefined, 'removed'],
  ['generate --force', ['generate', 'john', '--secret', NEW, '--force'], NEW, 'added'],
  ['import --force', ['import', 'new.yml', '--force'], NEW, 'added'],
])('%s', (_name, given, secret, deed) => {
  const words = () => given.map((word) => (word === 'new.yml' ? file(word) : word));

  it('leaves nothing of the earlier authenticator, and tells of it', async () => {
    const { out, err, code } = await run(words());
    expect([err, code, closed]).toEqual(['', 0, 1]);
    expect(out).toContain('2 sessions of john ended.\n');
    expect(await left()).toEqual({ sessions: [0, 1], codes: ['jane'], secret });
    expect(ask('select event from sallyport_audit order by id').map(({ event }) => event)).toEqual([
      `factor.${deed}`,
      'session.ended',
      'session.ended',
      'sessions.revoked',
    ]);
    // Of the factor, and of the sessions.
    expect(ask('select id from sallyport_mail_queue')).toHaveLength(2);
  });

  it('changes nothing when the sessions cannot be ended', async () => {
    const down = async () => {
      throw new StoreUnavailable('no connection');
    };
    const unreachable = await run(words(), down);
    const failing = await run(words(), async () => ({ ...sessions, endAllOf: down, close: async () => {} }));
    for (const { err, code } of [unreachable, failing]) {
      expect(code).toBe(1);
      expect(err).toContain(
        'the authenticator of john is unchanged, as what was opened with it cannot be ended: the session store does not answer: no connection',
      );
    }
    expect(await left()).toEqual({ sessions: [2, 1], codes: ['jane', 'john'], secret: OLD });
  });

  it('says when sessions began meanwhile and cannot be ended', async () => {
    let calls = 0;
    const { err, code } = await run(words(), async () => ({
      ...sessions,
      async endAllOf(...args: Parameters<GatewaySessions['endAllOf']>) {
        if (++calls === 2) throw new StoreUnavailable('no connection');
        return sessions.endAllOf(...args);
      },
      close: async () => {},
    }));
    expect(code).toBe(1);
    expect(err).toContain('sallyport sessions revoke --user john --all');
    expect(await left()).toEqual({ sessions: [0, 1], codes: ['jane'], secret });
  });

  it('ends a session that began with the earlier one meanwhile', async () => {
    let calls = 0;
    await run(words(), async () => ({
      ...sessions,
      async endAllOf(...args: Parameters<GatewaySessions['endAllOf']>) {
        const count = await sessions.endAllOf(...args);
        if (++calls === 1) await signIn('john');
        return count;
      },
      close: async () => {},
    }));
    expect(await left()).toEqual({ sessions: [0, 1], codes: ['jane'], secret });
  });

  it('warns where no other process sees the sessions, and does the rest', async () => {
    configure('');
    const { err, code } = await run(words());
    expect(code).toBe(0);
    expect(err).toMatch(
      /^warning: what john has open with the earlier authenticator stays open: the sessions/,
    );
    expect(await left()).toEqual({ sessions: [2, 1], codes: ['jane'], secret });
  });
});

it('a first authenticator ends no session, and takes away codes of one that is gone', async () => {
  const { err, code } = await run(['generate', 'jane']);
  expect([err, code, closed]).toEqual(['', 0, 0]);
  expect(await left()).toMatchObject({ sessions: [2, 1], codes: ['john'] });
});

it('what is refused ends nothing', async () => {
  expect(await run(['generate', 'john'])).toMatchObject({ code: 1 });
  expect(await run(['import', file('new.yml')])).toMatchObject({ code: 1 });
  expect(await left()).toEqual({ sessions: [2, 1], codes: ['jane', 'john'], secret: OLD });
});

it('an authenticator whose secret cannot be read any more can be deleted', async () => {
  ask("update sallyport_totp_credentials set secret = x'00'");
  expect(await run(['delete', 'john'])).toMatchObject({ err: '', code: 0 });
  expect(ask('select username from sallyport_totp_credentials')).toEqual([]);
});
