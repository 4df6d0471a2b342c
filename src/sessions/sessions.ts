import { BoundedMap } from '../lib/bounded-map.ts';
import type { Clock } from '../lib/clock.ts';
import { detachedText } from '../lib/detached-text.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { Random } from '../lib/random.ts';
import type { Timers } from '../lib/timers.ts';
import { coalesce } from './coalesced-reads.ts';
import { absoluteEnd, isAlive, type Lifetimes } from './lifetime.ts';
import type { Sealer } from './seal.ts';
import { type KnownRecord, type SessionStore, type StoredSession, StoreUnavailable } from './store.ts';
import { createToken, isToken, storeKeyOf } from './token.ts';

/**
 * Sessions above the store: tokens, sealing, lifetimes, activity. Generic in the payload, opened for one realm.
 * Reading never writes. A visitor who is not signed in has no session anywhere.
 */
export interface Sessions<P> {
  /** The living session of a cookie's text for a cookie domain, or null. Throws `StoreUnavailable`. */
  find(token: string, cookieDomain: string): MaybePromise<Session<P> | null>;
  /**
   * What this process itself found in the store for this cookie at most `maximumAge` milliseconds ago, unless it was ended
   * through this process since: for the degraded mode only. Null when nothing is remembered.
   */
  lastVerified(token: string, cookieDomain: string, maximumAge: number): Session<P> | null;
  /** Drops what `lastVerified` would answer: somebody wants out, whether the store can be told or not. */
  forgetVerified(token: string): void;
  /** A new session under a new token. Throws `StoreUnavailable`. */
  begin(start: SessionStart<P>): Promise<{ readonly token: string; readonly session: Session<P> }>;
  /** Changes the payload by compare-and-set; null when somebody else changed or ended the session meanwhile. */
  update(session: Session<P>, payload: P): Promise<Session<P> | null>;
  /**
   * As `update`, under a new token: for every rise in privilege. The old token names nothing from then on; the public id,
   * the lifetimes and who it belongs to stay.
   */
  rise(
    session: Session<P>,
    payload: P,
  ): Promise<{ readonly token: string; readonly session: Session<P> } | null>;
  /** Ends one session; false when it was gone already. Holds for the very next request. */
  end(session: Session<P>, reason: EndReason): Promise<boolean>;
  /** The living sessions of a user, the newest first. Throws `StoreUnavailable`. */
  listOf(userId: string): Promise<readonly Session<P>[]>;
  /** Ends all sessions of a user but one; answers how many. */
  endAllOf(userId: string, reason: EndReason, except?: string): Promise<number>;
  /** Notes that the session was used; written later, together with others. */
  noteActivity(session: Session<P>): void;
  /** Writes the noted activity and removes what has expired. Called once a second by `start`. */
  tend(): Promise<void>;
  ping(): MaybePromise<void>;
  close(): Promise<void>;
}

export type EndReason =
  | 'logout'
  | 'revoked'
  | 'replaced'
  | 'user-gone'
  | 'user-mismatch'
  | 'password-changed';

export interface Session<P> {
  readonly key: string;
  readonly publicId: string;
  readonly version: number;
  readonly userId: string;
  readonly sid: string | null;
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
  /** Whether what was found is remembered for `lastVerified`. Default: false. */
  readonly remembersVerified?: boolean;
  /** Whether the store is another process, so that look-ups of the same turn are worth joining. Default: false. */
  readonly isRemote?: boolean;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
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
  readonly sid: string | null;
  readonly cookieDomain: string;
  readonly remembered: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly payload: P;
}

/** A record that was opened: the bytes that it stood in, and what became of it. */
interface Opened<P> {
  readonly key: string;
  readonly sealed: Buffer;
  /** Made anew when `lastActivity` has changed. */
  session: Session<P>;
}

/** Opened records kept, so that an unchanged one is not opened again. */
const OPENED_LIMIT = 20_000;
const SWEEP_LIMIT = 1000;
/** Milliseconds. Activity nearer than this to what is known already is not noted. */
const ACTIVITY_STEP = 1000;

export function openSessions<P>(deps: SessionDeps): Sessions<P> {
  const { store, sealer, clock, random } = deps;
  const { find, holds } = readsOf<Opened<P>>(deps);
  const opened = new BoundedMap<string, Opened<P>>(OPENED_LIMIT);
  /** By the cookies that named them; of other cookies nothing is kept. */
  const byToken = new BoundedMap<string, Opened<P>>(OPENED_LIMIT);
  /** What was noted and is not written yet. */
  const activity = new Map<string, number>();
  const verified = new BoundedMap<string, { readonly session: Session<P>; readonly at: number }>(
    OPENED_LIMIT,
  );
  /** How often something was ended through this process. */
  let endings = 0;

  /** The record inside the seal, opened anew only when the sealed bytes changed; null when it cannot be read. */
  const unseal = ({ key, sealed, lastActivity }: StoredSession, known?: Opened<P>): Opened<P> | null => {
    if (known?.sealed.equals(sealed)) return known;
    const result = sealer.open(key, sealed);
    if (result === 'unknown-key') {
      throw new StoreUnavailable('a session is sealed with a secret that is not configured here');
    }
    if (result === 'broken') return null;
    const record = JSON.parse(result.text) as SealedRecord<P>;
    // A copy of its own: a store may hand out a view into a larger buffer, which would then be kept with it.
    const copy = Buffer.allocUnsafeSlow(sealed.length);
    sealed.copy(copy);
    const fresh = { key, sealed: copy, session: { ...record, key, lastActivity } };
    noteLatest(fresh, activity.get(key) ?? 0);
    opened.set(key, fresh);
    return fresh;
  };

  const open = (
    stored: StoredSession | null | undefined,
    before = stored ? opened.get(stored.key) : undefined,
  ): Opened<P> | null => {
    if (!stored) return null;
    const known = unseal(stored, before);
    if (!known || !sameIndex(stored, known.session)) {
      deps.onBrokenRecord(stored.key);
      return null;
    }
    noteLatest(known, stored.lastActivity);
    return known;
  };

  const noteLatest = (known: Opened<P>, at: number): void => {
    if (at > known.session.lastActivity) known.session = { ...known.session, lastActivity: at };
  };

  const isLiving = (session: Session<P>, now: number): boolean => {
    const lifetimes = deps.lifetimesOf(session.cookieDomain);
    return lifetimes !== null && isAlive(session, lifetimes, now);
  };

  /**
   * The session if it is alive. One that only looks idle may have been active elsewhere: then the store is asked for the
   * latest, which costs nothing as long as people are active here.
   */
  const judge = (known: Opened<P> | null, cookieDomain: string): MaybePromise<Session<P> | null> => {
    const session = known?.session;
    if (session?.cookieDomain !== cookieDomain) return null;
    const now = clock.now();
    if (isLiving(session, now)) return session;
    const noted = { ...session, lastActivity: activity.get(session.key) ?? 0 };
    if (isLiving(noted, now)) return noted;
    if (!isLiving({ ...session, lastActivity: now }, now)) return null;
    const wake = (latest: number | null): Session<P> | null => {
      const awake = { ...session, lastActivity: Math.max(session.lastActivity, latest ?? 0) };
      if (latest === null || !isLiving(awake, now)) return null;
      if (known?.session === session) known.session = awake;
      return awake;
    };
    const latest = store.activityOf(session.key);
    return latest instanceof Promise ? latest.then(wake) : wake(latest);
  };

  /** Goes on with what stands under the key now. `known`: what stood there before. */
  const look = <T>(
    key: string,
    known: Opened<P> | undefined,
    use: (current: Opened<P> | null) => MaybePromise<T>,
  ): MaybePromise<T> => {
    if (known && holds)
      return holds(known, (does) => (does ? use(known) : find(key, (found) => use(open(found)))));
    return find(key, (found) => use(open(found, known)));
  };

  /**
   * Remembered for the degraded mode, if that is wanted, and if this process has ended nothing since the store was asked, as
   * it may have been this session.
   */
  const remember = (key: string, session: Session<P> | null, asked: number): void => {
    if (!deps.remembersVerified) return;
    if (session && asked === endings) verified.set(key, { session, at: clock.now() });
    else verified.delete(key);
  };

  const seal = (session: Session<P>): StoredSession => {
    const { key, publicId, version, userId, sid, cookieDomain, remembered } = session;
    const { createdAt, expiresAt, lastActivity } = session;
    const record: SealedRecord<P> = {
      publicId,
      version,
      userId,
      sid,
      cookieDomain,
      remembered,
      createdAt,
      expiresAt,
      payload: session.payload,
    };
    const sealed = sealer.seal(key, JSON.stringify(record));
    return { key, version, publicId, userId, sid, createdAt, expiresAt, lastActivity, sealed };
  };

  const forget = (key: string): void => {
    endings++;
    opened.delete(key);
    activity.delete(key);
    verified.delete(key);
  };

  return {
    find(token, cookieDomain) {
      const known = byToken.get(token);
      if (known === undefined && !isToken(token)) return null;
      const key = known?.key ?? storeKeyOf(token);
      const asked = endings;
      return look(key, known, (current) => {
        const conclude = (session: Session<P> | null): Session<P> | null => {
          if (session === null) byToken.delete(token);
          else if (current !== null && current !== known) byToken.set(detachedText(token), current);
          remember(key, session, asked);
          return session;
        };
        const judged = judge(current, cookieDomain);
        return judged instanceof Promise ? judged.then(conclude) : conclude(judged);
      });
    },

    lastVerified(token, cookieDomain, maximumAge) {
      const known = isToken(token) ? verified.get(storeKeyOf(token)) : undefined;
      if (!known || clock.now() - known.at > maximumAge) return null;
      const { session } = known;
      return session.cookieDomain === cookieDomain && isLiving(session, clock.now()) ? session : null;
    },

    forgetVerified(token) {
      endings++;
      if (isToken(token)) verified.delete(storeKeyOf(token));
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
        sid: null,
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

    async rise(session, payload) {
      const token = createToken(random);
      const next: Session<P> = { ...session, key: storeKeyOf(token), version: session.version + 1, payload };
      if (!(await store.replace(session.key, session.version, seal(next)))) return null;
      forget(session.key);
      return { token, session: next };
    },

    async end(session, reason) {
      // First, so that it is not remembered here even if the store does not answer.
      forget(session.key);
      const publicId = await store.delete(session.key);
      // And of those who asked meanwhile.
      forget(session.key);
      if (publicId === null) return false;
      deps.onEnd({ publicId, userId: session.userId, reason });
      return true;
    },

    async listOf(userId) {
      const stored = await store.listByUser(userId);
      const now = clock.now();
      return stored
        .flatMap((one) => open(one)?.session ?? [])
        .filter((session) => isLiving(session, now))
        .toSorted((a, b) => b.createdAt - a.createdAt);
    },

    async endAllOf(userId, reason, except) {
      const ended = await store.deleteByUser(userId, except);
      endings++;
      for (const publicId of ended) deps.onEnd({ publicId, userId, reason });
      for (const [key, { session }] of verified.entries()) {
        if (session.userId === userId && session.publicId !== except) verified.delete(key);
      }
      return ended.length;
    },

    noteActivity(session) {
      const now = clock.now();
      if (now - session.lastActivity < ACTIVITY_STEP) return;
      activity.set(session.key, now);
      const known = opened.get(session.key);
      if (known) noteLatest(known, now);
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

interface Reads<K> {
  /** Goes on with the store's word on one key. */
  readonly find: <T>(
    key: string,
    use: (found: StoredSession | null | undefined) => MaybePromise<T>,
  ) => MaybePromise<T>;
  /** Goes on with whether the store still holds this record; null where that costs as much as `find`. */
  readonly holds: (<T>(known: K, use: (does: boolean) => MaybePromise<T>) => MaybePromise<T>) | null;
}

function readsOf<K extends KnownRecord>({ store, isRemote, timers }: SessionDeps): Reads<K> {
  if (isRemote) {
    const { stillHolds } = store;
    return {
      find: coalesce((keys: readonly string[]) => store.findMany(keys), timers),
      holds: stillHolds ? coalesce((known: readonly K[]) => stillHolds(known), timers) : null,
    };
  }
  return {
    find(key, use) {
      const found = store.findMany([key]);
      return found instanceof Promise ? found.then(([one]) => use(one)) : use(found[0]);
    },
    holds: null,
  };
}

function sameIndex(stored: StoredSession, record: Session<unknown>): boolean {
  return (
    stored.version === record.version &&
    stored.publicId === record.publicId &&
    stored.userId === record.userId &&
    stored.sid === record.sid &&
    stored.createdAt === record.createdAt &&
    stored.expiresAt === record.expiresAt
  );
}
