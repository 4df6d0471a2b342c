import { findCookie, findCookies } from '../http/cookies.ts';
import type { Clock } from '../lib/clock.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { CookieDomain } from '../sessions/cookie-domains.ts';
import { StoreUnavailable } from '../sessions/store.ts';
import { BackendUnavailable, type UserBackend, type UserProfile } from '../users/backend.ts';
import { type GatewaySession, type GatewaySessions, levelOf } from './gateway-session.ts';
import type { AuthnRequest, Scheme, SchemeResult } from './scheme.ts';

/** The session that a `Cookie` header names, with a profile that is fresh enough. */
export interface SessionFinder {
  /** Null for anonymous visitors. Never writes before it answers, except to end the session of somebody who is gone. */
  find(cookieHeader: string | undefined, cookieDomain: CookieDomain): MaybePromise<GatewaySession | null>;
  /**
   * Every session that the header names, also where `find` believes none because another site planted a second cookie: for
   * ending them.
   */
  findAll(cookieHeader: string | undefined, cookieDomain: CookieDomain): Promise<readonly GatewaySession[]>;
}

export interface SessionFinderDeps {
  readonly sessions: GatewaySessions;
  readonly users: UserBackend;
  readonly clock: Clock;
  /** Milliseconds after which a profile is read again; 0: each time; null: never. */
  readonly refreshInterval: number | null;
  /** Milliseconds for which a profile holds while the user backend does not answer; then `BackendUnavailable`. */
  readonly maximumStaleness: number;
  /** The profile could not be read or written; the session goes on with what is known. */
  readonly onRefreshFailure: (error: unknown) => void;
}

/** A browser sends one session cookie; what a hostile site adds is bounded. */
const MAX_COOKIES = 8;

export function createSessionFinder(deps: SessionFinderDeps): SessionFinder {
  const { sessions, users, clock, refreshInterval } = deps;

  const refreshed = (
    session: GatewaySession,
    profile: UserProfile | null,
  ): MaybePromise<GatewaySession | null> => {
    if (!profile) return sessions.end(session, 'user-gone').then(() => null);
    const changed = !sameProfile(profile, session.payload.profile);
    if (!changed && refreshInterval === 0) return session;
    const payload = {
      ...session.payload,
      profile: changed ? profile : session.payload.profile,
      refreshedAt: clock.now(),
    };
    sessions.update(session, payload).catch(deps.onRefreshFailure);
    return { ...session, payload };
  };

  const fresh = (session: GatewaySession | null): MaybePromise<GatewaySession | null> => {
    if (!session || refreshInterval === null) return session;
    if (clock.now() - session.payload.refreshedAt < refreshInterval) return session;
    const failed = (error: unknown): GatewaySession => {
      if (clock.now() - session.payload.refreshedAt > refreshInterval + deps.maximumStaleness) {
        throw new BackendUnavailable('the user backend has not answered for too long', { cause: error });
      }
      deps.onRefreshFailure(error);
      return session;
    };
    try {
      const profile = users.find(session.userId);
      if (profile instanceof Promise) return profile.then((found) => refreshed(session, found), failed);
      return refreshed(session, profile);
    } catch (error) {
      return failed(error);
    }
  };

  return {
    find(cookieHeader, cookieDomain) {
      if (cookieHeader === undefined) return null;
      const token = findCookie(cookieHeader, cookieDomain.cookieName);
      if (!token) return null;
      const session = sessions.find(token, cookieDomain.domain);
      return session instanceof Promise ? session.then(fresh) : fresh(session);
    },

    async findAll(cookieHeader = '', { cookieName, domain }) {
      const tokens = findCookies(cookieHeader, cookieName, MAX_COOKIES);
      const found = await Promise.all(tokens.map(async (token) => sessions.find(token, domain)));
      return found.filter((session) => session !== null);
    },
  };
}

/** What may pass while the session store is down (`session.degraded`). */
export interface Degraded {
  /** Milliseconds. */
  readonly maximumAge: number;
  readonly twoFactor: boolean;
}

interface SessionSchemeDeps {
  readonly finder: SessionFinder;
  readonly sessions: GatewaySessions;
  readonly degraded: Degraded | null;
}

/** The scheme `CookieSession`. */
export function createSessionScheme({ finder, sessions, degraded }: SessionSchemeDeps): Scheme {
  const recognise = (
    session: GatewaySession | null,
    claimed: string | undefined,
  ): MaybePromise<SchemeResult> => {
    if (!session) return 'skip';
    if (isAnother(session, claimed)) {
      return sessions.end(session, 'user-mismatch').then(() => 'skip');
    }
    sessions.noteActivity(session);
    const { profile, factors } = session.payload;
    return { user: profile, level: levelOf(factors), factors };
  };

  /** The store does not answer: what was seen a moment ago may do, if that is configured. */
  const fallBack = (
    error: unknown,
    { head, cookieDomain }: AuthnRequest,
    claimed: string | undefined,
  ): SchemeResult => {
    const token = findCookie(head.header('cookie') ?? '', cookieDomain.cookieName);
    const known =
      degraded && token && error instanceof StoreUnavailable
        ? sessions.lastVerified(token, cookieDomain.domain, degraded.maximumAge)
        : null;
    if (!known || isAnother(known, claimed)) throw error;
    const { profile, factors: shown } = known.payload;
    const factors = degraded?.twoFactor ? shown : shown.filter(({ method }) => method === 'password');
    return { user: profile, level: levelOf(factors), factors, isDegraded: true };
  };

  return {
    challenge: null,
    authenticate(request) {
      const { head, cookieDomain } = request;
      if (head.flaw('session-username')) return 'failure';
      // A proxy that knows whom it has in front of it says so; another person's cookie is then a stolen one.
      const claimed = head.header('session-username') || undefined;
      try {
        const session = finder.find(head.header('cookie'), cookieDomain);
        if (!(session instanceof Promise)) return recognise(session, claimed);
        const recognised = session.then((found) => recognise(found, claimed));
        return degraded
          ? recognised.catch((error: unknown) => fallBack(error, request, claimed))
          : recognised;
      } catch (error) {
        return fallBack(error, request, claimed);
      }
    },
  };
}

/** Whether a proxy says that it has somebody else in front of it. */
function isAnother({ userId }: GatewaySession, claimed: string | undefined): boolean {
  return claimed !== undefined && claimed.toLowerCase() !== userId.toLowerCase();
}

function sameProfile(a: UserProfile, b: UserProfile): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
