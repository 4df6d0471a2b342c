import { isHostWithin } from '../lib/https-target.ts';
import type { Lifetimes } from './lifetime.ts';

/** One entry of `session.cookies`, defaults filled in. */
export interface CookieDomain {
  /** Lower case; hosts equal to it or below it belong to it. */
  readonly domain: string;
  readonly cookieName: string;
  readonly sameSite: 'lax' | 'strict' | 'none';
  readonly lifetimes: Lifetimes;
  /** The portal's URL as configured; null in the old schema, where only the proxy names it. */
  readonly portalUrl: string | null;
  /** Where a login without a target leads. */
  readonly defaultRedirectionUrl: string | null;
}

export interface CookieDomains {
  readonly all: readonly CookieDomain[];
  /** The cookie domain that a host (lower case) belongs to. */
  forHost(host: string): CookieDomain | null;
  get(domain: string): CookieDomain | null;
}

/** Hosts whose domain is remembered. */
const REMEMBERED = 2000;

export function createCookieDomains(all: readonly CookieDomain[]): CookieDomains {
  const byDomain = new Map(all.map((entry) => [entry.domain, entry]));
  const byHost = new Map<string, CookieDomain | null>();
  return {
    all,
    get: (domain) => byDomain.get(domain) ?? null,
    forHost(host) {
      const known = byHost.get(host);
      if (known !== undefined) return known;
      const found = all.find((entry) => isHostWithin(host, entry.domain)) ?? null;
      if (byHost.size < REMEMBERED) byHost.set(host, found);
      return found;
    },
  };
}
