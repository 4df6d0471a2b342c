import { parseCanonicalUrl } from '../lib/canonical-url.ts';
import { parseHttpsTarget } from '../lib/https-target.ts';
import type { TargetRequest } from '../decision/target.ts';
import type { CookieDomains } from '../sessions/cookie-domains.ts';

/** Where a person may be sent after signing in or out. */
export interface RedirectTarget {
  /** The serialised URL: never the text that was given. */
  readonly href: string;
  /** Host, with the port if it is not the usual one. */
  readonly site: string;
  readonly request: TargetRequest;
}

/**
 * The safe target in a text that a client gave, or null: an https URL of a configured cookie domain in its one spelling,
 * bounded in length. A portal that carries another target inside (`rd`) is none: it would lead on to anywhere.
 */
export function parseRedirectTarget(
  text: unknown,
  context: { readonly cookieDomains: CookieDomains; readonly method: string; readonly ip: string },
): RedirectTarget | null {
  const url = parseHttpsTarget(text);
  if (!url || !context.cookieDomains.forHost(url.host)) return null;
  const parsed = new URL(url.href);
  const leadsOn = parsed.searchParams.has('rd') || parsed.searchParams.has('targetURL');
  if (leadsOn && isPortal(parsed.host, context.cookieDomains)) return null;
  const canonical = parseCanonicalUrl('https', parsed.host, parsed.pathname + parsed.search);
  if ('invalid' in canonical) return null;
  const { method, ip } = context;
  return { href: url.href, site: parsed.host, request: { url: canonical, method, ip } };
}

function isPortal(host: string, { all }: CookieDomains): boolean {
  return all.some(({ portalUrl }) => portalUrl !== null && new URL(portalUrl).host === host);
}
