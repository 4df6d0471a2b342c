import type { CompletedFactor } from '../decision/factors.ts';
import type { AuthenticationLevel } from '../decision/target.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { CookieDomain } from '../sessions/cookie-domains.ts';
import type { UserProfile } from '../users/backend.ts';

/** Somebody who was recognised. */
export interface Identity {
  readonly user: UserProfile;
  readonly level: AuthenticationLevel;
  /** What was proven, and when. */
  readonly factors: readonly CompletedFactor[];
  /** Not from the store, which is down, but from what this process saw in it a short while ago: good for reading only. */
  readonly isDegraded?: boolean;
}

export interface AuthnRequest {
  readonly head: RequestHead;
  /** The query of the authorization request itself. */
  readonly parameter: (name: string) => string | undefined;
  readonly cookieDomain: CookieDomain;
  /** The client's address. */
  readonly ip: string;
}

/**
 * What a scheme finds: nothing that concerns it, somebody, or credentials that do not hold. It throws `StoreUnavailable`,
 * `BackendUnavailable` or `StorageUnavailable` when it cannot know.
 */
export type SchemeResult = Identity | 'skip' | 'failure';

/** How a scheme asks for credentials: a status and its header (RFC 9110, sections 11.6.1 and 11.7.1). */
export interface Challenge {
  readonly status: 401 | 407;
  readonly headers: readonly string[];
}

/** One way of saying who one is. */
export interface Scheme {
  /** Its own answer to somebody who may not pass; null: the dialect's (a redirect to the portal). */
  readonly challenge: Challenge | null;
  authenticate(request: AuthnRequest): MaybePromise<SchemeResult>;
}
