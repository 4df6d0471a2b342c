import { findCookie } from '../http/cookies.ts';
import type { Clock } from '../lib/clock.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { CookieDomain } from '../sessions/cookie-domains.ts';
import type { UserBackend, UserProfile } from '../users/backend.ts';
import { type GatewaySession, type GatewaySessions, levelOf } from './gateway-session.ts';
import type { Scheme, SchemeResult } from './scheme.ts';

/** The session that a `Cookie` header names, with a profile that is fresh enough. */
export interface SessionFinder {
  /** Null for anonymous visitors. Never writes before it answers, except to end the session of somebody who is gone. */
  find(cookieHeader: string | undefined, cookieDomain: CookieDomain): MaybePromise<GatewaySession | null>;
}

export interface SessionFinderDeps {
  readonly sessions: GatewaySessions;
  readonly users: UserBackend;
  readonly clock: Clock;
  /** Milliseconds after which a profile is read again; 0: each time; null: never. */
  readonly refreshInterval: number | null;
  /** The profile could not be read or written; the session goes on with what is known. */
  readonly onRefreshFailure: (error: unknown) => void;
}

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
  };
}

/** The scheme `CookieSession`. */
export function createSessionScheme(deps: {
  readonly finder: SessionFinder;
  readonly sessions: GatewaySessions;
}): Scheme {
  const { finder, sessions } = deps;
  const recognise = (
    session: GatewaySession | null,
    claimed: string | undefined,
  ): MaybePromise<SchemeResult> => {
    if (!session) return 'skip';
    if (claimed !== undefined && claimed.toLowerCase() !== session.userId.toLowerCase()) {
      return sessions.end(session, 'user-mismatch').then(() => 'skip');
    }
    sessions.noteActivity(session);
    return { user: session.payload.profile, level: levelOf(session.payload.factors) };
  };
  return {
    challenge: null,
    authenticate({ head, cookieDomain }) {
      if (head.flaw('session-username')) return 'failure';
      const session = finder.find(head.header('cookie'), cookieDomain);
      // A proxy that knows whom it has in front of it says so; another person's cookie is then a stolen one.
      const claimed = head.header('session-username') || undefined;
      if (session instanceof Promise) return session.then((found) => recognise(found, claimed));
      return recognise(session, claimed);
    },
  };
}

function sameProfile(a: UserProfile, b: UserProfile): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
