import { serializeCookie } from '../http/cookies.ts';
import type { CookieDomain } from './cookie-domains.ts';

/** The `Set-Cookie` of a session that begins; `lifetime` in milliseconds. */
export function sessionCookie(domain: CookieDomain, token: string, lifetime: number): string {
  return serializeCookie(domain.cookieName, token, {
    domain: domain.domain,
    sameSite: domain.sameSite,
    maxAge: lifetime,
  });
}

/** Takes the cookie away. It names the domain, or the browser would keep it. */
export function deletedSessionCookie(domain: CookieDomain): string {
  return serializeCookie(domain.cookieName, '', {
    domain: domain.domain,
    sameSite: domain.sameSite,
    maxAge: 0,
  });
}
