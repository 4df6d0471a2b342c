/**
 * A query string as Go's `net/url` reads it, which is what access control for Authelia is written against: parts are
 * separated by `&`; a part with a semicolon or a malformed escape is dropped; `+` is a space; a part without `=` has
 * an empty value.
 */
import { decodePercent } from '../lib/percent-decoding.ts';

/** Null for a malformed escape. */
function unescape(text: string): string | null {
  return decodePercent(text.includes('+') ? text.replaceAll('+', ' ') : text, 'replace');
}

/** The first value of each key. */
export function parseQuery(query: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  if (query === '') return values;
  for (const part of query.split('&')) {
    if (part === '' || part.includes(';')) continue;
    const equals = part.indexOf('=');
    const key = unescape(equals === -1 ? part : part.slice(0, equals));
    const value = equals === -1 ? '' : unescape(part.slice(equals + 1));
    if (key !== null && value !== null && !values.has(key)) values.set(key, value);
  }
  return values;
}
