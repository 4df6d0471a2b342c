import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type SessionStore, type StoredSession, StoreUnavailable } from '../../src/sessions/store.ts';
import { mustBeComplete } from '../support/environment.ts';
import { fakeClock, seededRandom } from '../support/fake-clock.ts';
import { storedSessions } from '../support/stored-session.ts';
import { sessionStoreHarnesses, type StorePlace } from './session-store-harnesses.ts';

/** What `src/sessions/store.ts` says, sentence by sentence, of every driver of the registry. */

const clock = fakeClock();
const start = clock.now();
const random = seededRandom('session store contract');

const record = storedSessions(random, start);

/** Keys in an order that no store promises to have. */
const keysOf = (sessions: readonly StoredSession[]): string[] => sessions.map(({ key }) => key).toSorted();

/** What an operation does, whether it throws or rejects. */
const attempt = async (run: () => unknown): Promise<unknown> => run();

describe.each(Object.keys(sessionStoreHarnesses) as (keyof typeof sessionStoreHarnesses)[])(
  'session store %s',
  (driver) => {
    const harness = sessionStoreHarnesses[driver];
    let place: StorePlace | undefined;
    const openPlace = async (): Promise<StorePlace> => {
      place = await harness.create({ clock });
      return place;
    };
    const openStore = async (): Promise<SessionStore> => (await openPlace()).open('gateway');
    const holding = async (...sessions: readonly StoredSession[]): Promise<SessionStore> => {
      const store = await openStore();
      for (const session of sessions) expect(await store.insert(session)).toBe(true);
      return store;
    };
    const find = async (store: SessionStore, key: string): Promise<StoredSession | null> => {
      const [found] = await store.findMany([key]);
      if (found === undefined) throw new Error('findMany answered fewer sessions than keys');
      return found;
    };
    /** As `find`, with the latest activity. */
    const findLatest = async (store: SessionStore, key: string): Promise<StoredSession | null> => {
      const found = await find(store, key);
      const lastActivity = await store.activityOf(key);
      expect(lastActivity === null).toBe(found === null);
      return found && { ...found, lastActivity: lastActivity ?? Number.NaN };
    };

    afterEach(async () => {
      await place?.dispose();
      place = undefined;
    });

    beforeEach(({ task, skip }) => {
      skip(harness.missing !== undefined && !mustBeComplete, `${harness.missing} is not installed`);
      const exception = harness.exceptions.find((candidate) => candidate.test === task.name);
      skip(exception !== undefined, exception?.reason);
    });

    /** Each operation once, as those call it who know nothing of the store's state. */
    const operations = (store: SessionStore): Record<string, () => unknown> => {
      const one = record();
      return {
        findMany: () => store.findMany([one.key]),
        ...(store.stillHolds && { stillHolds: () => store.stillHolds?.([one]) }),
        activityOf: () => store.activityOf(one.key),
        insert: () => store.insert(one),
        replace: () => store.replace(one.key, 1, { ...one, version: 2 }),
        touchMany: () => store.touchMany([{ key: one.key, at: start }]),
        delete: () => store.delete(one.key),
        listByUser: () => store.listByUser('john'),
        deleteByUser: () => store.deleteByUser('john'),
        sweep: () => store.sweep(start, 10),
        ping: () => store.ping(),
      };
    };

    test('findMany answers in the order of the keys, null where there is none', async () => {
      const [a, b, c] = [record(), record(), record()];
      const store = await holding(a, b, c);
      const missing = record().key;
      expect(await store.findMany([c.key, missing, a.key, c.key, b.key])).toEqual([c, null, a, c, b]);
      expect(await store.findMany([])).toEqual([]);
      expect(await store.findMany([missing])).toEqual([null]);
    });

    test('stillHolds is true for exactly what is there unchanged under its key', async () => {
      const [same, changed, rotated, ended] = [record(), record(), record(), record()];
      const store = await holding(same, changed, rotated, ended);
      if (!store.stillHolds) return;
      const known = [same, changed, rotated, ended];
      expect(await store.stillHolds(known)).toEqual([true, true, true, true]);
      const next = record();
      await store.touchMany([{ key: same.key, at: start + 5 }]);
      await store.replace(changed.key, 1, { ...changed, version: 2, sealed: random.bytes(200) });
      await store.replace(rotated.key, 1, { ...rotated, key: next.key, version: 2 });
      await store.delete(ended.key);
      expect(await store.stillHolds(known)).toEqual([true, false, false, false]);
      const elsewhere = { key: same.key, sealed: changed.sealed };
      expect(await store.stillHolds([elsewhere, ended, same, record()])).toEqual([false, false, true, false]);
      for (const key of ['', '*', `${same.key}=`, same.key.slice(0, 20), `${same.key}${same.key}`]) {
        expect(await store.stillHolds([{ key, sealed: changed.sealed }, same]), key).toEqual([false, true]);
      }
      // Of another realm nothing is there.
      const other = await (place as StorePlace).open('another');
      expect(await other.stillHolds?.([same])).toEqual([false]);
    });

    test('keys that look like something else are plain keys', async () => {
      const store = await openStore();
      for (const key of [
        '__proto__',
        'constructor',
        'toString',
        '*',
        '',
        "' or 1=1 --",
        '../../etc/passwd',
      ]) {
        expect(await find(store, key), key).toBeNull();
        expect(await store.delete(key), key).toBeNull();
      }
    });

    test('findMany never writes', async () => {
      const one = record();
      const store = await holding(one);
      clock.advance(10);
      for (let i = 0; i < 3; i++) expect(await find(store, one.key)).toEqual(one);
      // Not even an expired session is taken away by looking at it.
      const old = record({ expiresAt: start - 1 });
      await store.insert(old);
      expect(await find(store, old.key)).toEqual(old);
      expect(await find(store, old.key)).toEqual(old);
    });

    test('insert gives back every column and byte as it was', async () => {
      const odd = record({
        userId: 'zoë \'x\' "y" \\ %_ 漢字 \u{1f510}',
        sid: 'a session id of a provider: ü \'"',
        version: 2_000_000_000,
        createdAt: 0,
        expiresAt: 8_640_000_000_000_000,
        sealed: Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
      });
      const big = record({ sealed: random.bytes(64 * 1024) });
      const store = await holding(odd, big);
      expect(await find(store, odd.key)).toEqual(odd);
      const found = await find(store, big.key);
      expect(found?.sealed.equals(big.sealed)).toBe(true);
      expect(await store.listByUser(odd.userId)).toEqual([odd]);
    });

    test('insert answers false and changes nothing when the key is taken', async () => {
      const one = record();
      const store = await holding(one);
      expect(await store.insert(record({ key: one.key, userId: 'harry', lastActivity: start + 5 }))).toBe(
        false,
      );
      expect(await find(store, one.key)).toEqual(one);
      expect(await store.listByUser('harry')).toEqual([]);
    });

    test('of several inserts of one key exactly one succeeds', async () => {
      const store = await openStore();
      const rivals = Array.from({ length: 20 }, (_, i) => record({ key: 'same', userId: `user${i}` }));
      const results = await Promise.all(rivals.map(async (rival) => store.insert(rival)));
      expect(results.filter(Boolean)).toEqual([true]);
      expect(await find(store, 'same')).toEqual(rivals[results.indexOf(true)]);
    });

    test('replace puts the next session in the place of the old one', async () => {
      const one = record();
      const store = await holding(one);
      const next = { ...one, version: 2, sealed: random.bytes(80), lastActivity: start + 7 };
      expect(await store.replace(one.key, 1, next)).toBe(true);
      expect(await find(store, one.key)).toEqual(next);
      expect(await store.listByUser('john')).toEqual([next]);
    });

    test('replace answers false and changes nothing when the session is missing', async () => {
      const store = await openStore();
      const one = record();
      expect(await store.replace(one.key, 1, { ...one, version: 2 })).toBe(false);
      expect(await find(store, one.key)).toBeNull();
      expect(await store.listByUser('john')).toEqual([]);
    });

    test('replace answers false and changes nothing when the version is another one', async () => {
      const one = record({ version: 5 });
      const store = await holding(one);
      for (const version of [4, 6, 0, -5]) {
        expect(await store.replace(one.key, version, { ...one, version: version + 1 }), String(version)).toBe(
          false,
        );
      }
      expect(await find(store, one.key)).toEqual(one);
    });

    test('of several replaces of one version exactly one succeeds', async () => {
      const one = record();
      const store = await holding(one);
      const rivals = Array.from({ length: 20 }, () => ({ ...one, version: 2, sealed: random.bytes(30) }));
      const results = await Promise.all(rivals.map(async (rival) => store.replace(one.key, 1, rival)));
      expect(results.filter(Boolean)).toEqual([true]);
      expect(await find(store, one.key)).toEqual(rivals[results.indexOf(true)]);
    });

    test('after a rotation the old key is gone and the new one is there', async () => {
      const one = record();
      const store = await holding(one);
      const next = record({ publicId: one.publicId, version: 2 });
      expect(await store.replace(one.key, 1, next)).toBe(true);
      expect(await store.findMany([one.key, next.key])).toEqual([null, next]);
      expect(await store.listByUser('john')).toEqual([next]);
      expect(await store.delete(one.key)).toBeNull();
    });

    test('of several rotations exactly one new key is there', async () => {
      const one = record();
      const store = await holding(one);
      const rivals = Array.from({ length: 20 }, () => record({ publicId: one.publicId, version: 2 }));
      const results = await Promise.all(rivals.map(async (rival) => store.replace(one.key, 1, rival)));
      expect(results.filter(Boolean)).toEqual([true]);
      expect(keysOf(await store.listByUser('john'))).toEqual([rivals[results.indexOf(true)]?.key]);
    });

    test('a rotation to a taken key changes nothing', async () => {
      const [one, other] = [record(), record({ userId: 'harry' })];
      const store = await holding(one, other);
      expect(await store.replace(one.key, 1, { ...one, key: other.key, version: 2 })).toBe(false);
      expect(await store.findMany([one.key, other.key])).toEqual([one, other]);
      expect(await store.listByUser('harry')).toEqual([other]);
    });

    test('a replace that changes the user moves the session between their lists', async () => {
      const one = record();
      const store = await holding(one);
      const next = { ...one, version: 2, userId: 'harry' };
      expect(await store.replace(one.key, 1, next)).toBe(true);
      expect(await store.listByUser('john')).toEqual([]);
      expect(await store.listByUser('harry')).toEqual([next]);
      expect(await store.deleteByUser('john')).toEqual([]);
      expect(await find(store, one.key)).toEqual(next);
    });

    test('replace keeps the later of both lastActivity', async () => {
      const one = record();
      const store = await holding(one);
      await store.touchMany([{ key: one.key, at: start + 500 }]);
      expect(await store.replace(one.key, 1, { ...one, version: 2, lastActivity: start + 100 })).toBe(true);
      expect((await findLatest(store, one.key))?.lastActivity).toBe(start + 500);
      expect(await store.replace(one.key, 2, { ...one, version: 3, lastActivity: start + 900 })).toBe(true);
      expect((await findLatest(store, one.key))?.lastActivity).toBe(start + 900);
      const rotated = record({ version: 4, lastActivity: start });
      expect(await store.replace(one.key, 3, rotated)).toBe(true);
      expect((await findLatest(store, rotated.key))?.lastActivity).toBe(start + 900);
    });

    test('replace never brings a deleted session back', async () => {
      const one = record();
      const store = await holding(one);
      await Promise.all([
        attempt(() => store.delete(one.key)),
        attempt(() => store.replace(one.key, 1, { ...one, version: 2 })),
      ]);
      await store.delete(one.key);
      expect(await store.replace(one.key, 1, { ...one, version: 2 })).toBe(false);
      expect(await store.replace(one.key, 2, { ...one, version: 3 })).toBe(false);
      expect(await findLatest(store, one.key)).toBeNull();
    });

    test('touchMany raises lastActivity and changes nothing else', async () => {
      const [one, other] = [record(), record()];
      const store = await holding(one, other);
      await store.touchMany([{ key: one.key, at: start + 1 }]);
      expect(await findLatest(store, one.key)).toEqual({ ...one, lastActivity: start + 1 });
      expect(await findLatest(store, other.key)).toEqual(other);
      expect(await store.listByUser('john')).toContainEqual({ ...one, lastActivity: start + 1 });
      // The version is untouched: a compare-and-set that began before still succeeds.
      expect(await store.replace(one.key, 1, { ...one, version: 2 })).toBe(true);
    });

    test('touchMany never lowers lastActivity', async () => {
      const one = record({ lastActivity: start + 100 });
      const store = await holding(one);
      await store.touchMany([{ key: one.key, at: start + 99 }]);
      expect(await findLatest(store, one.key)).toEqual(one);
      await store.touchMany([
        { key: one.key, at: start + 300 },
        { key: one.key, at: start + 200 },
      ]);
      expect((await findLatest(store, one.key))?.lastActivity).toBe(start + 300);
    });

    test('touchMany never brings a deleted session back', async () => {
      const [one, other] = [record(), record()];
      const store = await holding(one, other);
      await store.delete(one.key);
      await store.touchMany([
        { key: one.key, at: start + 1000 },
        { key: 'never there', at: start + 1000 },
        { key: other.key, at: start + 1000 },
      ]);
      expect(await store.findMany([one.key, 'never there'])).toEqual([null, null]);
      expect(keysOf(await store.listByUser('john'))).toEqual([other.key]);
      expect((await findLatest(store, other.key))?.lastActivity).toBe(start + 1000);
      await store.touchMany([]);
    });

    test('a touch and a logout at once leave nothing, in whatever order they arrive', async () => {
      const sessions = Array.from({ length: 20 }, () => record());
      const store = await holding(...sessions);
      await Promise.all(
        sessions.flatMap(({ key }, i) => {
          const touch = attempt(() => store.touchMany([{ key, at: start + 1 }]));
          const end = attempt(() => store.delete(key));
          return i % 2 ? [touch, end] : [end, touch];
        }),
      );
      expect(await store.listByUser('john')).toEqual([]);
      expect(await store.findMany(sessions.map(({ key }) => key))).toEqual(sessions.map(() => null));
    });

    test('delete removes one session and answers its public id, or null', async () => {
      const [one, other] = [record(), record()];
      const store = await holding(one, other);
      expect(await store.delete(one.key)).toBe(one.publicId);
      expect(await store.delete(one.key)).toBeNull();
      expect(await store.findMany([one.key, other.key])).toEqual([null, other]);
      expect(keysOf(await store.listByUser('john'))).toEqual([other.key]);
      expect(await store.insert(one)).toBe(true);
      expect(await findLatest(store, one.key)).toEqual(one);
    });

    test('of several deletes of one session exactly one gets the public id', async () => {
      const one = record();
      const store = await holding(one);
      const answers = await Promise.all(Array.from({ length: 20 }, async () => store.delete(one.key)));
      expect(answers.filter((answer) => answer !== null)).toEqual([one.publicId]);
    });

    test('listByUser answers all sessions of exactly this user', async () => {
      const users = ['john', 'John', 'john ', 'joh', 'johnny', 'j%', '__proto__', 'a,b', ''];
      const sessions = users.flatMap((userId) => [record({ userId }), record({ userId })]);
      const store = await holding(...sessions);
      for (const userId of users) {
        const own = sessions.filter((session) => session.userId === userId);
        expect(keysOf(await store.listByUser(userId)), userId).toEqual(keysOf(own));
      }
      expect(await store.listByUser('nobody')).toEqual([]);
    });

    test('deleteByUser removes all sessions of a user and answers their public ids', async () => {
      const own = [record(), record(), record()];
      const other = record({ userId: 'harry' });
      const store = await holding(...own, other);
      const ended = await store.deleteByUser('john');
      expect([...ended].sort()).toEqual(own.map(({ publicId }) => publicId).sort());
      expect(await store.listByUser('john')).toEqual([]);
      expect(await store.findMany([...own, other].map(({ key }) => key))).toEqual([null, null, null, other]);
      expect(await store.deleteByUser('john')).toEqual([]);
    });

    test('deleteByUser spares the session with the public id `except`', async () => {
      const [a, b, c] = [record(), record(), record()];
      const store = await holding(a, b, c);
      expect([...(await store.deleteByUser('john', b.publicId))].sort()).toEqual(
        [a.publicId, c.publicId].sort(),
      );
      expect(await store.listByUser('john')).toEqual([b]);
      // A key is no public id.
      expect(await store.deleteByUser('john', b.key)).toEqual([b.publicId]);
    });

    test('sweep removes only what expired before now', async () => {
      const past = record({ expiresAt: start - 1 });
      const edge = record({ expiresAt: start });
      const future = record({ expiresAt: start + 1 });
      const store = await holding(past, edge, future);
      expect(await store.sweep(start, 100)).toBe(1);
      expect(await store.findMany([past.key, edge.key, future.key])).toEqual([null, edge, future]);
      expect(keysOf(await store.listByUser('john'))).toEqual(keysOf([edge, future]));
      expect(await store.sweep(start, 100)).toBe(0);
    });

    test('sweep removes at most `limit` sessions and answers how many', async () => {
      const old = Array.from({ length: 7 }, () => record({ expiresAt: start - 1 }));
      const store = await holding(...old, record());
      expect(await store.sweep(start, 3)).toBe(3);
      expect(await store.listByUser('john')).toHaveLength(5);
      expect(await store.sweep(start, 3)).toBe(3);
      expect(await store.sweep(start, 3)).toBe(1);
      expect(await store.sweep(start, 3)).toBe(0);
      expect(await store.listByUser('john')).toHaveLength(1);
    });

    test('time is a matter of the callers: an expired session is like others', async () => {
      const old = record({ createdAt: start - 10, expiresAt: start - 5 });
      const store = await holding(old);
      clock.advance(86_400_000);
      expect(await findLatest(store, old.key)).toEqual(old);
      expect(await store.replace(old.key, 1, { ...old, version: 2 })).toBe(true);
      expect(await store.delete(old.key)).toBe(old.publicId);
    });

    test('no operation sees or touches the sessions of another realm', async () => {
      const one = record({ expiresAt: start - 1 });
      const where = await openPlace();
      const [gateway, outpost] = [await where.open('gateway'), await where.open('outpost:1')];
      await gateway.insert(one);
      expect(await find(outpost, one.key)).toBeNull();
      expect(await outpost.listByUser('john')).toEqual([]);
      expect(await outpost.deleteByUser('john')).toEqual([]);
      expect(await outpost.replace(one.key, 1, { ...one, version: 2 })).toBe(false);
      expect(await outpost.delete(one.key)).toBeNull();
      expect(await outpost.sweep(start, 100)).toBe(0);
      await outpost.touchMany([{ key: one.key, at: start + 1000 }]);
      expect(await find(gateway, one.key)).toEqual(one);
      const twin = record({ key: one.key, userId: 'harry' });
      expect(await outpost.insert(twin)).toBe(true);
      expect(await find(gateway, one.key)).toEqual(one);
      expect(await find(outpost, one.key)).toEqual(twin);
    });

    test('two stores over one place see the same sessions', async () => {
      const where = await openPlace();
      const [a, b] = [await where.open('gateway'), await where.open('gateway')];
      const one = record();
      await a.insert(one);
      expect(await find(b, one.key)).toEqual(one);
      const results = await Promise.all(
        [a, b, a, b].map(async (store) => store.replace(one.key, 1, { ...one, version: 2 })),
      );
      expect(results.filter(Boolean)).toEqual([true]);
      expect(await b.delete(one.key)).toBe(one.publicId);
      expect(await find(a, one.key)).toBeNull();
    });

    test('ping resolves when the store answers', async () => {
      const store = await openStore();
      expect(await attempt(() => store.ping())).toBeUndefined();
    });

    test('every operation throws StoreUnavailable when the store cannot answer', async () => {
      const where = await openPlace();
      const store = await where.open('gateway');
      await where.cutOff();
      for (const [name, run] of Object.entries(operations(store))) {
        await expect(attempt(run), name).rejects.toThrow(StoreUnavailable);
      }
    });

    test('close resolves also when the place cannot be reached', async () => {
      const where = await openPlace();
      const store = await where.open('gateway');
      await where.cutOff();
      await expect(store.close()).resolves.toBeUndefined();
    });

    test('after close every call throws StoreUnavailable', async () => {
      const store = await holding(record());
      await store.close();
      for (const [name, run] of Object.entries(operations(store))) {
        await expect(attempt(run), name).rejects.toThrow(StoreUnavailable);
      }
    });

    test('every exception is one of a case that exists', ({ task }) => {
      const cases = task.suite?.tasks.map(({ name }) => name) ?? [];
      for (const exception of harness.exceptions) expect(cases).toContain(exception.test);
    });
  },
);
