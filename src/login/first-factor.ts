import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { SessionFinder } from '../authn/session-cookie.ts';
import type { PasswordFactor } from '../factors/password-factor.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { CookieDomain } from '../sessions/cookie-domains.ts';
import type { UserBackend } from '../users/backend.ts';
import { createPortalBinding } from './portal-binding.ts';
import type { SignInRecord, SignInSource } from './sign-in-record.ts';

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly remember: boolean;
}

export interface FirstFactorRequest extends Credentials {
  readonly cookieDomain: CookieDomain;
  readonly cookieHeader: string | undefined;
  readonly from: SignInSource;
  /** Where the person is going, as far as that is known. */
  readonly target: { readonly method: string; readonly url: string } | undefined;
}

/** Somebody who has just signed in, and the texts of the two cookies. */
export interface SignedIn {
  readonly session: GatewaySession;
  readonly token: string;
  readonly portalToken: string;
}

export interface FirstFactorDeps {
  readonly users: Pick<UserBackend, 'passwordMark'>;
  readonly password: PasswordFactor;
  readonly sessions: GatewaySessions;
  readonly finder: SessionFinder;
  readonly clock: Clock;
  readonly random: Random;
  readonly signInRecord: SignInRecord;
}

/**
 * Signs a person in with a password: a new session under a new token; the one that the browser had is ended. Null when the
 * credentials do not hold, whatever the reason, nor when the password became another meanwhile. Throws when the user backend or the session store cannot answer.
 */
export async function completeFirstFactor(
  request: FirstFactorRequest,
  deps: FirstFactorDeps,
): Promise<SignedIn | null> {
  const { users, sessions, finder, clock, random } = deps;
  const { username, password, cookieDomain, from, target } = request;
  const { ip } = from;
  const mark = await users.passwordMark?.(username, 'now');
  const user = await deps.password.check({ username, password, ip, target, proof: 'password' });
  if (!user) return null;
  const now = clock.now();
  const before = await finder.findAll(request.cookieHeader, cookieDomain);
  const binding = createPortalBinding(random);
  const started = await sessions.begin({
    userId: user.username,
    cookieDomain: cookieDomain.domain,
    remembered: request.remember && cookieDomain.lifetimes.rememberMe >= 0,
    payload: {
      factors: [{ method: 'password', at: now }],
      profile: user,
      refreshedAt: now,
      device: { userAgent: printable(from.userAgent), ip },
      portalBinding: binding.digest,
    },
  });
  // Who writes a password ends all sessions afterwards: this one, if it was begun before, and if not, it is seen here.
  if ((await users.passwordMark?.(user.username, 'now')) !== mark) {
    await sessions.end(started.session, 'password-changed');
    return null;
  }
  for (const session of before) await sessions.end(session, 'replaced');
  deps.signInRecord.note({ person: user, session: started.session.publicId, from });
  return { ...started, portalToken: binding.token };
}

/** Characters of a browser's name for itself that are kept. */
const USER_AGENT_LIMIT = 512;

/** What is shown again later, also in terminals: nothing in it may be more than text. */
function printable(userAgent = ''): string {
  return userAgent.slice(0, USER_AGENT_LIMIT).replace(/[^ -~]/g, '?');
}
