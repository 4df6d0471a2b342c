import { hash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createPasswordPolicy } from '../../../src/factors/password-policy.ts';
import { createNewPassword, type WritableUsers } from '../../../src/login/new-password.ts';
import { createPasswordReset } from '../../../src/login/password-reset.ts';
import type { MailNotice } from '../../../src/notifier/messages.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import type { ResetLink, ResetLinks } from '../../../src/storage/reset-links.ts';
import { BackendUnavailable, type PasswordChange, type UserProfile } from '../../../src/users/backend.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';

const JOHN: UserProfile = {
  username: 'john',
  displayName: 'John',
  emails: ['john@example.com'],
  groups: [],
};
const SOURCE = { ip: '203.0.113.5', portalUrl: 'https://auth.example.com/' };

function memoryLinks(): ResetLinks {
  const links = new Map<string, ResetLink>();
  const owners = new Map<string, string>();
  const end = async (id: string, now: number): Promise<ResetLink | null> => {
    const link = links.get(id);
    if (!link || link.expiresAt <= now) return null;
    links.delete(id);
    return link;
  };
  return {
    async insert(link) {
      links.set(link.id, link);
      owners.set(link.id, link.username);
    },
    find: async (id, now) => {
      const link = links.get(id);
      return link && link.expiresAt > now ? link : null;
    },
    consume: end,
    ownerOf: async (id) => owners.get(id) ?? null,
    async revokeAll(username) {
      const own = [...links.values()].filter((link) => link.username === username);
      for (const { id } of own) links.delete(id);
      return own.length;
    },
  };
}

/** A reset whose work begins at once, and what came of it. */
function stage() {
  const clock = fakeClock();
  const mails: MailNotice[] = [];
  const ended: unknown[] = [];
  const told: string[] = [];
  const failures: unknown[] = [];
  const leftovers: unknown[] = [];
  const jobs: Promise<void>[] = [];
  const passwords: string[] = [];
  let write: () => Promise<PasswordChange> = async () => ({ status: 'changed' });
  let end: () => Promise<number> = async () => 1;
  const users: WritableUsers = {
    find: (name) => (name.toLowerCase() === 'john' ? JOHN : null),
    checkPassword: async () => ({ status: 'failure' }),
    async setPassword(_username, password) {
      const written = await write();
      if (written.status === 'changed') passwords.push(password);
      return written;
    },
    reload: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const links = memoryLinks();
  const policy = createPasswordPolicy(
    {
      standard: {
        enabled: true,
        min_length: 8,
        max_length: 0,
        require_uppercase: false,
        require_lowercase: false,
        require_number: false,
        require_special: false,
      },
      zxcvbn: { enabled: false, min_score: 3 },
    },
    { strength: { score: async () => 4, close: () => Promise.resolve() } },
  );
  const newPassword = createNewPassword({
    users,
    policy,
    sessions: {
      async endAllOf(...call) {
        const count = await end();
        ended.push(call);
        return count;
      },
    },
    links,
    notices: { tell: (person, _from, notice) => void told.push(`${person.username} ${notice.kind}`) },
    events: { passwordChanged: ({ how }) => void told.push(how) },
    clock,
    onLeftover: (...leftover) => void leftovers.push(leftover),
  });
  const reset = createPasswordReset({
    lifespan: 300_000,
    users,
    links,
    buckets: { take: async () => null },
    mail: {
      async enqueue(notice) {
        mails.push(notice);
        return { status: 'full' };
      },
      close: () => Promise.resolve(),
    },
    newPassword,
    jobs: {
      start: (_delay, job) => jobs.push(job()) > 0,
      close: () => Promise.resolve(),
    },
    deviceOf: () => 'a device',
    clock,
    random: seededRandom('reset'),
    events: { resetRequested: () => undefined, proofChecked: () => undefined },
    onFailure: (error) => void failures.push(error),
    onOverload: () => undefined,
  });
  return {
    reset,
    links,
    clock,
    ended,
    told,
    failures,
    leftovers,
    passwords,
    onWrite: (next: typeof write) => void (write = next),
    onEnd: (next: typeof end) => void (end = next),
    async link(): Promise<string> {
      reset.request('JOHN', SOURCE);
      await Promise.all(jobs);
      return /token=([\w-]{43})$/.exec(mails.at(-1)?.content.link?.url ?? '')?.[1] ?? '';
    },
  };
}

const PASSWORD = 'a new password';

describe('a new password by a mailed link', () => {
  test('is written once every session has ended, and they end once more afterwards', async () => {
    const { reset, link, ended, told, passwords, onWrite } = stage();
    const proof = { kind: 'link', token: await link() } as const;
    onWrite(async () => {
      expect(ended).toHaveLength(1);
      return { status: 'changed' };
    });
    expect(await reset.finish(proof, PASSWORD, SOURCE)).toEqual({ status: 'changed' });
    expect(passwords).toEqual([PASSWORD]);
    expect(ended).toEqual(Array.from({ length: 2 }, () => ['john', 'password-changed', undefined]));
    expect(told).toEqual(['reset', 'john password-changed']);
  });

  test('is not written while sessions cannot be ended; a permission stays for another try', async () => {
    const { reset, link, passwords, failures, onEnd } = stage();
    const down = new StoreUnavailable('the store does not answer');
    onEnd(() => Promise.reject(down));
    const proof = { kind: 'link', token: await link() } as const;
    const result = await reset.finish(proof, PASSWORD, SOURCE);
    expect([result.status, passwords, failures]).toEqual(['unavailable', [], [down]]);
    onEnd(async () => 0);
    expect(await reset.finish(proof, PASSWORD, SOURCE)).toEqual({ status: 'gone' });
    const { permission } = result as Extract<typeof result, { status: 'unavailable' }>;
    expect(permission.lifetime).toBe(300_000);
    const again = { kind: 'permission', token: permission.token } as const;
    expect(await reset.finish(again, PASSWORD, SOURCE)).toEqual({ status: 'changed' });
  });

  test('what could not be ended afterwards is told, and the password holds', async () => {
    const { reset, link, passwords, leftovers, onEnd, onWrite } = stage();
    const down = new StoreUnavailable('the store does not answer');
    onWrite(async () => {
      onEnd(() => Promise.reject(down));
      return { status: 'changed' };
    });
    const result = await reset.finish({ kind: 'link', token: await link() }, PASSWORD, SOURCE);
    expect([result.status, passwords, leftovers]).toEqual(['changed', [PASSWORD], [['john', down]]]);
  });

  test.each<[string, () => Promise<PasswordChange>, string]>([
    ['refuses it', async () => ({ status: 'refused', reason: 'It was used before.' }), 'refused'],
    ['does not answer', () => Promise.reject(new BackendUnavailable('down')), 'unavailable'],
  ])('can be tried again where the user backend %s', async (_name, write, status) => {
    const { reset, link, clock, onWrite } = stage();
    const proof = { kind: 'link', token: await link() } as const;
    onWrite(write);
    clock.advance(100_000);
    const result = await reset.finish(proof, PASSWORD, SOURCE);
    expect(result).toMatchObject({ status, permission: { lifetime: 200_000 } });
    expect(await reset.isUsable(proof)).toBe(false);
    const { permission } = result as Extract<typeof result, { status: 'refused' }>;
    const again = { kind: 'permission', token: permission.token } as const;
    onWrite(async () => ({ status: 'changed' }));
    expect(await reset.finish(again, PASSWORD, SOURCE)).toEqual({ status: 'changed' });
    expect(await reset.isUsable(again)).toBe(false);
  });

  test.each([
    ['weak', 'short', { kind: 'policy', rules: ['min_length'] }],
    ['empty', '', { kind: 'impossible' }],
    ['no text', '\ud800 in the middle', { kind: 'impossible' }],
  ])('a password that is %s leaves the link as it was', async (_name, password, flaw) => {
    const { reset, link } = stage();
    const proof = { kind: 'link', token: await link() } as const;
    expect(await reset.finish(proof, password, SOURCE)).toEqual({ status: 'weak', flaw });
    expect(await reset.isUsable(proof)).toBe(true);
  });
});

describe('a proof', () => {
  test('of one kind is nothing as the other', async () => {
    const { reset, link } = stage();
    const token = await link();
    expect(await reset.isUsable({ kind: 'permission', token })).toBe(false);
    const permission = await reset.accept(token, SOURCE.ip);
    expect(await reset.accept(permission?.token ?? '', SOURCE.ip)).toBe(null);
    expect(await reset.revoke(permission?.token ?? '')).toBe(false);
  });

  test('is void once the mailed link is revoked, also when that was used up already', async () => {
    const { reset, link } = stage();
    const [used, other] = [await link(), await link()];
    const permission = await reset.accept(used, SOURCE.ip);
    const proof = { kind: 'permission', token: permission?.token ?? '' } as const;
    expect(await reset.isUsable(proof)).toBe(true);
    expect(await reset.revoke(used)).toBe(true);
    expect(await reset.isUsable(proof)).toBe(false);
    expect(await reset.finish(proof, PASSWORD, SOURCE)).toEqual({ status: 'gone' });
    expect(await reset.isUsable({ kind: 'link', token: other })).toBe(false);
    expect([await reset.revoke(used), await reset.revoke('A'.repeat(43))]).toEqual([false, false]);
  });

  test('a permission counts from the use of the link', async () => {
    const { reset, link, clock } = stage();
    const token = await link();
    clock.advance(299_999);
    const permission = await reset.accept(token, SOURCE.ip);
    expect(permission?.lifetime).toBe(300_000);
    clock.advance(299_999);
    const proof = { kind: 'permission', token: permission?.token ?? '' } as const;
    expect(await reset.isUsable(proof)).toBe(true);
    clock.advance(1);
    expect(await reset.isUsable(proof)).toBe(false);
  });

  test('is stored as a digest only', async () => {
    const { link, links, clock } = stage();
    const token = await link();
    expect(await links.find(token, clock.now())).toBe(null);
    const digest = hash('sha256', `link ${token}`, 'base64url');
    expect(await links.find(digest, clock.now())).toMatchObject({ username: 'john' });
  });
});
