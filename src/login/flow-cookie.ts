import { findCookie, serializeCookie } from '../http/cookies.ts';

/**
 * What must be kept of a visitor who is not signed in, between two pages: a short-lived cookie that only the portal's own
 * origin can set (`__Host-`) and only its own pages send. One at a time; each is good for the purpose for which it was
 * made, and for no other.
 */
const NAME = '__Host-sallyport_flow';

/** Purposes and values have no dot. */
export type FlowPurpose = 'reset-password';

/** The `Set-Cookie` of a value; `lifetime` in milliseconds. */
export function flowCookie(purpose: FlowPurpose, value: string, lifetime: number): string {
  return serializeCookie(NAME, `${purpose}.${value}`, { sameSite: 'strict', maxAge: lifetime });
}

/** The value that was kept for this purpose; null when there is none, or two. */
export function flowValue(cookieHeader: string | undefined, purpose: FlowPurpose): string | null {
  const cookie = findCookie(cookieHeader ?? '', NAME);
  return cookie?.startsWith(`${purpose}.`) ? cookie.slice(purpose.length + 1) : null;
}

export function deletedFlowCookie(): string {
  return serializeCookie(NAME, '', { sameSite: 'strict', maxAge: 0 });
}
