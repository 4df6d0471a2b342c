/** Reading and writing cookies (RFC 6265bis). */

/**
 * The value of a cookie in a `Cookie` header; undefined when it is absent, null when it appears with two different values
 * (another site below the same domain may have planted one of them: then nobody is believed).
 */
export function findCookie(header: string, name: string): string | null | undefined {
  let found: string | undefined;
  let at = 0;
  while ((at = header.indexOf(name, at)) !== -1) {
    const before = at === 0 ? ';' : header[at - 1];
    const after = at + name.length;
    if (
      (before === ';' || before === ' ') &&
      header.charCodeAt(after) === 61 /* = */ &&
      beginsPair(header, at)
    ) {
      const end = header.indexOf(';', after);
      const value = header.slice(after + 1, end === -1 ? undefined : end).trim();
      if (found !== undefined && found !== value) return null;
      found = value;
    }
    at = after;
  }
  return found;
}

/** Every value under a name, each once, at most `limit`. For taking cookies away, never for believing one. */
export function findCookies(header: string, name: string, limit: number): string[] {
  const values = new Set<string>();
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1 && pair.slice(0, equals).trim() === name) values.add(pair.slice(equals + 1).trim());
    if (values.size === limit) break;
  }
  return [...values];
}

/** Whether only blanks stand between `at` and the semicolon (or the beginning) before it. */
function beginsPair(header: string, at: number): boolean {
  let i = at - 1;
  while (i >= 0 && header[i] === ' ') i--;
  return i < 0 || header[i] === ';';
}

export interface CookieAttributes {
  readonly domain?: string;
  /** Milliseconds; absent: until the browser closes; 0: delete. */
  readonly maxAge?: number;
  readonly sameSite: 'lax' | 'strict' | 'none';
}

/** A `Set-Cookie` value: always Path=/, HttpOnly and Secure. */
export function serializeCookie(name: string, value: string, attributes: CookieAttributes): string {
  const parts = [`${name}=${value}`, 'Path=/'];
  if (attributes.domain !== undefined) parts.push(`Domain=${attributes.domain}`);
  if (attributes.maxAge !== undefined) parts.push(`Max-Age=${Math.floor(attributes.maxAge / 1000)}`);
  if (attributes.maxAge === 0) parts.push('Expires=Thu, 01 Jan 1970 00:00:00 GMT');
  const sameSite = { lax: 'Lax', strict: 'Strict', none: 'None' }[attributes.sameSite];
  return [...parts, 'HttpOnly', 'Secure', `SameSite=${sameSite}`].join('; ');
}
