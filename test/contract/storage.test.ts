import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { createAttemptLog } from '../../src/storage/attempt-log.ts';
import { createAuditLog } from '../../src/storage/audit-log.ts';
import { createBans } from '../../src/storage/bans.ts';
import { createConsumeOnce } from '../../src/storage/consume-once.ts';
import { StorageUnavailable } from '../../src/storage/errors.ts';
import { createKnownDevices } from '../../src/storage/known-devices.ts';
import { createLeases } from '../../src/storage/leases.ts';
import { createMailQueue } from '../../src/storage/mail-queue.ts';
import { createOneTimeCodes } from '../../src/storage/one-time-codes.ts';
import { createPreferences } from '../../src/storage/preferences.ts';
import { createRateBuckets } from '../../src/storage/rate-buckets.ts';
import { createRecoveryCodeRows } from '../../src/storage/recovery-codes.ts';
import { createResetLinks } from '../../src/storage/reset-links.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { createThrottleCounters } from '../../src/storage/throttle-counters.ts';
import { createTotpCredentials, type StoredTotpCredential } from '../../src/storage/totp-credentials.ts';
import { mustBeComplete } from '../support/environment.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { type DatabasePlace, openAt, storageHarnesses } from './storage-harnesses.ts';

/** What the files of `src/storage/` say of each subject, on every engine, with two replicas where it matters. */

const clock = fakeClock();
const now = clock.now();

const credential = (over: Partial<StoredTotpCredential> = {}): StoredTotpCredential => ({
  username: 'john',
  createdAt: now,
  lastUsedAt: null,
  issuer: 'auth.example.com',
  algorithm: 'SHA1',
  digits: 6,
  period: 30,
  secret: Buffer.from('a secret of twenty b'),
  ...over,
});

/** The same over two replicas, `each` times at once; how many came out as `wanted`. */
async function race<T>(replicas: readonly (() => Promise<T>)[], each: number, wanted: T): Promise<number> {
  const results = await Promise.all(
    replicas.flatMap((attempt) => Array.from({ length: each }, () => attempt())),
  );
  return results.filter((result) => result === wanted).length;
}

describe.each(Object.keys(storageHarnesses) as (keyof typeof storageHarnesses)[])('storage %s', (name) => {
  const harness = storageHarnesses[name];
  const opened: Storage[] = [];
  let place: DatabasePlace | undefined;

  beforeEach(({ skip }) => {
    skip(harness.missing !== undefined && !mustBeComplete, `${harness.missing} is not installed`);
  });
  afterEach(async () => {
    for (const storage of opened.splice(0)) await storage.database.close();
    await place?.dispose();
    place = undefined;
  });

  const open = async (): Promise<Storage> => {
    place ??= await harness.create();
    const storage = await openAt(place.config(), { clock });
    opened.push(storage);
    return storage;
  };
  const openTwo = async (): Promise<readonly [Storage, Storage]> => [await open(), await open()];

  test('consume-once: of 50 callers on two replicas exactly one gets an id of a purpose', async () => {
    const [a, b] = (await openTwo()).map(createConsumeOnce) as [
      ReturnType<typeof createConsumeOnce>,
      ReturnType<typeof createConsumeOnce>,
    ];
    const use = (purpose: string, id: string) =>
      [a, b].map((consume) => () => consume(purpose, id, now + 60_000));
    expect(await race(use('passkey', 'one'), 25, true)).toBe(1);
    expect(await race(use('reset', 'one'), 5, true)).toBe(1);
    expect(await a('passkey', 'One', now)).toBe(true);
    expect(await a('passkey', 'one ', now)).toBe(true);
    expect(await b('passkey', 'x'.repeat(100_000), now)).toBe(true);
  });

  describe('authenticators', () => {
    test('one for each person, found as it was put, its secret unreadable in the database', async () => {
      const totp = createTotpCredentials(await open());
      expect(await totp.find('john')).toBeNull();
      expect(await totp.has('john')).toBe(false);
      await totp.replace(credential());
      expect(await totp.has('john')).toBe(true);
      expect(await totp.find('john')).toEqual(credential());
      const next = credential({ algorithm: 'SHA512', digits: 8, period: 60, secret: Buffer.alloc(64, 7) });
      await totp.replace(next);
      expect(await totp.find('john')).toEqual(next);
      await totp.recordUse('john', now + 5);
      expect(await totp.find('john')).toEqual({ ...next, lastUsedAt: now + 5 });
      expect(await totp.insert(credential())).toBe(false);
      const rows = await place?.ask('select secret from sallyport_totp_credentials');
      expect(Buffer.from(rows?.[0]?.[0] as Uint8Array).includes(Buffer.alloc(64, 7))).toBe(false);
      expect(await totp.remove('john')).toBe(true);
      expect(await totp.remove('john')).toBe(false);
    });

    test('people whose names differ in case, accents or spaces only are different people', async () => {
      const totp = createTotpCredentials(await open());
      const names = ['john', 'John', 'jöhn', 'john ', 'jo', "john' or 1=1 --", '用户'];
      for (const username of names) {
        expect(await totp.insert(credential({ username, secret: Buffer.from(username) }))).toBe(true);
      }
      for (const username of names) {
        expect((await totp.find(username))?.secret).toEqual(Buffer.from(username));
      }
      const listed: string[] = [];
      for (let after: string | null = null; ;) {
        const page: readonly StoredTotpCredential[] = await totp.list(after, 3);
        listed.push(...page.map(({ username }) => username));
        after = page.at(-1)?.username ?? null;
        if (page.length < 3) break;
      }
      expect(listed.toSorted()).toEqual(names.toSorted());
    });

    test('a secret that was copied to another person does not open', async () => {
      const totp = createTotpCredentials(await open());
      await totp.replace(credential());
      await totp.replace(credential({ username: 'eve', secret: Buffer.from('hers') }));
      await place?.ask(
        `create table copied as select secret from sallyport_totp_credentials where username = 'john';
         update sallyport_totp_credentials set secret = (select secret from copied) where username = 'eve'`,
      );
      await expect(totp.find('eve')).rejects.toThrow('was altered, or belongs to another row');
    });

    test('of 50 uses of one step on two replicas exactly one is the first', async () => {
      const replicas = (await openTwo()).map(createTotpCredentials);
      const use = (step: number) => replicas.map((totp) => () => totp.recordStep('john', step));
      expect(await race(use(60_000_000), 25, true)).toBe(1);
      expect(await race(use(60_000_001), 1, true)).toBe(1);
      expect(await replicas[1]?.recordStep('john', 59_999_999), 'older than one that was used').toBe(false);
      expect(await replicas[0]?.recordStep('jane', 60_000_000)).toBe(true);
    });
  });

  test('recovery codes: each is used up once; a new set replaces the old one', async () => {
    const [first, second] = (await openTwo()).map(createRecoveryCodeRows);
    if (!first || !second) throw new Error('two were opened');
    const digests = [1, 2, 3].map((byte) => Buffer.alloc(32, byte));
    const [one = Buffer.alloc(0), two = Buffer.alloc(0)] = digests;
    expect(await first.find('john')).toBeNull();
    await first.replace('john', { salt: Buffer.alloc(16, 9), digests });
    expect(await second.find('john')).toEqual({ salt: Buffer.alloc(16, 9), digests });
    const use = [first, second].map((codes) => () => codes.consume('john', one));
    expect(await race(use, 25, true)).toBe(1);
    expect(await first.consume('jane', two)).toBe(false);
    expect((await second.find('john'))?.digests).toEqual(digests.slice(1));
    await Promise.all(
      [first, second].map((codes, byte) =>
        codes.replace('john', { salt: Buffer.alloc(16, byte), digests: [Buffer.alloc(32, 50 + byte)] }),
      ),
    );
    // One of both sets, never a mixture.
    const left = await first.find('john');
    expect(left?.digests).toEqual([Buffer.alloc(32, 50 + (left?.salt[0] ?? 0))]);
    expect(await first.remove('john')).toBe(true);
    expect(await first.find('john')).toBeNull();
  });

  test('preferences: null until something is chosen, then the last choice', async () => {
    const preferences = createPreferences(await open());
    expect(await preferences.findSecondFactorMethod('john')).toBeNull();
    for (const method of ['totp', 'webauthn', 'webauthn']) {
      await preferences.setSecondFactorMethod('john', method);
      expect(await preferences.findSecondFactorMethod('john')).toBe(method);
    }
    expect(await preferences.findSecondFactorMethod('jane')).toBeNull();
  });

  describe('one-time codes', () => {
    const owner = { username: 'john', purpose: 'elevation', sessionId: 'session-1' };
    const issue = {
      ...owner,
      id: 'id-1',
      code: 'ABCD2345',
      ip: '192.0.2.1',
      createdAt: now,
      expiresAt: now + 300_000,
      attempts: 5,
    };

    test('of 50 callers with the right code on two replicas exactly one has it accepted', async () => {
      const [a, b] = (await openTwo()).map(createOneTimeCodes);
      await a?.insert({ ...issue, attempts: 100 });
      const use = [a, b].map((codes) => async () => codes?.consume(owner, 'ABCD2345', now));
      expect(await race(use, 25, 'accepted')).toBe(1);
      expect(await a?.consume(owner, 'ABCD2345', now)).toBe('gone');
    });

    test('it is void after its tries, however many come at once', async () => {
      const [a, b] = (await openTwo()).map(createOneTimeCodes);
      await a?.insert(issue);
      const guess = [a, b].map((codes) => async () => codes?.consume(owner, 'WRONG234', now));
      expect(await race(guess, 20, 'wrong')).toBe(5);
      expect(await b?.consume(owner, 'ABCD2345', now)).toBe('gone');
    });

    test('it counts for its person, purpose and session, until it expires, is revoked or replaced', async () => {
      const codes = createOneTimeCodes(await open());
      await codes.insert(issue);
      for (const other of [{ username: 'jane' }, { purpose: 'other' }, { sessionId: 'session-2' }]) {
        expect(await codes.consume({ ...owner, ...other }, 'ABCD2345', now)).toBe('gone');
      }
      expect(await codes.consume(owner, 'ABCD2345', now + 300_000)).toBe('gone');
      const revoked = { username: 'john', sessionId: owner.sessionId, wasUsed: false };
      expect(await codes.revoke('id-1', now + 1)).toEqual(revoked);
      expect(await codes.revoke('id-1', now + 1)).toBeNull();
      expect(await codes.consume(owner, 'ABCD2345', now + 2)).toBe('gone');
      await codes.insert({ ...issue, id: 'id-2' });
      await codes.insert({ ...issue, id: 'id-3', code: 'NEWER234' });
      expect(await codes.consume(owner, 'ABCD2345', now)).toBe('wrong');
      expect(await codes.consume(owner, 'NEWER234', now)).toBe('accepted');
      expect(await codes.revoke('id-2', now)).toBeNull();
      expect(await codes.revoke('id-3', now)).toEqual({ ...revoked, wasUsed: true });
    });
  });

  test('reset links: one of 50 uses one up; an expired, revoked or unknown one is null', async () => {
    const [a, b] = (await openTwo()).map(createResetLinks);
    if (!a || !b) throw new Error('two were opened');
    const link = { id: 'link', username: 'john', ip: '2001:db8::1', createdAt: now, expiresAt: now + 1000 };
    await a.insert(link);
    expect(await b.find('link', now)).toEqual(link);
    const use = [a, b].map((links) => async () => (await links.consume('link', now)) !== null);
    expect(await race(use, 25, true)).toBe(1);
    expect(await a.find('link', now)).toBeNull();
    await a.insert({ ...link, id: 'late' });
    expect(await a.consume('late', now + 1000)).toBeNull();
    expect(await a.consume('unknown', now)).toBeNull();
    expect([await a.ownerOf('link'), await b.ownerOf('late'), await a.ownerOf('none')]).toEqual([
      'john',
      'john',
      null,
    ]);
    expect(await a.revokeAll('john', now)).toBe(1);
    expect(await b.consume('late', now)).toBeNull();
    expect(await b.ownerOf('late')).toBe('john');
    for (const id of ['x', 'y']) await a.insert({ ...link, id });
    await a.insert({ ...link, id: 'hers', username: 'jane' });
    expect(await b.revokeAll('john', now)).toBe(2);
    expect((await b.consume('hers', now))?.username).toBe('jane');
  });

  describe('throttle counters', () => {
    test('of 60 attempts at once on two replicas at most the allowed number sees a count within it', async () => {
      const [a, b] = (await openTwo()).map(createThrottleCounters);
      const counts = await Promise.all(
        Array.from({ length: 60 }, (_, index) =>
          (index % 2 === 0 ? a : b)?.count('user', 'john', now, 120_000),
        ),
      );
      const allowed = counts.filter((attempt) => (attempt?.count ?? 0) <= 3);
      expect(allowed.length).toBeLessThanOrEqual(3);
      expect(Math.max(...counts.map((attempt) => attempt?.count ?? 0))).toBe(60);
    });

    test('the window slides; a success forgets; what could not be checked is taken back', async () => {
      const counters = createThrottleCounters(await open());
      const count = async (at: number, subject = 'john', kind = 'user') =>
        (await counters.count(kind, subject, now + at, 1000)).count;
      expect([await count(0), await count(600), await count(999), await count(1000)]).toEqual([1, 2, 3, 3]);
      expect([await count(1001, 'jane'), await count(1001, 'john', 'ip')]).toEqual([1, 1]);
      await counters.takeBack(await counters.count('user', 'john', now + 1001, 1000));
      expect(await count(1002)).toBe(4);
      await counters.clear('user', 'john');
      expect(await count(1003)).toBe(1);
    });

    test('an attempt is under way until it has failed', async () => {
      const counters = createThrottleCounters(await open());
      const attempts = [
        await counters.count('totp', 'john', now, 1000),
        await counters.count('totp', 'john', now, 1000),
      ];
      expect(attempts.map(({ failed }) => failed)).toEqual([0, 0]);
      for (const attempt of attempts) await counters.fail(attempt);
      expect(await counters.count('totp', 'john', now + 1, 1000)).toMatchObject({ count: 3, failed: 2 });
      expect(await counters.count('totp', 'jane', now + 1, 1000)).toMatchObject({ count: 1, failed: 0 });
    });
  });

  describe('rate buckets', () => {
    const limit = { period: 10_000, requests: 5 };

    test('of 50 requests at once on two replicas as many pass as the bucket holds', async () => {
      const replicas = (await openTwo()).map(createRateBuckets);
      const take = replicas.map((buckets) => () => buckets.take('reset', '192.0.2.1', [limit], now));
      expect(await race(take, 25, null)).toBe(5);
    });

    test('a token comes back after each period; an answer says how long to wait', async () => {
      const buckets = createRateBuckets(await open());
      const take = (at: number, address = '192.0.2.1') => buckets.take('reset', address, [limit], now + at);
      for (let index = 0; index < 5; index++) expect(await take(0)).toBeNull();
      expect(await take(0)).toBe(10_000);
      expect(await take(4000)).toBe(6000);
      expect(await take(4000, '192.0.2.2')).toBeNull();
      expect(await take(10_000)).toBeNull();
      expect(await take(10_000)).toBe(10_000);
      expect(await take(1_000_000)).toBeNull();
      const wide = { period: 1000, requests: 100 };
      expect(await buckets.take('both', 'a', [wide, { period: 60_000, requests: 1 }], now)).toBeNull();
      expect(await buckets.take('both', 'a', [wide, { period: 60_000, requests: 1 }], now)).toBe(60_000);
    });
  });

  test('bans: in force until they expire or are revoked; the longest is found', async () => {
    const bans = createBans(await open());
    const ban = {
      kind: 'user',
      subject: 'john',
      createdAt: now,
      expiresAt: now + 1000,
      source: 'regulation',
      reason: null,
    } as const;
    const john = { kind: 'user', subject: 'john' } as const;
    const address = { kind: 'ip', subject: '192.0.2.1' } as const;
    expect(await bans.findInForce([john, address], now)).toBeNull();
    expect(await bans.findInForce([], now)).toBeNull();
    const short = await bans.insert(ban);
    const long = await bans.insert({
      ...ban,
      ...address,
      expiresAt: null,
      source: 'cli',
      reason: 'too curious',
    });
    expect(await bans.findInForce([john], now)).toEqual({ ...ban, id: short, revokedAt: null });
    expect((await bans.findInForce([john, address], now))?.id).toBe(long);
    expect(await bans.findInForce([john], now + 1000)).toBeNull();
    expect(await bans.findInForce([{ kind: 'ip', subject: 'john' }], now)).toBeNull();
    expect(await bans.revoke('user', long, now)).toBe(false);
    expect(await bans.revoke('ip', long, now + 1)).toBe(true);
    expect(await bans.revoke('ip', long, now + 2)).toBe(false);
    expect(await bans.findInForce([address], now)).toBeNull();
    expect((await bans.list('ip', { limit: 10 })).map(({ revokedAt }) => revokedAt)).toEqual([now + 1]);
    expect(await bans.list('user', { limit: 10, inForceAt: now + 1000 })).toEqual([]);
    expect(await bans.revokeAll(john, now)).toBe(1);
    expect(await bans.findInForce([john], now)).toBeNull();
  });

  test('what cannot stand in a key is found nowhere, and is no fault', async () => {
    const storage = await open();
    for (const text of ['a\0b', 'x'.repeat(100_000), "'; drop table sallyport_bans; --", '\uD800']) {
      expect(await createBans(storage).findInForce([{ kind: 'user', subject: text }], now)).toBeNull();
      expect(await createOneTimeCodes(storage).revoke(text, now)).toBeNull();
      expect(await createResetLinks(storage).find(text, now)).toBeNull();
      expect(await createResetLinks(storage).consume(text, now)).toBeNull();
      expect(await createResetLinks(storage).ownerOf(text)).toBeNull();
      expect((await createThrottleCounters(storage).count('user', text, now, 1000)).count).toBe(1);
    }
  });

  describe('mail queue', () => {
    const mail = (id: string, nextAttempt = now) => ({
      id,
      payload: `to ${id}: código ✓`,
      nextAttempt,
      expiresAt: now + 900_000,
    });

    test('each message is claimed by one of two replicas, and by nobody else while the lease holds', async () => {
      const [a, b] = (await openTwo()).map(createMailQueue);
      if (!a || !b) throw new Error('two were opened');
      for (let index = 0; index < 20; index++) expect(await a.insert(mail(`m${index}`), 100)).toBe(true);
      const claims = await Promise.all(
        Array.from({ length: 10 }, (_, index) =>
          (index % 2 === 0 ? a : b).claim({ token: `t${index}`, until: now + 1000 }, now, 5),
        ),
      );
      const taken = claims.flat().map(({ id }) => id);
      expect(new Set(taken).size).toBe(taken.length);
      for (let round = 0; taken.length < 20 && round < 20; round++) {
        taken.push(
          ...(await b.claim({ token: `more${round}`, until: now + 1000 }, now, 5)).map(({ id }) => id),
        );
      }
      expect(taken.toSorted()).toEqual(Array.from({ length: 20 }, (_, index) => `m${index}`).toSorted());
      expect(await b.claim({ token: 'late', until: now + 2000 }, now + 999, 50)).toEqual([]);
      expect(await b.claim({ token: 'after', until: now + 2000 }, now + 1000, 50)).toHaveLength(20);
    });

    test('a message is bounded, leased, postponed and deleted only under its own token', async () => {
      const queue = createMailQueue(await open());
      expect(await queue.insert(mail('one', now + 10), 2)).toBe(true);
      expect(await queue.insert(mail('two'), 2, { token: 'mine', until: now + 1000 })).toBe(true);
      expect(await queue.insert(mail('three'), 2)).toBe(false);
      expect(await queue.claim({ token: 'x', until: now + 1000 }, now, 9)).toEqual([]);
      expect(await queue.postpone('two', 'x', now)).toBe(false);
      expect(await queue.postpone('two', 'mine', now + 5)).toBe(true);
      const claimed = await queue.claim({ token: 'y', until: now + 1000 }, now + 10, 9);
      expect(claimed).toEqual([
        { id: 'two', payload: 'to two: código ✓', expiresAt: now + 900_000, attempts: 2 },
        { id: 'one', payload: 'to one: código ✓', expiresAt: now + 900_000, attempts: 1 },
      ]);
      expect(await queue.delete('one', 'x')).toBe(false);
      expect(await queue.delete('one', 'y')).toBe(true);
      expect(await queue.delete('one', 'y')).toBe(false);
      const rows = await place?.ask('select payload from sallyport_mail_queue');
      expect(Buffer.from(rows?.[0]?.[0] as Uint8Array).includes('to two')).toBe(false);
      expect(await queue.insert({ ...mail('big'), payload: 'ä'.repeat(500_000) }, 9)).toBe(true);
    });
  });

  test('known devices: the first, a new one, one that is known', async () => {
    const [a, b] = (await openTwo()).map(createKnownDevices);
    expect(await a?.see('john', 'firefox 192.0.2.0/24', now)).toBe('first');
    expect(await b?.see('john', 'firefox 192.0.2.0/24', now + 1)).toBe('known');
    expect(await b?.see('john', 'chrome 192.0.2.0/24', now + 2)).toBe('new');
    expect(await a?.see('jane', 'chrome 192.0.2.0/24', now + 2)).toBe('first');
    expect(
      await race(
        [a, b].map((devices) => async () => devices?.see('john', 'third', now)),
        10,
        'new',
      ),
    ).toBe(1);
  });

  test('attempt log and audit log: added, filtered, the newest first', async () => {
    const storage = await open();
    const [attempts, audit] = [createAttemptLog(storage), createAuditLog(storage)];
    const attempt = {
      at: now,
      username: 'john',
      ip: '192.0.2.1',
      kind: '1FA',
      outcome: 'failure',
      method: 'POST',
      url: 'https://a.example.com/',
    } as const;
    await attempts.insert(attempt);
    await attempts.insert({ ...attempt, at: now + 1, username: '', url: 'u'.repeat(5000) });
    expect(await attempts.list({ username: 'john', limit: 5 })).toEqual([attempt]);
    const both = await attempts.list({ ip: '192.0.2.1', since: now, limit: 5 });
    expect(both.map(({ at, url }) => [at, url.length])).toEqual([
      [now + 1, 1000],
      [now, attempt.url.length],
    ]);
    const record = {
      at: now,
      event: 'login.failed',
      username: 'john',
      ip: null,
      details: { kind: '1FA', tries: 3, ok: false, note: null },
    };
    await audit.insert(record);
    await audit.insert({ ...record, at: now + 1, username: null, event: 'reload' });
    const [newest, oldest] = await audit.list({ limit: 5 });
    expect(newest).toMatchObject({ event: 'reload', username: null });
    expect(oldest).toMatchObject(record);
    expect(await audit.list({ username: 'john', since: now + 1, limit: 5 })).toEqual([]);
    expect(await audit.list({ before: newest?.id ?? 0, limit: 5 })).toEqual([oldest]);
    expect(await audit.list({ event: 'login.failed', limit: 1 })).toEqual([oldest]);
    await audit.insertAll([]);
    await audit.insertAll(['a', 'b', 'c'].map((event) => ({ ...record, event, username: 'mary' })));
    const several = await audit.list({ username: 'mary', limit: 5 });
    expect(several.map(({ event }) => event)).toEqual(['c', 'b', 'a']);
    expect(several[0]?.details).toEqual(record.details);
    const refused = audit.insertAll([record, { ...record, event: 'x'.repeat(10_000), username: 'mary' }]);
    await refused.catch(() => undefined);
    const rows = await audit.list({ username: 'mary', limit: 10 });
    expect(rows.length - several.length).toBe(
      await refused.then(
        () => 1,
        () => 0,
      ),
    );
  });

  test('leases: one owner at a time, who may prolong it; after its end anybody', async () => {
    const replicas = (await openTwo()).map(createLeases);
    const [a, b] = replicas;
    const owners = replicas.flatMap((leases, replica) =>
      Array.from(
        { length: 10 },
        (_, index) => () => leases.take('sweep', `${replica} ${index}`, now, now + 1000),
      ),
    );
    expect(await race(owners, 1, true)).toBe(1);
    expect(await a?.take('other', 'x', now, now + 1000)).toBe(true);
    expect(await b?.take('other', 'y', now + 999, now + 3000)).toBe(false);
    expect(await a?.take('other', 'x', now + 999, now + 2000)).toBe(true);
    expect(await b?.take('other', 'y', now + 1999, now + 3000)).toBe(false);
    expect(await b?.take('other', 'y', now + 2000, now + 3000)).toBe(true);
    await a?.release('other', 'x');
    expect(await a?.take('other', 'x', now + 2001, now + 3000)).toBe(false);
    await b?.release('other', 'y');
    expect(await a?.take('other', 'x', now + 2001, now + 3000)).toBe(true);
  });

  describe('the database', () => {
    test('a transaction happens as a whole or not at all', async () => {
      const { database } = await open();
      const row = { name: 'a', owner: 'x', held_until: 1 };
      await expect(
        database.transaction(async (sql) => {
          await sql.insertInto('sallyport_leases').values(row).execute();
          await sql.insertInto('sallyport_leases').values(row).execute();
        }),
      ).rejects.toThrow();
      expect(await place?.ask('select * from sallyport_leases')).toEqual([]);
      const answer = await database.transaction(async (sql) => {
        await sql.insertInto('sallyport_leases').values(row).execute();
        return sql.selectFrom('sallyport_leases').selectAll().execute();
      });
      expect(answer).toEqual([row]);
      await database.ping();
    });

    test('what it cannot answer is StorageUnavailable within its deadline, and it comes back by itself', async () => {
      const storage = await open();
      const consume = createConsumeOnce(storage);
      expect(await consume('p', '1', now)).toBe(true);
      await place?.cutOff();
      const begin = performance.now();
      const write = () => consume('p', '2', now);
      for (const run of [write, name === 'local' ? write : () => storage.database.ping()]) {
        const failure = await run().catch((error: unknown) => error);
        expect(failure).toBeInstanceOf(StorageUnavailable);
        expect(String(failure)).not.toMatch(/insert|sallyport_used_once|password/i);
      }
      expect(performance.now() - begin).toBeLessThan(4500);
      await place?.heal();
      await expect
        .poll(() => consume('p', '3', now).catch(() => null), { timeout: 5000, interval: 50 })
        .toBe(true);
    });

    test('it opens while the database is out of reach, and prepares it later', async () => {
      place = await harness.create();
      await place.cutOff();
      const storage = await open();
      await expect(storage.database.ping()).rejects.toBeInstanceOf(StorageUnavailable);
      await place.heal();
      await expect
        .poll(
          () =>
            storage.database.ping().then(
              () => true,
              () => false,
            ),
          { timeout: 5000, interval: 50 },
        )
        .toBe(true);
      expect(await createConsumeOnce(storage)('p', '1', now)).toBe(true);
    });

    test('closing twice is closing once; afterwards everything is refused', async () => {
      const { database } = await open();
      await database.close();
      await database.close();
      await expect(database.ping()).rejects.toThrow();
    });
  });
});
