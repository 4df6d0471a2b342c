import type { MaybePromise } from '../lib/maybe-promise.ts';

/**
 * The seam of session stores. A driver keeps bytes and index columns and knows nothing of people, factors or lifetimes:
 * expiry, sealing and rotation happen above it. A store is opened for one realm, and no operation sees or touches another
 * realm's sessions. Every comment here is law; the contract suite in test/contract tests it sentence by sentence.
 *
 * Every operation throws `StoreUnavailable` when the store cannot answer; then nothing may be concluded about the session.
 */
export interface SessionStore {
  /**
   * The sessions of these keys in the order of the keys, null where there is none. Never writes. Their `lastActivity` may be
   * older than what was touched since they were written: only `activityOf` and `listByUser` must know the latest.
   */
  findMany(keys: readonly string[]): MaybePromise<readonly (StoredSession | null)[]>;

  /**
   * Whether each of these records is still there: under its key, with the tag that its sealed bytes end with. False: it is
   * gone or another. The index columns are not looked at. Only where that costs less than `findMany`.
   */
  readonly stillHolds?: (known: readonly KnownRecord[]) => MaybePromise<readonly boolean[]>;

  /** The latest `lastActivity` of one session, null when there is none. */
  activityOf(key: string): MaybePromise<number | null>;

  /** Adds a session. False, and nothing changed, when the key is taken. */
  insert(session: StoredSession): MaybePromise<boolean>;

  /**
   * Puts `next` in the place of the session under `key` if that one still has `version`: one atomic step, in which exactly
   * one of several callers succeeds. `next.key` may differ (rotation): then the old key is gone when the new one is there.
   * False, and nothing changed, when the session is missing, has another version, or the new key is taken.
   * The later of both `lastActivity` is kept.
   */
  replace(key: string, version: number, next: StoredSession): MaybePromise<boolean>;

  /** Raises `lastActivity`; never lowers it, never changes anything else, never brings a deleted session back. */
  touchMany(touches: readonly Touch[]): MaybePromise<void>;

  /**
   * Removes one session and answers its public id, or null when there was none. Once it has answered, the session does not
   * come back, also when the server that took the delete dies at once and a replica takes its place. Where that cannot be
   * confirmed it throws `StoreUnavailable`; to repeat it is safe.
   */
  delete(key: string): MaybePromise<string | null>;

  /** All sessions of a user with their latest `lastActivity`, in no particular order. */
  listByUser(userId: string): MaybePromise<readonly StoredSession[]>;

  /** Removes all sessions of a user but the one with the public id `except`; answers the public ids that ended. As final as `delete`. */
  deleteByUser(userId: string, except?: string): MaybePromise<readonly string[]>;

  /** Removes at most `limit` sessions whose `expiresAt` is before `now`; answers how many. Only cleaning up. */
  sweep(now: number, limit: number): MaybePromise<number>;

  /** Resolves when the store answers. */
  ping(): MaybePromise<void>;

  /** Lets go of connections and memory. Later calls throw `StoreUnavailable`. Resolves also when the server is down. */
  close(): Promise<void>;
}

/** One record. All but `sealed` is an index over what stands inside the seal too; times are milliseconds since 1970. */
export interface StoredSession {
  /** SHA-256 of the cookie's text, base64url. A stolen store yields no cookies. */
  readonly key: string;
  /** Counts changes; grows by one with each `replace`. */
  readonly version: number;
  /** The id that people and administrators see; it stays through every rotation. */
  readonly publicId: string;
  readonly userId: string;
  /** The OpenID Connect session id, by which a provider ends sessions (Back-Channel Logout 1.0); null where there is none. */
  readonly sid: string | null;
  readonly createdAt: number;
  /** The absolute end. */
  readonly expiresAt: number;
  /** The only column that is believed unsealed. */
  readonly lastActivity: number;
  /** Ends with the tag by which it was sealed: 16 bytes that no other record has. */
  readonly sealed: Buffer;
}

/** A record that was read before. */
export type KnownRecord = Pick<StoredSession, 'key' | 'sealed'>;

export interface Touch {
  readonly key: string;
  readonly at: number;
}

/** The store cannot answer: 503, never "anonymous", and the cookie stays untouched. */
export class StoreUnavailable extends Error {
  override name = 'StoreUnavailable';
}
