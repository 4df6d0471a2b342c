/**
 * A parameter of the authorization request's own query.
 *
 * Caddy appends the visitor's query to the authorization URL, so a parameter that also stands in the visitor's own query
 * was chosen by the visitor and is ignored.
 */
export function ownParameter(query: string, visitorQuery: string, name: string): string | undefined {
  if (query === '') return undefined;
  const value = new URLSearchParams(query).get(name);
  if (value === null || new URLSearchParams(visitorQuery).has(name)) return undefined;
  return value;
}

/** The part of a URI after its first question mark. */
export function queryOf(uri: string): string {
  const mark = uri.indexOf('?');
  return mark === -1 ? '' : uri.slice(mark + 1);
}
