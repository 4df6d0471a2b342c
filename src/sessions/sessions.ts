import type { Clock } from '../lib/clock.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { Random } from '../lib/random.ts';
import { absoluteEnd, isAlive, type Lifetimes } from './lifetime.ts';
import type { Sealer } from './seal.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from './store.ts';
import { createToken, isToken, storeKeyOf } from './token.ts';

/**
 * Sessions above the store: tokens, sealing, lifetimes, activity. Generic in the payload, opened for one realm.
 * Reading never writes. A visitor who is not signed in has no session anywhere.
 */
export interface Sessions<P> {
  /** The living session of a cookie's text for a cookie domain, or null. Throws `StoreUnavailable`. */
  find(token: string, cookieDomain: string): MaybePromise<Session<P> | null>;
  /** A new session under a new token. Throws `StoreUnavailable`. */
  begin(start: SessionStart<P>): Promise<{ readonly token: string; readonly session: Session<P> }>;
  /** Changes the payload by compare-and-set; null when somebody else changed or ended the session meanwhile. */
  update(session: Session<P>, payload: P): Promise<Session<P> | null>;
  /** Ends one session; false when it was gone already. Holds for the very next request. */
  end(session: Session<P>, reason: EndReason): Promise<boolean>;
  /** Ends all sessions of a user but one; answers how many. */
  endAllOf(userId: string, reason: EndReason, except?: string): Promise<number>;
  /** Notes that the session was used; written later, together with others. */
  noteActivity(session: Session<P>): void;
  /** Writes the noted activity and removes what has expired. Called once a second by `start`. */
  tend(): Promise<void>;
  ping(): MaybePromise<void>;
  close(): Promise<void>;
}

export type EndReason = 'logout' | 'replaced' | 'user-gone' | 'user-mismatch';

export interface Session<P> {
  readonly key: string;
  readonly publicId: string;
  readonly version: number;
  readonly userId: string;
  readonly cookieDomain: string;
  readonly remembered: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastActivity: number;
  readonly payload: P;
}

export interface SessionStart<P> {
  readonly userId: string;
  readonly cookieDomain: string;
  readonly remembered: boolean;
  readonly payload: P;
}

interface SessionDeps {
  readonly store: SessionStore;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  /** The lifetimes of a cookie domain, or null when it is not configured (any more). Asked at each read. */
  readonly lifetimesOf: (cookieDomain: string) => Lifetimes | null;
  readonly onEnd: (ended: {
    readonly publicId: string;
    readonly userId: string;
    readonly reason: EndReason;
  }) => void;
  readonly onBrokenRecord: (storeKey: string) => void;
}

/** What stands inside the seal. A difference to the index columns is a corrupt record. */
interface SealedRecord<P> {
  readonly publicId: string;
  readonly version: number;
  readonly userId: string;
  readonly cookieDomain: string;
  readonly remembered: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly payload: P;
}

/** Opened records kept, so that an unchanged one is not opened again. */
const OPENED_LIMIT = 20_000;
const SWEEP_LIMIT = 1000;
/** Milliseconds. Activity nearer than this to what is known already is not noted. */
const ACTIVITY_STEP = 1000;

export function openSessions<P>(deps: SessionDeps): Sessions<P> {
  const { store, sealer, clock, random } = deps;
  const opened = new Map<string, { readonly sealed: Buffer; readonly record: SealedRecord<P> }>();
  const activity = new Map<string, number>();

  /** The record inside the seal, opened anew only when the sealed bytes changed; null when it cannot be read. */
  const unseal = ({ key, sealed }: StoredSession): SealedRecord<P> | null => {
    const known = opened.get(key);
    if (known && (known.sealed === sealed || known.sealed.equals(sealed))) return known.record;
    const result = sealer.open(key, sealed);
    if (result === 'unknown-key') {
      throw new StoreUnavailable('a session is sealed with a secret that is not configured here');
    }
    if (result === 'broken') return null;
    const record = JSON.parse(result.text) as SealedRecord<P>;
    if (opened.size >= OPENED_LIMIT) {
      for (const oldest of opened.keys()) {
        opened.delete(oldest);
        break;
      }
    }
    opened.set(key, { sealed, record });
    return record;
  };

  const openRecord = (stored: StoredSession): SealedRecord<P> | null => {
    const record = unseal(stored);
    if (record && sameIndex(stored, record)) return record;
    deps.onBrokenRecord(stored.key);
    return null;
  };

  const judge = (stored: StoredSession | null | undefined, cookieDomain: string): Session<P> | null => {
    if (!stored) return null;
    const record = openRecord(stored);
    if (!record || record.cookieDomain !== cookieDomain) return null;
    const lifetimes = deps.lifetimesOf(cookieDomain);
    const lastActivity = Math.max(stored.lastActivity, activity.get(stored.key) ?? 0);
    const session: Session<P> = { ...record, key: stored.key, lastActivity };
    return lifetimes && isAlive(session, lifetimes, clock.now()) ? session : null;
  };

  const seal = (session: Session<P>): StoredSession => {
    const { key, publicId, version, userId, cookieDomain, remembered, createdAt, expiresAt, lastActivity } =
      session;
    const record: SealedRecord<P> = {
      publicId,
      version,
      userId,
      cookieDomain,
      remembered,
      createdAt,
      expiresAt,
      payload: session.payload,
    };
    const sealed = sealer.seal(key, JSON.stringify(record));
    return { key, version, publicId, userId, createdAt, expiresAt, lastActivity, sealed };
  };

  const forget = (key: string): void => {
    opened.delete(key);
    activity.delete(key);
  };

  return {
    find(token, cookieDomain) {
      if (!isToken(token)) return null;
      const found = store.findMany([storeKeyOf(token)]);
      if (found instanceof Promise) return found.then((sessions) => judge(sessions[0], cookieDomain));
      return judge(found[0], cookieDomain);
    },

    async begin({ userId, cookieDomain, remembered, payload }) {
      const lifetimes = deps.lifetimesOf(cookieDomain);
      if (!lifetimes) throw new Error(`no session lifetimes for the cookie domain ${cookieDomain}`);
      const token = createToken(random);
      const now = clock.now();
      const session: Session<P> = {
        key: storeKeyOf(token),
        publicId: random.bytes(12).toString('base64url'),
        version: 1,
        userId,
        cookieDomain,
        remembered,
        createdAt: now,
        expiresAt: absoluteEnd(lifetimes, now, remembered),
        lastActivity: now,
        payload,
      };
      if (!(await store.insert(seal(session))))
        throw new StoreUnavailable('the session store refused a new session');
      return { token, session };
    },

    async update(session, payload) {
      const next: Session<P> = { ...session, version: session.version + 1, payload };
      return (await store.replace(session.key, session.version, seal(next))) ? next : null;
    },

    async end(session, reason) {
      const publicId = await store.delete(session.key);
      forget(session.key);
      if (publicId === null) return false;
      deps.onEnd({ publicId, userId: session.userId, reason });
      return true;
    },

    async endAllOf(userId, reason, except) {
      const ended = await store.deleteByUser(userId, except);
      for (const publicId of ended) deps.onEnd({ publicId, userId, reason });
      return ended.length;
    },

    noteActivity(session) {
      const now = clock.now();
      if (now - session.lastActivity >= ACTIVITY_STEP) activity.set(session.key, now);
    },

    async tend() {
      if (activity.size > 0) {
        const touches = [...activity].map(([key, at]) => ({ key, at }));
        await store.touchMany(touches);
        for (const { key, at } of touches) if (activity.get(key) === at) activity.delete(key);
      }
      await store.sweep(clock.now(), SWEEP_LIMIT);
    },

    ping: () => store.ping(),
    close: () => store.close(),
  };
}

function sameIndex(stored: StoredSession, record: SealedRecord<unknown>): boolean {
  return (
    stored.version === record.version &&
    stored.publicId === record.publicId &&
    stored.userId === record.userId &&
    stored.createdAt === record.createdAt &&
    stored.expiresAt === record.expiresAt
  );
}
