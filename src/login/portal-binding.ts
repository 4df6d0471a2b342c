import { hash, timingSafeEqual } from 'node:crypto';

import type { GatewaySession } from '../authn/gateway-session.ts';
import { findCookie, serializeCookie } from '../http/cookies.ts';
import type { Random } from '../lib/random.ts';

/**
 * The second cookie of a sign-in. Any site below the cookie domain can plant a session cookie of its own there (RFC 6265,
 * section 8.6), and a person who then enrols a factor or consents does so in somebody else's name. This cookie no sibling
 * can plant: its name begins with `__Host-`, so that browsers take it from the portal's own origin only, and the session
 * holds its digest. What changes something about a person asks for it; the decision about requests never does.
 *
 * SameSite=Strict, because only posts of the portal's own pages need it. Somebody who comes to the portal over another
 * address of it than the one where he signed in has no such cookie, and is asked to sign in again before he changes anything.
 */
export interface PortalBinding {
  /** The cookie's text: 256 random bits, base64url. */
  readonly token: string;
  /** What stands in the session: SHA-256 of the text, base64url. */
  readonly digest: string;
}

const NAME = '__Host-sallyport_portal';

export function createPortalBinding(random: Random): PortalBinding {
  const token = random.bytes(32).toString('base64url');
  return { token, digest: digestOf(token) };
}

/** Whether the browser that sends this `Cookie` header is the one that signed in to the session. */
export function isBound({ payload }: GatewaySession, cookieHeader: string | undefined): boolean {
  const token = findCookie(cookieHeader ?? '', NAME);
  if (!token) return false;
  return timingSafeEqual(hash('sha256', token, 'buffer'), Buffer.from(payload.portalBinding, 'base64url'));
}

/** The `Set-Cookie` of a sign-in; `lifetime` in milliseconds. */
export function portalCookie(token: string, lifetime: number): string {
  return serializeCookie(NAME, token, { sameSite: 'strict', maxAge: lifetime });
}

/** Takes the cookie away; none where the browser sent none. */
export function deletedPortalCookie(cookieHeader: string | undefined): readonly string[] {
  const has = findCookie(cookieHeader ?? '', NAME) !== undefined;
  return has ? [serializeCookie(NAME, '', { sameSite: 'strict', maxAge: 0 })] : [];
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64url');
}
