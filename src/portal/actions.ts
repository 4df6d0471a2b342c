import { findCookie, findCookies } from '../http/cookies.ts';
import { GatewayError } from '../http/errors.ts';
import type { RouteRequest } from '../http/route.ts';
import { type GatewaySession, type GatewaySessions, levelOf } from '../authn/gateway-session.ts';
import type { SessionFinder } from '../authn/session-cookie.ts';
import { requiredLevel } from '../decision/decide.ts';
import type { Policy } from '../decision/policy.ts';
import { anonymous } from '../decision/target.ts';
import type { Events } from '../events.ts';
import type { PasswordFactor } from '../factors/password-factor.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import { completeFirstFactor } from '../login/first-factor.ts';
import { nextStep, type NextStep, type SecondFactorMethod } from '../login/next-step.ts';
import { deletedPortalCookie, portalCookie } from '../login/portal-binding.ts';
import type { NoticeSource } from '../login/notices.ts';
import { parseRedirectTarget, type RedirectTarget } from '../login/redirect-target.ts';
import type { SignInRecord } from '../login/sign-in-record.ts';
import type { SecondFactor, SecondFactorResult } from '../login/second-factor.ts';
import type { CookieDomain, CookieDomains } from '../sessions/cookie-domains.ts';
import { deletedSessionCookie, sessionCookie } from '../sessions/session-cookie.ts';
import type { UserBackend } from '../users/backend.ts';
import { createSessionActions, type SessionActions } from './sessions-actions.ts';

/** What people do at the portal, written once: the JSON door and the HTML door both lead here. */
export interface Actions {
  /** The cookie domain of the portal that was reached, or an error that says what is wrong with the way here. */
  cookieDomainOf(request: RouteRequest): CookieDomain;
  /** The session of the visitor at this portal; null for strangers and on hosts that belong to no cookie domain. */
  sessionOf(request: RouteRequest): Promise<GatewaySession | null>;
  /** The safe target that was named, for this method (`rm`). */
  targetOf(request: RouteRequest, text: unknown, method?: unknown): RedirectTarget | null;
  /** What a person must do next for a target, and where that is. */
  next(session: GatewaySession | null, domain: CookieDomain, target: RedirectTarget | null): Promise<Step>;
  /**
   * Where somebody goes on who has just shown something. Null for the portal, which says what is missing; also where that
   * cannot be found out now, so that the cookie of what was shown is never lost.
   */
  redirectOf(
    session: GatewaySession,
    domain: CookieDomain,
    target: RedirectTarget | null,
  ): Promise<string | null>;
  /** Null when the credentials do not hold. */
  signIn(request: RouteRequest, form: SignInForm): Promise<Onward | null>;
  /** Shows a second factor: a success leads on like a sign-in, and its cookies take the place of the earlier ones. */
  showSecondFactor(
    request: RouteRequest,
    session: GatewaySession,
    form: SecondFactorForm,
  ): Promise<
    ({ readonly status: 'success' } & Onward) | Exclude<SecondFactorResult, { readonly status: 'success' }>
  >;
  readonly secondFactor: SecondFactor;
  /** Where a request comes from, for the mail that tells of it. */
  sourceOf(request: RouteRequest): NoticeSource & { readonly ip: string };
  /** The `Set-Cookie` of a session that goes on under a new token. */
  raisedCookie(
    request: RouteRequest,
    raised: { readonly session: GatewaySession; readonly token: string },
  ): string;
  /** The cookies to send. Ends the session for good: it holds for the very next request. */
  signOut(request: RouteRequest): Promise<readonly string[]>;
  /** Takes away those of our cookies that the browser sent. */
  deletedCookies(request: RouteRequest): readonly string[];
  readonly sessions: SessionActions;
}

export interface Step {
  readonly next: NextStep;
  /** Where to go, for the steps `target` and `default-redirection`. */
  readonly redirect: string | null;
}

/** After something was shown: where to go (see `redirectOf`), and the cookies to send. */
export interface Onward {
  readonly redirect: string | null;
  readonly cookies: readonly string[];
}

export interface SignInForm {
  readonly username: string;
  readonly password: string;
  readonly remember: boolean;
  readonly target: RedirectTarget | null;
}

export interface SecondFactorForm {
  readonly method: SecondFactorMethod;
  readonly code: string;
  readonly target: RedirectTarget | null;
}

export interface ActionDeps {
  readonly cookieDomains: CookieDomains;
  readonly policy: Policy;
  readonly users: UserBackend;
  readonly sessions: GatewaySessions;
  readonly finder: SessionFinder;
  readonly secondFactor: SecondFactor;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly password: PasswordFactor;
  readonly signInRecord: SignInRecord;
  readonly events: Pick<Events, 'sessionsRevoked'>;
}

/** Methods as proxies name them in `rm`. */
const METHOD = /^[A-Z]{1,20}$/;

export function createActions(deps: ActionDeps): Actions {
  const { cookieDomains, policy, sessions, finder, secondFactor, clock } = deps;

  const domainOf = (request: RouteRequest): CookieDomain | null =>
    cookieDomains.forHost(request.host.replace(/:\d+$/, ''));

  const next: Actions['next'] = async (session, domain, target) => {
    const subject = session?.payload.profile ?? anonymous;
    const factors = session?.payload.factors ?? [];
    const situation = {
      level: levelOf(factors),
      proven: { factors, now: clock.now() },
      required: target && requiredLevel(policy, target.request, subject),
      enrolled: null,
      offered: secondFactor.offered,
      usesTwoFactor: policy.usesTwoFactor,
      hasDefaultRedirection: domain.defaultRedirectionUrl !== null,
    };
    let step = nextStep(situation);
    // Asked of the storage only where it matters: who needs no second factor does not wait for it.
    if (session && 'methods' in step) {
      step = nextStep({ ...situation, enrolled: await secondFactor.enrolled(session.userId) });
    }
    if (step.kind === 'target') return { next: step, redirect: target?.href ?? null };
    const redirect = step.kind === 'default-redirection' ? domain.defaultRedirectionUrl : null;
    return { next: step, redirect };
  };

  // What went wrong comes again on the page of the portal, and is told there.
  const redirectOf: Actions['redirectOf'] = (session, domain, target) =>
    next(session, domain, target).then(
      ({ redirect }) => redirect,
      () => null,
    );

  /** As configured: what a mail links to must not be what a request called us. */
  const portalUrlOf = (request: RouteRequest): string => {
    const configured = domainOf(request)?.portalUrl;
    return configured ? configured.replace(/\/?$/, '/') : `${request.scheme}://${request.host}${deps.base}`;
  };

  const sourceOf: Actions['sourceOf'] = (request) => ({
    ip: request.ip,
    userAgent: request.header('user-agent'),
    languages: request.header('accept-language'),
    portalUrl: portalUrlOf(request),
  });

  const raisedCookie: Actions['raisedCookie'] = (request, { session, token }) =>
    sessionCookie(cookieDomainOf(request), token, session.expiresAt - clock.now());

  const sessionOf: Actions['sessionOf'] = async (request) => {
    const domain = domainOf(request);
    if (!domain) return null;
    const session = await finder.find(request.header('cookie'), domain);
    if (session) sessions.noteActivity(session);
    return session;
  };

  const cookieDomainOf: Actions['cookieDomainOf'] = (request) => {
    if (request.scheme !== 'https') {
      throw new GatewayError(
        'bad-request',
        'The portal is served over https only. A proxy in front of it must send X-Forwarded-Proto: https and be listed in server.trusted_proxies.',
      );
    }
    const domain = domainOf(request);
    if (!domain)
      throw new GatewayError('bad-request', 'This host belongs to no cookie domain of session.cookies.');
    return domain;
  };

  const deletedCookies = (request: RouteRequest): readonly string[] => {
    const domain = domainOf(request);
    if (!domain) return [];
    const header = request.header('cookie');
    const hasCookie = findCookie(header ?? '', domain.cookieName) !== undefined;
    return [...(hasCookie ? [deletedSessionCookie(domain)] : []), ...deletedPortalCookie(header)];
  };

  return {
    cookieDomainOf,
    deletedCookies,
    next,
    redirectOf,
    sessions: createSessionActions(sessions, deps.events),

    sessionOf,
    secondFactor,
    sourceOf,
    raisedCookie,

    targetOf(request, text, method) {
      const rm = typeof method === 'string' && METHOD.test(method) ? method : 'GET';
      return parseRedirectTarget(text, { cookieDomains, method: rm, ip: request.ip });
    },

    async signIn(request, form) {
      const cookieDomain = cookieDomainOf(request);
      const { username, password, remember } = form;
      const started = await completeFirstFactor(
        {
          username,
          password,
          remember,
          cookieDomain,
          cookieHeader: request.header('cookie'),
          target: loggedTarget(form.target),
          from: sourceOf(request),
        },
        deps,
      );
      if (!started) return null;
      const { session, token, portalToken } = started;
      const lifetime = session.expiresAt - session.createdAt;
      return {
        redirect: await redirectOf(session, cookieDomain, form.target),
        cookies: [sessionCookie(cookieDomain, token, lifetime), portalCookie(portalToken, lifetime)],
      };
    },

    async showSecondFactor(request, session, { method, code, target }) {
      const cookieDomain = cookieDomainOf(request);
      const from = sourceOf(request);
      const result = await secondFactor.complete({
        session,
        method,
        code,
        from,
        target: loggedTarget(target),
        find: () => sessionOf(request),
      });
      if (result.status !== 'success') return result;
      const { session: risen, token } = result;
      return {
        status: 'success',
        redirect: await redirectOf(risen, cookieDomain, target),
        cookies: [raisedCookie(request, { session: risen, token })],
      };
    },

    async signOut(request) {
      const domain = domainOf(request);
      const header = request.header('cookie');
      if (domain) {
        for (const token of findCookies(header ?? '', domain.cookieName, 8)) sessions.forgetVerified(token);
        for (const session of await finder.findAll(header, domain)) await sessions.end(session, 'logout');
      }
      return deletedCookies(request);
    },
  };
}

/** A target as the log of attempts has it. */
function loggedTarget(
  target: RedirectTarget | null,
): { readonly method: string; readonly url: string } | undefined {
  return target ? { method: target.request.method, url: target.href } : undefined;
}
