import { createByteArena } from '../lib/byte-arena.ts';
import type { StoredSession } from './store.ts';

/**
 * The sessions of one realm in the memory of this process, by key and by user, for drivers that keep them here.
 * Compact: a session is one object, and its sealed bytes lie outside of the heap. What comes out are copies: no caller
 * can change the table through them. Not here: files, limits, and what happens when two want the same.
 */
export interface SessionTable {
  readonly size: number;
  find(key: string): StoredSession | null;
  /** The index columns as they are now, without a copy of the sealed bytes. */
  peek(key: string): Readonly<Row> | undefined;
  /** Adds a session; its key must be free. `place` is a number of the caller's, which stays with it when it is replaced. */
  add(session: StoredSession, place?: number): void;
  /** Puts `next` in the place of the session under `key`, keeping the later `lastActivity`; `next.key` must be free or the same. */
  exchange(key: string, next: StoredSession): void;
  /** Raises `lastActivity`; true when it was lower. */
  touch(key: string, at: number): boolean;
  /** Answers the public id, or null when there was none. */
  remove(key: string): string | null;
  /** All sessions of a user. */
  rowsOfUser(userId: string): readonly Readonly<Row>[];
  /** All sessions. Goes on when the table changes meanwhile; what is added meanwhile may be missing. */
  rows(): Iterator<Readonly<Row>>;
  /**
   * The keys of at most `limit` sessions whose `expiresAt` is before `now`. Bounded: looks at no more than 16 sessions for
   * each of the limit, and goes on next time where it stopped.
   */
  takeExpired(now: number, limit: number): readonly string[];
  clear(): void;
}

type Index = Omit<StoredSession, 'sealed'>;

interface Row extends Index {
  readonly place: number;
}

/** A row that can change. The sessions of a user are a chain: a Set for each would cost more than the session. */
interface Entry extends Row {
  key: string;
  version: number;
  publicId: string;
  userId: string;
  sid: string | null;
  createdAt: number;
  expiresAt: number;
  lastActivity: number;
  sealed: number;
  before: Entry | null;
  after: Entry | null;
}

const LOOKS = 16;

export function createSessionTable(): SessionTable {
  const arena = createByteArena();
  const entries = new Map<string, Entry>();
  /** The first of each user's chain. */
  const chains = new Map<string, Entry>();
  let cursor = entries.values();

  const join = (entry: Entry): void => {
    const first = chains.get(entry.userId);
    if (first) {
      // The text that is there already: equal texts would be kept once for each session.
      entry.userId = first.userId;
      entry.before = first;
      entry.after = first.after;
      if (first.after) first.after.before = entry;
      first.after = entry;
    } else chains.set(entry.userId, entry);
  };

  const leave = (entry: Entry): void => {
    if (entry.after) entry.after.before = entry.before;
    if (entry.before) entry.before.after = entry.after;
    else if (entry.after) chains.set(entry.userId, entry.after);
    else chains.delete(entry.userId);
    entry.before = null;
    entry.after = null;
  };

  return {
    get size() {
      return entries.size;
    },

    find(key) {
      const entry = entries.get(key);
      if (!entry) return null;
      const { version, publicId, userId, sid, createdAt, expiresAt, lastActivity } = entry;
      const sealed = arena.get(entry.sealed);
      return { key: entry.key, version, publicId, userId, sid, createdAt, expiresAt, lastActivity, sealed };
    },

    peek: (key) => entries.get(key),

    add(session, place = 0) {
      const { key, version, publicId, userId, sid, createdAt, expiresAt, lastActivity } = session;
      const sealed = arena.put(session.sealed);
      const index = { key, version, publicId, userId, sid, createdAt, expiresAt, lastActivity };
      const entry: Entry = { ...index, place, sealed, before: null, after: null };
      entries.set(key, entry);
      join(entry);
    },

    exchange(key, next) {
      const entry = entries.get(key);
      if (!entry) return;
      if (next.key !== key) {
        entries.delete(key);
        entries.set(next.key, entry);
        entry.key = next.key;
      }
      if (next.userId !== entry.userId) {
        leave(entry);
        entry.userId = next.userId;
        join(entry);
      }
      arena.free(entry.sealed);
      entry.sealed = arena.put(next.sealed);
      entry.version = next.version;
      entry.publicId = next.publicId;
      entry.sid = next.sid;
      entry.createdAt = next.createdAt;
      entry.expiresAt = next.expiresAt;
      entry.lastActivity = Math.max(entry.lastActivity, next.lastActivity);
    },

    touch(key, at) {
      const entry = entries.get(key);
      if (!entry || entry.lastActivity >= at) return false;
      entry.lastActivity = at;
      return true;
    },

    remove(key) {
      const entry = entries.get(key);
      if (!entry) return null;
      entries.delete(key);
      leave(entry);
      arena.free(entry.sealed);
      return entry.publicId;
    },

    rowsOfUser(userId) {
      const rows: Entry[] = [];
      for (let entry = chains.get(userId) ?? null; entry; entry = entry.after) rows.push(entry);
      return rows;
    },

    rows: () => entries.values(),

    takeExpired(now, limit) {
      const keys: string[] = [];
      for (let looks = Math.min(entries.size, limit * LOOKS); looks > 0 && keys.length < limit; looks--) {
        let step = cursor.next();
        if (step.done) step = (cursor = entries.values()).next();
        if (step.done) break;
        if (step.value.expiresAt < now) keys.push(step.value.key);
      }
      return keys;
    },

    clear() {
      entries.clear();
      chains.clear();
      arena.clear();
      cursor = entries.values();
    },
  };
}
