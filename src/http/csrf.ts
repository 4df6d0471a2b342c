/** Where a state-changing request came from, as the browser says. */
export interface RequestSource {
  /** `Sec-Fetch-Site` (Fetch Metadata). */
  readonly site: string | undefined;
  /** `Origin` (RFC 6454, section 7). */
  readonly origin: string | undefined;
  /** The portal's own origin, for example `https://auth.example.com`. */
  readonly portal: string;
  /** Whether the body is JSON, which no form of another site can post. */
  readonly json: boolean;
}

/**
 * Whether a request may change something. Browsers say `Sec-Fetch-Site: same-origin`, with the portal's Origin, none, or
 * `null` (a page without a referrer). Older ones send only the Origin. Clients that are no browser send neither: they carry
 * no cookies that somebody else could use, and may send JSON.
 */
export function isOwnRequest({ site, origin, portal, json }: RequestSource): boolean {
  if (site !== undefined) {
    return site === 'same-origin' && (origin === undefined || origin === 'null' || origin === portal);
  }
  return origin === undefined ? json : origin === portal;
}
