import { describe, expect, test } from 'vitest';

import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import type { Lifetimes } from '../../../src/sessions/lifetime.ts';
import { createSealer, type Sealer } from '../../../src/sessions/seal.ts';
import { openSessions, type Session, type Sessions } from '../../../src/sessions/sessions.ts';
import {
  type SessionStore,
  type StoredSession,
  StoreUnavailable,
  type Touch,
} from '../../../src/sessions/store.ts';
import { storeKeyOf } from '../../../src/sessions/token.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

interface Payload {
  readonly note: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const DOMAIN = 'example.com';
const usual: Lifetimes = { expiration: HOUR, inactivity: 5 * MINUTE, rememberMe: 30 * DAY };

/** Sessions over a memory store whose calls are counted and whose records can be altered. */
function setUp(
  options: {
    readonly asynchronous?: boolean;
    /** As a store in another process, which compares what is known. */
    readonly isRemote?: boolean;
    readonly remembersVerified?: boolean;
    readonly secrets?: readonly [string, ...string[]];
  } = {},
) {
  const clock = fakeClock();
  const random = seededRandom('sessions');
  const memory = openMemoryStore({}, { clock });
  const writes: string[] = [];
  const reads: string[] = [];
  const touches: Touch[] = [];
  const opened: string[] = [];
  const ended: { publicId: string; userId: string; reason: string }[] = [];
  const broken: string[] = [];
  const lifetimes = new Map<string, Lifetimes>([[DOMAIN, usual]]);
  let failing: Error | null = null;
  let held: Promise<void> | null = null;
  let alter: (session: StoredSession) => StoredSession = (session) => session;
  const writing = (name: string): void => {
    if (failing) throw failing;
    writes.push(name);
  };

  const store: SessionStore = {
    ...memory,
    ...(options.isRemote && {
      async stillHolds(known) {
        if (failing) throw failing;
        reads.push('stillHolds');
        const answer = known.map(({ key, sealed }) => {
          const [now] = memory.findMany([key]) as readonly (StoredSession | null)[];
          return now?.sealed.equals(sealed) ?? false;
        });
        await held;
        return answer;
      },
    }),
    findMany(keys) {
      if (failing) throw failing;
      reads.push('findMany');
      const found = (memory.findMany(keys) as readonly (StoredSession | null)[]).map(
        (one) => one && alter(one),
      );
      return options.asynchronous ? Promise.resolve(found) : found;
    },
    insert(session) {
      writing('insert');
      return memory.insert(session);
    },
    replace(...args) {
      writing('replace');
      return memory.replace(...args);
    },
    touchMany(list) {
      writing('touchMany');
      touches.push(...list);
      return memory.touchMany(list);
    },
    delete(key) {
      writing('delete');
      return memory.delete(key);
    },
  };

  const open = (secrets: readonly [string, ...string[]]): Sessions<Payload> => {
    const sealer = createSealer('gateway', secrets, { random });
    const counting: Sealer = {
      ...sealer,
      open(key, sealed) {
        opened.push(key);
        return sealer.open(key, sealed);
      },
    };
    return openSessions<Payload>({
      timers: fakeTimers(),
      store,
      isRemote: options.isRemote ?? false,
      remembersVerified: options.remembersVerified ?? false,
      sealer: counting,
      clock,
      random,
      lifetimesOf: (domain) => lifetimes.get(domain) ?? null,
      onEnd: (end) => ended.push(end),
      onBrokenRecord: (key) => broken.push(key),
    });
  };
  const sessions = open(options.secrets ?? ['secret one']);
  const begin = (over: { userId?: string; remembered?: boolean } = {}) =>
    sessions.begin({
      userId: 'john',
      cookieDomain: DOMAIN,
      remembered: false,
      payload: { note: 'first' },
      ...over,
    });

  return {
    clock,
    memory,
    sessions,
    writes,
    reads,
    touches,
    opened,
    ended,
    broken,
    lifetimes,
    begin,
    open,
    fail: (error: Error | null) => {
      failing = error;
    },
    /** Answers are on their way until the function that this answers is called. */
    holdAnswers: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      held = promise;
      return resolve;
    },
    alter: (change: typeof alter) => {
      alter = change;
    },
  };
}

describe('begin and find', () => {
  test('a session is found by its token and by nothing else', async () => {
    const { sessions, begin, clock } = setUp();
    const { token, session } = await begin();
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(session).toMatchObject({
      key: storeKeyOf(token),
      version: 1,
      userId: 'john',
      cookieDomain: DOMAIN,
      remembered: false,
      createdAt: clock.now(),
      expiresAt: clock.now() + HOUR,
      lastActivity: clock.now(),
      payload: { note: 'first' },
    });
    expect(await sessions.find(token, DOMAIN)).toEqual(session);
    for (const other of [
      '',
      session.key,
      session.publicId,
      `${token} `,
      token.slice(1),
      `"${token}"`,
      token.toLowerCase(),
    ]) {
      expect(await sessions.find(other, DOMAIN), other).toBeNull();
    }
  });

  test('the record holds neither the token nor the payload in the open', async () => {
    const { memory, begin } = setUp();
    const { token, session } = await begin();
    const [stored] = (await memory.findMany([session.key])) as [StoredSession];
    expect(JSON.stringify({ ...stored, sealed: stored.sealed.toString('latin1') })).not.toMatch(
      new RegExp(`${token}|first`),
    );
  });

  test('two sessions of one person have nothing in common', async () => {
    const { begin } = setUp();
    const [a, b] = [await begin(), await begin()];
    expect(a.token).not.toBe(b.token);
    expect(a.session.publicId).not.toBe(b.session.publicId);
  });

  test('a session counts for its own cookie domain only', async () => {
    const { sessions, begin, lifetimes } = setUp();
    lifetimes.set('example.org', usual);
    const { token } = await begin();
    expect(await sessions.find(token, 'example.org')).toBeNull();
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
  });

  test('a cookie domain that is not configured any more ends nothing but counts no more', async () => {
    const { sessions, begin, lifetimes } = setUp();
    const { token } = await begin();
    lifetimes.delete(DOMAIN);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
    await expect(begin()).rejects.toThrow(/cookie domain/);
    lifetimes.set(DOMAIN, usual);
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
  });

  test('finding never writes', async () => {
    const { sessions, begin, writes, clock, broken, alter } = setUp();
    const { token } = await begin();
    writes.length = 0;
    await sessions.find(token, DOMAIN);
    await sessions.find('A'.repeat(43), DOMAIN);
    clock.advance(2 * HOUR);
    await sessions.find(token, DOMAIN);
    alter((stored) => ({ ...stored, userId: 'harry' }));
    await sessions.find(token, DOMAIN);
    expect(broken).toHaveLength(1);
    expect(writes).toEqual([]);
  });

  test('what is no token does not reach the store', async () => {
    const { sessions, fail } = setUp();
    fail(new StoreUnavailable('down'));
    expect(await sessions.find('garbage', DOMAIN)).toBeNull();
    expect(() => sessions.find('A'.repeat(43), DOMAIN)).toThrow(StoreUnavailable);
  });

  test('a promise only where the store makes one', async () => {
    const now = setUp();
    const { token } = await now.begin();
    expect(now.sessions.find(token, DOMAIN)).not.toBeInstanceOf(Promise);
    const later = setUp({ asynchronous: true });
    const second = await later.begin();
    const found = later.sessions.find(second.token, DOMAIN);
    expect(found).toBeInstanceOf(Promise);
    expect(await found).toEqual(second.session);
  });

  test('a store that refuses a new session is unavailable: nobody is let in without one', async () => {
    const { begin, fail } = setUp();
    fail(new StoreUnavailable('down'));
    await expect(begin()).rejects.toThrow(StoreUnavailable);
  });
});

describe('lifetimes', () => {
  test('inactivity ends it to the millisecond; activity slides', async () => {
    const { sessions, begin, clock } = setUp();
    const { token } = await begin();
    clock.advance(5 * MINUTE);
    const session = (await sessions.find(token, DOMAIN)) as Session<Payload>;
    expect(session).not.toBeNull();
    sessions.noteActivity(session);
    await sessions.tend();
    clock.advance(5 * MINUTE);
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    clock.advance(1);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });

  test('expiration ends it however active', async () => {
    const { sessions, begin, clock } = setUp();
    const { token } = await begin();
    for (let i = 1; i < 60; i++) {
      clock.advance(MINUTE);
      const session = await sessions.find(token, DOMAIN);
      expect(session, `minute ${i}`).not.toBeNull();
      if (session) sessions.noteActivity(session);
    }
    clock.advance(MINUTE - 1);
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    clock.advance(1);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });

  test('an update prolongs nothing', async () => {
    const { sessions, begin, clock } = setUp();
    const { token, session } = await begin();
    clock.advance(4 * MINUTE);
    const next = await sessions.update(session, { note: 'second' });
    expect(next).toMatchObject({ createdAt: session.createdAt, expiresAt: session.expiresAt });
    clock.advance(MINUTE + 1);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });

  test('remembered: without activity to the end of remember_me', async () => {
    const { sessions, begin, clock } = setUp();
    const { token, session } = await begin({ remembered: true });
    expect(session.expiresAt).toBe(clock.now() + 30 * DAY);
    clock.advance(30 * DAY - 1);
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    clock.advance(1);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });

  test('shortened or switched off later holds at once', async () => {
    const { sessions, begin, clock, lifetimes } = setUp();
    const { token } = await begin({ remembered: true });
    clock.advance(DAY);
    lifetimes.set(DOMAIN, { ...usual, rememberMe: DAY + 1 });
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    lifetimes.set(DOMAIN, { ...usual, rememberMe: DAY });
    expect(await sessions.find(token, DOMAIN)).toBeNull();
    lifetimes.set(DOMAIN, { ...usual, rememberMe: -1 });
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });
});

describe('activity', () => {
  test('is coalesced: one touch for many requests, none within a second of what is known', async () => {
    const { sessions, begin, clock, touches, writes } = setUp();
    const { token, session } = await begin();
    const noted = async (): Promise<void> => {
      const found = await sessions.find(token, DOMAIN);
      if (found) sessions.noteActivity(found);
    };
    clock.advance(999);
    await noted();
    await sessions.tend();
    expect(touches).toEqual([]);
    for (let i = 0; i < 500; i++) {
      clock.advance(10);
      await noted();
    }
    expect(writes).toEqual(['insert']);
    await sessions.tend();
    expect(touches).toHaveLength(1);
    expect(touches[0]?.key).toBe(session.key);
    expect(clock.now() - (touches[0]?.at ?? 0)).toBeLessThan(1000);
    await sessions.tend();
    expect(touches).toHaveLength(1);
  });

  test('counts in this process before it is written', async () => {
    const { sessions, begin, clock } = setUp();
    const { token, session } = await begin();
    clock.advance(4 * MINUTE);
    sessions.noteActivity(session);
    clock.advance(4 * MINUTE);
    expect(await sessions.find(token, DOMAIN)).toMatchObject({ lastActivity: clock.now() - 4 * MINUTE });
  });

  test('never undoes a logout, whether noted before or after', async () => {
    const { sessions, begin, clock, memory } = setUp();
    const { token, session } = await begin();
    clock.advance(2000);
    sessions.noteActivity(session);
    await sessions.end(session, 'logout');
    sessions.noteActivity(session);
    await sessions.tend();
    expect(await sessions.find(token, DOMAIN)).toBeNull();
    expect(await memory.findMany([session.key])).toEqual([null]);
  });

  test('what could not be written is written later', async () => {
    const { sessions, begin, clock, fail, touches } = setUp();
    const { token, session } = await begin();
    clock.advance(2000);
    sessions.noteActivity(session);
    fail(new StoreUnavailable('down'));
    await expect(sessions.tend()).rejects.toThrow(StoreUnavailable);
    fail(null);
    clock.advance(4 * MINUTE);
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    await sessions.tend();
    expect(touches).toEqual([{ key: session.key, at: clock.now() - 4 * MINUTE }]);
  });

  test('a store that believes its own column is believed about lastActivity alone', async () => {
    const { sessions, begin, clock, alter, broken } = setUp();
    const { token } = await begin();
    clock.advance(20 * MINUTE);
    alter((stored) => ({ ...stored, lastActivity: clock.now() }));
    expect(await sessions.find(token, DOMAIN)).toMatchObject({ lastActivity: clock.now() });
    expect(broken).toEqual([]);
    clock.advance(HOUR);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });
});

describe('update', () => {
  test('changes the payload and nothing else', async () => {
    const { sessions, begin } = setUp();
    const { token, session } = await begin();
    const next = await sessions.update(session, { note: 'second' });
    expect(next).toEqual({ ...session, version: 2, payload: { note: 'second' } });
    expect(await sessions.find(token, DOMAIN)).toEqual(next);
  });

  test('of two writers one succeeds, and the other is told', async () => {
    const { sessions, begin } = setUp();
    const { token, session } = await begin();
    const results = await Promise.all([
      sessions.update(session, { note: 'mine' }),
      sessions.update(session, { note: 'yours' }),
    ]);
    expect(results.filter((result) => result !== null)).toHaveLength(1);
    const winner = results.find((result) => result !== null);
    expect(await sessions.find(token, DOMAIN)).toEqual(winner);
    expect(await sessions.update(session, { note: 'late' })).toBeNull();
  });

  test('never brings an ended session back', async () => {
    const { sessions, begin } = setUp();
    const { token, session } = await begin();
    await sessions.end(session, 'logout');
    expect(await sessions.update(session, { note: 'second' })).toBeNull();
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });
});

describe('end', () => {
  test('holds for the very next find and is told once', async () => {
    const { sessions, begin, ended } = setUp();
    const { token, session } = await begin();
    await sessions.find(token, DOMAIN);
    expect(await sessions.end(session, 'logout')).toBe(true);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
    expect(await sessions.end(session, 'logout')).toBe(false);
    expect(ended).toEqual([{ publicId: session.publicId, userId: 'john', reason: 'logout' }]);
  });

  test('of several at once exactly one ends it', async () => {
    const { sessions, begin, ended } = setUp();
    const { session } = await begin();
    const results = await Promise.all(Array.from({ length: 10 }, () => sessions.end(session, 'logout')));
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(ended).toHaveLength(1);
  });

  test('a session that somebody else ended in the store is gone for the next find', async () => {
    const { sessions, begin, memory } = setUp();
    const { token, session } = await begin();
    await sessions.find(token, DOMAIN);
    await memory.delete(session.key);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });

  test('a store that fails ends nothing and says so', async () => {
    const { sessions, begin, fail, ended } = setUp();
    const { token, session } = await begin();
    fail(new StoreUnavailable('down'));
    await expect(sessions.end(session, 'logout')).rejects.toThrow(StoreUnavailable);
    expect(ended).toEqual([]);
    fail(null);
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
  });

  test('all of a user but one', async () => {
    const { sessions, begin, ended } = setUp();
    const [a, b, c, other] = [await begin(), await begin(), await begin(), await begin({ userId: 'harry' })];
    expect(await sessions.endAllOf('john', 'user-gone', b.session.publicId)).toBe(2);
    expect(await sessions.find(a.token, DOMAIN)).toBeNull();
    expect(await sessions.find(c.token, DOMAIN)).toBeNull();
    expect(await sessions.find(b.token, DOMAIN)).not.toBeNull();
    expect(await sessions.find(other.token, DOMAIN)).not.toBeNull();
    expect(ended.map(({ publicId }) => publicId).sort()).toEqual(
      [a.session.publicId, c.session.publicId].sort(),
    );
    expect(ended.every(({ reason, userId }) => reason === 'user-gone' && userId === 'john')).toBe(true);
    expect(await sessions.endAllOf('john', 'user-gone')).toBe(1);
  });
});

describe('records that are not as they were written', () => {
  const columns: readonly [column: keyof StoredSession, value: StoredSession[keyof StoredSession]][] = [
    ['userId', 'admin'],
    ['sid', 'a session of somebody else'],
    ['publicId', 'another'],
    ['version', 7],
    ['createdAt', 1_900_000_000_000],
    ['expiresAt', 1_900_000_000_000],
  ];
  test.each(columns)(
    'a column %s that differs is a broken record, seen before or not',
    async (column, value) => {
      const { sessions, begin, alter, broken } = setUp();
      const { token, session } = await begin();
      alter((stored) => ({ ...stored, [column]: value }));
      expect(await sessions.find(token, DOMAIN)).toBeNull();
      expect(broken).toEqual([session.key]);
      alter((stored) => stored);
      expect(await sessions.find(token, DOMAIN)).not.toBeNull();
      alter((stored) => ({ ...stored, [column]: value }));
      expect(await sessions.find(token, DOMAIN)).toBeNull();
      expect(broken).toEqual([session.key, session.key]);
    },
  );

  test('an altered, torn or foreign seal is anonymous and told, and the record stays', async () => {
    const { sessions, begin, alter, broken, memory } = setUp();
    const { token, session } = await begin();
    const other = await begin({ userId: 'harry' });
    const [foreign] = (await memory.findMany([other.session.key])) as [StoredSession];
    for (const change of [
      (sealed: Buffer) => sealed.subarray(0, -1),
      () => Buffer.alloc(0),
      () => foreign.sealed,
      (sealed: Buffer) => Buffer.concat([sealed.subarray(0, -1), Buffer.of((sealed.at(-1) ?? 0) ^ 1)]),
    ]) {
      alter((stored) => ({ ...stored, sealed: change(stored.sealed) }));
      expect(await sessions.find(token, DOMAIN)).toBeNull();
    }
    expect(broken).toEqual(Array(4).fill(session.key));
    alter((stored) => stored);
    expect(await sessions.find(token, DOMAIN)).toEqual(session);
  });

  test('the whole record of another session under this key is broken', async () => {
    const { sessions, begin, alter, broken, memory } = setUp();
    const mine = await begin();
    const admin = await begin({ userId: 'admin' });
    const [foreign] = (await memory.findMany([admin.session.key])) as [StoredSession];
    alter((stored) => (stored.key === mine.session.key ? { ...foreign, key: stored.key } : stored));
    expect(await sessions.find(mine.token, DOMAIN)).toBeNull();
    expect(broken).toEqual([mine.session.key]);
  });

  test('sealed with a secret that is not configured: unavailable, record untouched', async () => {
    const { sessions, begin, open, broken, writes, memory } = setUp();
    const { token, session } = await begin();
    const before = await memory.findMany([session.key]);
    writes.length = 0;
    const elsewhere = open(['secret two']);
    expect(() => elsewhere.find(token, DOMAIN)).toThrow(StoreUnavailable);
    expect(writes).toEqual([]);
    expect(broken).toEqual([]);
    expect(await memory.findMany([session.key])).toEqual(before);
    expect(await sessions.find(token, DOMAIN)).toEqual(session);
  });

  test('a rotated secret: old sessions go on, and are sealed anew when they change', async () => {
    const { begin, open } = setUp();
    const { token, session } = await begin();
    const rotated = open(['secret two', 'secret one']);
    expect(await rotated.find(token, DOMAIN)).toEqual(session);
    await rotated.update(session, { note: 'second' });
    const afterwards = open(['secret two']);
    expect(await afterwards.find(token, DOMAIN)).toMatchObject({ payload: { note: 'second' } });
  });
});

describe('a store that compares what is known', () => {
  test('is asked each time, and for the record itself only when it is another one', async () => {
    const { sessions, begin, reads, opened } = setUp({ isRemote: true });
    const { token, session } = await begin();
    for (let i = 0; i < 3; i++)
      expect(await sessions.find(token, DOMAIN)).toMatchObject({ payload: { note: 'first' } });
    expect(reads.splice(0)).toEqual(['findMany', 'stillHolds', 'stillHolds']);
    await sessions.update(session, { note: 'second' });
    for (let i = 0; i < 2; i++)
      expect(await sessions.find(token, DOMAIN)).toMatchObject({ payload: { note: 'second' } });
    expect(reads).toEqual(['stillHolds', 'findMany', 'stillHolds']);
    expect(opened).toHaveLength(2);
  });

  test('ends a session for the very next request, whoever has ended it', async () => {
    const { sessions, begin, memory } = setUp({ isRemote: true });
    const [mine, other] = [await begin(), await begin()];
    for (const { token } of [mine, other]) expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    await sessions.end(mine.session, 'logout');
    // By another process.
    await memory.delete(other.session.key);
    for (const { token } of [mine, other]) expect(await sessions.find(token, DOMAIN)).toBeNull();
  });

  test('an old token names nothing after a rise, the new one the session', async () => {
    const { sessions, begin } = setUp({ isRemote: true });
    const { token, session } = await begin();
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    const risen = await sessions.rise(session, { note: 'risen' });
    expect(await sessions.find(token, DOMAIN)).toBeNull();
    expect(await sessions.find(risen?.token ?? '', DOMAIN)).toMatchObject({ payload: { note: 'risen' } });
  });

  test('lifetimes hold as with any other', async () => {
    const { sessions, begin, clock } = setUp({ isRemote: true });
    const { token, session } = await begin();
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    expect(await sessions.find(token, 'example.org')).toBeNull();
    clock.advance(4 * MINUTE);
    sessions.noteActivity(session);
    clock.advance(4 * MINUTE);
    expect(await sessions.find(token, DOMAIN)).toMatchObject({ lastActivity: clock.now() - 4 * MINUTE });
    clock.advance(2 * MINUTE);
    expect(await sessions.find(token, DOMAIN)).toBeNull();
  });

  test('what ends while the store is being asked is not remembered for when it is down', async () => {
    const ends: ((
      it: ReturnType<typeof setUp>,
      begun: { token: string; session: Session<Payload> },
    ) => unknown)[] = [
      ({ sessions }, { session }) => sessions.end(session, 'logout'),
      ({ sessions }, { session }) => sessions.rise(session, { note: 'risen' }),
      ({ sessions }) => sessions.endAllOf('john', 'revoked'),
      ({ sessions }, { token }) => sessions.forgetVerified(token),
    ];
    for (const end of ends) {
      const it = setUp({ isRemote: true, remembersVerified: true });
      const begun = await it.begin();
      await it.sessions.find(begun.token, DOMAIN);
      expect(it.sessions.lastVerified(begun.token, DOMAIN, HOUR)).not.toBeNull();
      const release = it.holdAnswers();
      const found = it.sessions.find(begun.token, DOMAIN);
      await new Promise((resolve) => void setImmediate(resolve));
      await end(it, begun);
      release();
      expect(await found).not.toBeNull();
      expect(it.sessions.lastVerified(begun.token, DOMAIN, HOUR), String(end)).toBeNull();
    }
  });

  test('activity that is not written yet counts, whatever became of what was opened', async () => {
    const { sessions, begin, clock } = setUp({ isRemote: true });
    const { token } = await begin();
    for (let i = 0; i < 4; i++) {
      const found = await sessions.find(token, DOMAIN);
      if (!found) throw new Error('it is gone');
      clock.advance(4 * MINUTE);
      sessions.noteActivity(found);
      // Opens the record anew.
      await sessions.listOf('john');
    }
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
  });

  test('that does not answer is an outage, not the end of a session', async () => {
    const { sessions, begin, fail } = setUp({ isRemote: true });
    const { token } = await begin();
    await sessions.find(token, DOMAIN);
    fail(new StoreUnavailable('down'));
    await expect(sessions.find(token, DOMAIN)).rejects.toThrow(StoreUnavailable);
    fail(null);
    expect(await sessions.find(token, DOMAIN)).not.toBeNull();
  });
});

describe('opened records', () => {
  test('an unchanged record is opened once; a changed one again', async () => {
    const { sessions, begin, opened } = setUp();
    const { token, session } = await begin();
    for (let i = 0; i < 10; i++) await sessions.find(token, DOMAIN);
    expect(opened).toEqual([session.key]);
    await sessions.update(session, { note: 'second' });
    for (let i = 0; i < 10; i++) await sessions.find(token, DOMAIN);
    expect(opened).toEqual([session.key, session.key]);
  });

  test('equal bytes in another buffer count as unchanged', async () => {
    const { sessions, begin, opened, alter } = setUp();
    const { token } = await begin();
    alter((stored) => ({ ...stored, sealed: Buffer.from(stored.sealed) }));
    for (let i = 0; i < 10; i++) expect(await sessions.find(token, DOMAIN)).not.toBeNull();
    expect(opened).toHaveLength(1);
  });

  test('only so many are kept: the oldest is opened again', async () => {
    const { sessions, begin, opened } = setUp();
    const first = await begin();
    await sessions.find(first.token, DOMAIN);
    let last = first;
    for (let i = 0; i < 20_000; i++) {
      last = await begin();
      await sessions.find(last.token, DOMAIN);
    }
    opened.length = 0;
    await sessions.find(last.token, DOMAIN);
    expect(opened).toEqual([]);
    await sessions.find(first.token, DOMAIN);
    expect(opened).toEqual([first.session.key]);
  });
});

test('tend removes what has expired and leaves the rest', async () => {
  const { sessions, begin, clock, memory } = setUp();
  const short = await begin();
  const long = await begin({ remembered: true });
  clock.advance(HOUR + 1);
  await sessions.tend();
  expect(await memory.findMany([short.session.key, long.session.key])).toMatchObject([
    null,
    { key: long.session.key },
  ]);
});

test('after close every operation is unavailable', async () => {
  const { sessions, begin } = setUp();
  const { token, session } = await begin();
  await sessions.close();
  const gone = expect.objectContaining({ name: 'StoreUnavailable' }) as Error;
  await expect((async () => sessions.ping())()).rejects.toEqual(gone);
  await expect((async () => sessions.find(token, DOMAIN))()).rejects.toEqual(gone);
  await expect(sessions.update(session, { note: 'x' })).rejects.toEqual(gone);
  await expect(sessions.end(session, 'logout')).rejects.toEqual(gone);
  await expect(sessions.endAllOf('john', 'logout')).rejects.toEqual(gone);
  await expect(sessions.tend()).rejects.toEqual(gone);
});
