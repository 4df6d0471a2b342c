import type { Challenge, Identity } from '../authn/scheme.ts';
import { identityHeaders } from '../decision/identity-headers.ts';
import type { UserProfile } from '../users/backend.ts';

/** Which proxy asks, in which of the four ways. */
export type Dialect = 'forward-auth' | 'auth-request' | 'ext-authz' | 'legacy';

/** What came out, before it is put into the dialect's words. */
export type Outcome =
  | { readonly kind: 'allow'; readonly identity: Identity | null }
  | { readonly kind: 'deny' }
  /** The scheme that answers for itself (Basic). `portal` is added where a browser could go there instead. */
  | { readonly kind: 'credentials'; readonly challenge: Challenge; readonly portal: PortalHandOff | null }
  | {
      readonly kind: 'login';
      readonly portal: PortalHandOff | null;
      readonly wantsHtml: boolean;
      readonly method: string;
    }
  | { readonly kind: 'bad-request'; readonly reason: string }
  | { readonly kind: 'untrusted-peer' }
  | { readonly kind: 'unavailable' };

/** Where the visitor is sent: the portal, with the target (`rd`) and its method (`rm`). */
export interface PortalHandOff {
  readonly portalUrl: string;
  readonly target: string;
  readonly method: string;
}

/** An answer as plain values; `headers` is a flat list of names and values. */
export interface Answer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}

/** Answers are never kept by a cache, and depend on who asks. */
const COMMON = ['Cache-Control', 'no-store', 'Vary', 'Cookie, Authorization'] as const;
/** Bytes. With the other headers an answer stays below the 8 KiB that proxies reserve for it. */
const LOCATION_LIMIT = 7168;

const NOBODY: Answer = allowed(identityHeaders(null));
const ALLOWED = new WeakMap<UserProfile, Answer>();

/** Pure: an outcome in the words of a dialect. 200 comes from an allowing decision and from nothing else. */
export function respond(dialect: Dialect, outcome: Outcome): Answer {
  switch (outcome.kind) {
    case 'allow': {
      if (!outcome.identity) return NOBODY;
      const { user } = outcome.identity;
      let answer = ALLOWED.get(user);
      if (!answer) {
        answer = allowed(identityHeaders(user));
        ALLOWED.set(user, answer);
      }
      return answer;
    }
    case 'deny':
      return FORBIDDEN;
    case 'credentials': {
      const location = outcome.portal ? ['Location', locationOf(outcome.portal)] : [];
      const { status, headers } = outcome.challenge;
      return plain(status, `${status} ${REASON[status]}`, [...headers, ...location]);
    }
    case 'login': {
      if (!outcome.portal) return UNAUTHORIZED;
      const redirects = dialect !== 'auth-request' && outcome.wantsHtml;
      const status = !redirects ? 401 : SAFE_METHODS.has(outcome.method) ? 302 : 303;
      return plain(status, '', ['Location', locationOf(outcome.portal)]);
    }
    case 'bad-request':
      return dialect === 'legacy'
        ? plain(401, `401 Unauthorized: ${outcome.reason}`)
        : plain(400, `400 Bad Request: ${outcome.reason}`);
    case 'untrusted-peer':
      return dialect === 'legacy' ? UNAUTHORIZED : FORBIDDEN;
    case 'unavailable':
      return UNAVAILABLE;
    default:
      return outcome satisfies never;
  }
}

// The same objects each time: the server makes their bytes once.
const FORBIDDEN = plain(403, '403 Forbidden');
const UNAUTHORIZED = plain(401, '401 Unauthorized');
const UNAVAILABLE = plain(503, '503 Service Unavailable', ['Retry-After', '2']);

const REASON = { 401: 'Unauthorized', 407: 'Proxy Authentication Required' } as const;
/** Redirected with 302, which keeps them; others become a GET by 303 (RFC 9110, section 15.4.4). */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** An empty 200: Caddy closes its connection when it leaves a body unread. */
function allowed(identity: readonly string[]): Answer {
  return { status: 200, headers: [...COMMON, ...identity, 'Content-Length', '0'], body: '' };
}

function plain(status: number, text: string, headers: readonly string[] = []): Answer {
  const body = text === '' ? '' : `${text}\n`;
  const type =
    body === '' ? [] : ['Content-Type', 'text/plain; charset=utf-8', 'X-Content-Type-Options', 'nosniff'];
  const length = String(Buffer.byteLength(body));
  return { status, headers: [...COMMON, ...headers, ...type, 'Content-Length', length], body };
}

/**
 * The portal's URL with `rd` and `rm`; its own parameters are kept. A target that is too long for a header loses its query,
 * and if that is not enough its path: the person then lands on the site's front page.
 */
function locationOf({ portalUrl, target, method }: PortalHandOff): string {
  const separator = portalUrl.includes('?') ? '&' : '?';
  const build = (rd: string): string =>
    `${portalUrl}${separator}rd=${encodeURIComponent(rd)}&rm=${encodeURIComponent(method)}`;
  const whole = build(target);
  if (whole.length <= LOCATION_LIMIT) return whole;
  const withoutQuery = build(target.replace(/\?.*$/s, ''));
  if (withoutQuery.length <= LOCATION_LIMIT) return withoutQuery;
  return build(target.replace(/^([^/]*\/\/[^/?]*).*$/s, '$1/'));
}
