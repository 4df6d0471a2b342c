import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { SessionFinder } from '../authn/session-cookie.ts';
import { addressShare } from '../lib/address-share.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { CookieDomain } from '../sessions/cookie-domains.ts';
import type { UserBackend } from '../users/backend.ts';
import { createPortalBinding } from './portal-binding.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly remember: boolean;
}

export interface FirstFactorRequest extends Credentials {
  readonly cookieDomain: CookieDomain;
  readonly cookieHeader: string | undefined;
  readonly userAgent: string | undefined;
  readonly ip: string;
}

/** Somebody who has just signed in, and the texts of the two cookies. */
export interface SignedIn {
  readonly session: GatewaySession;
  readonly token: string;
  readonly portalToken: string;
}

export interface FirstFactorDeps {
  readonly users: UserBackend;
  readonly sessions: GatewaySessions;
  readonly finder: SessionFinder;
  readonly clock: Clock;
  readonly random: Random;
  readonly onAttempt: (attempt: {
    readonly username: string;
    readonly ip: string;
    readonly success: boolean;
  }) => void;
}

/**
 * Signs a person in with a password: a new session under a new token; the one that the browser had is ended. Null when the
 * credentials do not hold, whatever the reason. Throws when the user backend or the session store cannot answer.
 */
export async function completeFirstFactor(
  request: FirstFactorRequest,
  deps: FirstFactorDeps,
): Promise<SignedIn | null> {
  const { users, sessions, finder, clock, random } = deps;
  const { username, password, cookieDomain, ip } = request;
  const result = await users.checkPassword(username, password, `form ${addressShare(ip)}`);
  deps.onAttempt({ username, ip, success: result.status === 'success' });
  if (result.status === 'failure') return null;
  const now = clock.now();
  const before = await finder.findAll(request.cookieHeader, cookieDomain);
  const binding = createPortalBinding(random);
  const started = await sessions.begin({
    userId: result.user.username,
    cookieDomain: cookieDomain.domain,
    remembered: request.remember && cookieDomain.lifetimes.rememberMe >= 0,
    payload: {
      factors: [{ method: 'password', at: now }],
      profile: result.user,
      refreshedAt: now,
      device: { userAgent: printable(request.userAgent), ip },
      portalBinding: binding.digest,
    },
  });
  for (const session of before) await sessions.end(session, 'replaced');
  return { ...started, portalToken: binding.token };
}

/** Characters of a browser's name for itself that are kept. */
const USER_AGENT_LIMIT = 512;

/** What is shown again later, also in terminals: nothing in it may be more than text. */
function printable(userAgent = ''): string {
  return userAgent.slice(0, USER_AGENT_LIMIT).replace(/[^ -~]/g, '?');
}
