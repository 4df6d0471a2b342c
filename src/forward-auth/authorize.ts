import { authenticate, type Authentication } from '../authn/authenticate.ts';
import type { AuthnRequest } from '../authn/scheme.ts';
import { decide } from '../decision/decide.ts';
import { nothingProven } from '../decision/factors.ts';
import type { Policy } from '../decision/policy.ts';
import { anonymous, type Decision, type TargetRequest } from '../decision/target.ts';
import type { RequestHead } from '../http/request-head.ts';
import type { TrustedProxies } from '../http/trusted-proxies.ts';
import { parseCanonicalUrl } from '../lib/canonical-url.ts';
import type { Clock } from '../lib/clock.ts';
import { isHostWithin, parseHttpsTarget } from '../lib/https-target.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { CookieDomain, CookieDomains } from '../sessions/cookie-domains.ts';
import { StorageUnavailable } from '../storage/errors.ts';
import { StoreUnavailable } from '../sessions/store.ts';
import { BackendUnavailable } from '../users/backend.ts';
import { createEndpointTable, dialects, type Endpoint } from './endpoints.ts';
import { ownParameter, queryOf } from './query.ts';
import { type Answer, type Outcome, type PortalHandOff, respond } from './respond.ts';

/**
 * The way of an authorization request: match the endpoint, trust the peer, read, make canonical, authenticate, decide,
 * respond. A promise only where a store or a user backend must be asked. Never throws for what a client or proxy sends.
 */
export type Authorize = (head: RequestHead) => MaybePromise<Answer>;

export interface AuthorizeDeps {
  readonly endpoints: readonly Endpoint[];
  readonly policy: Policy;
  readonly cookieDomains: CookieDomains;
  readonly trustedProxies: TrustedProxies;
  readonly clock: Clock;
  /** Called after the outcome is fixed. `error` is what made a store or backend unable to answer. */
  readonly onOutcome: (
    head: RequestHead,
    outcome: Outcome,
    target: TargetRequest | null,
    error?: unknown,
  ) => void;
}

/** What was understood of the question. */
interface Question {
  readonly target: TargetRequest;
  readonly cookieDomain: CookieDomain;
  readonly portal: PortalHandOff | null;
  readonly authn: AuthnRequest;
}

export function createAuthorize(deps: AuthorizeDeps): Authorize {
  const { policy, cookieDomains, trustedProxies, clock, onOutcome } = deps;
  const match = createEndpointTable(deps.endpoints);

  const understand = (
    endpoint: Endpoint,
    head: RequestHead,
    rest: string,
    query: string,
  ): Question | string => {
    const reading = dialects[endpoint.dialect].read({ head, rest, query });
    if ('invalid' in reading) return reading.invalid;
    const uri = decodeUtf8(reading.uri);
    if (uri === null) return 'the URI is not UTF-8';
    if (!METHOD.test(reading.method)) return 'the method is not made of 1 to 20 of the letters A to Z';
    const url = parseCanonicalUrl(reading.scheme, reading.authority, uri);
    if ('invalid' in url) return url.invalid;
    const cookieDomain = cookieDomains.forHost(url.host);
    if (!cookieDomain) return 'the host belongs to no configured cookie domain';
    const ip = trustedProxies.clientOf(head.peer, head.header('x-forwarded-for'));
    if (ip === null || head.flaw('x-forwarded-for')) return 'the header x-forwarded-for is malformed';
    const portalUrl = portalOf(endpoint, cookieDomain, reading.portal);
    if (portalUrl === undefined) return 'the portal that is named is not a configured one';
    const { method } = reading;
    const visitorQuery = queryOf(reading.uri);
    return {
      target: { url, method, ip },
      cookieDomain,
      portal: portalUrl === null ? null : { portalUrl, target: url.href, method },
      authn: { head, cookieDomain, ip, parameter: (name) => ownParameter(query, visitorQuery, name) },
    };
  };

  const conclude = (endpoint: Endpoint, question: Question, authentication: Authentication): Outcome => {
    const { identity, failed, challenge } = authentication;
    const { target, portal, authn } = question;
    const subject = identity?.user ?? anonymous;
    const proven = identity ? { factors: identity.factors, now: clock.now() } : nothingProven;
    const decision: Decision = decide(policy, target, subject, identity?.level ?? 0, proven);
    if (decision.outcome === 'allow') {
      const mayPass = !identity?.isDegraded || decision.required === 'bypass' || READING.has(target.method);
      return mayPass ? { kind: 'allow', identity } : { kind: 'unavailable' };
    }
    // Credentials that do not hold are told so, where a scheme can say it.
    if (decision.outcome === 'deny' && !(failed && challenge)) return { kind: 'deny' };
    // To sign in is not possible while the store is down.
    if (identity?.isDegraded) return { kind: 'unavailable' };
    if (!challenge) return { kind: 'login', portal, wantsHtml: wantsHtml(authn.head), method: target.method };
    const helps = endpoint.dialect === 'auth-request' && endpoint.usesSessions;
    return { kind: 'credentials', challenge, portal: helps ? portal : null };
  };

  /** The store cannot answer: rules that ask nothing of anybody go on, everything else is told to come again. */
  const withoutStore = (question: Question, error: unknown): Outcome => {
    if (!OUTAGES.some((outage) => error instanceof outage)) throw error;
    const decision = decide(policy, question.target, anonymous, 0);
    return decision.outcome === 'allow' ? { kind: 'allow', identity: null } : { kind: 'unavailable' };
  };

  return (head) => {
    const mark = head.target.indexOf('?');
    const path = mark === -1 ? head.target : head.target.slice(0, mark);
    const query = mark === -1 ? '' : head.target.slice(mark + 1);
    const found = match(path);
    if (!found) return NOT_FOUND;
    const { endpoint, rest } = found;
    const { dialect } = endpoint;
    const { methods } = dialects[dialect];
    if (methods && !methods.has(head.method)) return METHOD_NOT_ALLOWED;

    let target: TargetRequest | null = null;
    const finish = (outcome: Outcome, error?: unknown): Answer => {
      onOutcome(head, outcome, target, error);
      return respond(dialect, outcome);
    };

    if (!trustedProxies.isTrusted(head.peer)) return finish({ kind: 'untrusted-peer' });
    const question = understand(endpoint, head, rest, query);
    if (typeof question === 'string') return finish({ kind: 'bad-request', reason: question });
    target = question.target;
    try {
      const authentication = authenticate(endpoint.schemes, question.authn);
      if (authentication instanceof Promise) {
        return authentication.then(
          (settled) => finish(conclude(endpoint, question, settled)),
          (error: unknown) => finish(withoutStore(question, error), error),
        );
      }
      return finish(conclude(endpoint, question, authentication));
    } catch (error) {
      return finish(withoutStore(question, error), error);
    }
  };
}

/** What is a 503 and no fault of ours. The last one keeps passwords of Basic from being counted. */
const OUTAGES = [StoreUnavailable, BackendUnavailable, StorageUnavailable];

/** The method comes back in `Location`, so it has a bound. */
const METHOD = /^[A-Z]{1,20}$/;

/** Methods that only read (RFC 9110, section 9.2.1). */
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

const NOT_FOUND = fixed(404, 'Not Found');
const METHOD_NOT_ALLOWED = fixed(405, 'Method Not Allowed', ['Allow', 'GET, HEAD']);

function fixed(status: number, reason: string, more: readonly string[] = []): Answer {
  const body = `${status} ${reason}\n`;
  const type = ['Content-Type', 'text/plain; charset=utf-8', 'Content-Length', String(body.length)];
  return { status, headers: [...more, 'Cache-Control', 'no-store', ...type], body };
}

/**
 * The portal that a visitor is sent to: the configured one, null where none is known, undefined when the proxy names one
 * that may not be used. A named portal counts only if it is the configured one; in the old session schema, which configures
 * none, it must be an https URL inside the cookie domain. The legacy dialect sends nobody anywhere unless a portal is named.
 */
function portalOf(
  endpoint: Endpoint,
  domain: CookieDomain,
  named: string | undefined,
): string | null | undefined {
  if (named === undefined) return endpoint.dialect === 'legacy' ? null : domain.portalUrl;
  const url = parseHttpsTarget(named);
  if (!url || !isHostWithin(url.host, domain.domain)) return undefined;
  return domain.portalUrl === null || domain.portalUrl === url.href ? url.href : undefined;
}

/** Background requests and clients that do not read HTML are not redirected: they could not follow to a login page. */
function wantsHtml(head: RequestHead): boolean {
  if (head.header('x-requested-with')?.toLowerCase() === 'xmlhttprequest') return false;
  const accept = head.header('accept');
  return accept !== undefined && (accept.includes('text/html') || /^\s*\*\/\*/.test(accept));
}

const STRICT_UTF8 = new TextDecoder('utf-8', { fatal: true });
// Header values arrive as one character for each byte.
const BYTES = /[\x80-\xff]/;

function decodeUtf8(text: string): string | null {
  if (!BYTES.test(text)) return text;
  try {
    return STRICT_UTF8.decode(Buffer.from(text, 'latin1'));
  } catch {
    return null;
  }
}
