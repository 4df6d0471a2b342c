import type { GatewaySession } from '../authn/gateway-session.ts';
import type { PasswordRules } from '../factors/password-policy.ts';
import type { LimitedRoute } from '../factors/throttle.ts';
import { GatewayError } from '../http/errors.ts';
import { ko, ok, text } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import { deletedFlowCookie, flowCookie, flowValue } from '../login/flow-cookie.ts';
import type { PasswordChange } from '../login/password-change.ts';
import type { PasswordReset, Permission } from '../login/password-reset.ts';
import type { Reauthentication } from '../login/reauthentication.ts';
import type { Actions } from './actions.ts';
import { members } from './members.ts';
import { ownBrowserOnly } from './own-browser.ts';

type Guard = NonNullable<Route['guard']>;

/** What people are told about passwords, as JSON, and the password once more. */
export function createPasswordApi(deps: {
  readonly actions: Actions;
  readonly rules: PasswordRules;
  readonly reauthentication: Reauthentication;
}): readonly Route[] {
  const { actions, rules, reauthentication } = deps;
  const ownBrowser = ownBrowserOnly(actions, {
    stranger: () => text(403, '403 Forbidden'),
    unbound: () => ko(403, 'This browser did not sign in to this session. Sign in again, then repeat this.'),
  });
  return [
    {
      method: 'GET',
      path: '/api/configuration/password-policy',
      kind: 'json',
      handle: () => ok({ ...NO_RULES, ...rules }),
    },
    {
      method: 'POST',
      path: '/api/firstfactor/reauthenticate',
      kind: 'json',
      guard: ownBrowser,
      async handle(request) {
        const { password, targetURL, requestMethod } = members(request.body, {
          password: 'string',
          targetURL: 'string',
          requestMethod: 'string',
        });
        const domain = actions.cookieDomainOf(request);
        const session = await actions.sessionOf(request);
        const find = (): Promise<GatewaySession | null> => actions.sessionOf(request);
        const raised =
          session && password
            ? await reauthentication.reauthenticate({ session, password, ip: request.ip, find })
            : null;
        if (!raised) return ko(401, AUTHENTICATION_FAILED);
        const target = actions.targetOf(request, targetURL, requestMethod);
        const redirect = await actions.redirectOf(raised.session, domain, target);
        const cookies = [actions.raisedCookie(request, raised)];
        return ok(redirect === null ? undefined : { redirect }, cookies);
      },
    },
  ];
}

/** A new password for who knows the old one. */
export function createPasswordChangeApi(deps: {
  readonly actions: Actions;
  readonly change: PasswordChange;
  /** `elevation-guard.ts` */
  readonly elevated: Guard;
}): readonly Route[] {
  const { actions, change, elevated } = deps;
  return [
    {
      method: 'POST',
      path: '/api/change-password',
      kind: 'json',
      guard: elevated,
      async handle(request) {
        const { old_password: oldPassword = '', new_password: newPassword = '' } = members(request.body, {
          old_password: 'string',
          new_password: 'string',
        });
        const session = await actions.sessionOf(request);
        if (!session) return text(403, '403 Forbidden');
        const source = actions.sourceOf(request);
        const find = (): Promise<GatewaySession | null> => actions.sessionOf(request);
        const result = await change.change(session, { oldPassword, newPassword, source, find });
        switch (result.status) {
          case 'changed': {
            const { raised } = result;
            return ok(undefined, raised ? [actions.raisedCookie(request, raised)] : []);
          }
          case 'wrong':
            return ko(401, 'Incorrect Password');
          case 'same':
            return ko(400, 'The new password is the old one.');
          case 'weak':
            return ko(400, WEAK);
          case 'refused':
            return ko(400, REFUSED);
          case 'unknown':
            return ko(401, AUTHENTICATION_FAILED);
        }
      },
    },
  ];
}

/** A new password for who can read the mail of the account. */
export function createPasswordResetApi(deps: {
  readonly actions: Actions;
  readonly reset: PasswordReset;
  readonly limited: (route: LimitedRoute) => Guard;
}): readonly Route[] {
  const { actions, reset, limited } = deps;
  const tokenIn = (request: RouteRequest): string => members(request.body, { token: 'string' }).token ?? '';
  const keep = ({ token, lifetime }: Permission): readonly string[] => [
    flowCookie('reset-password', token, lifetime),
  ];

  return [
    {
      method: 'POST',
      path: '/api/reset-password/identity/start',
      kind: 'json',
      guard: limited('reset_password_start'),
      handle(request) {
        const { username = '' } = members(request.body, { username: 'string' });
        startReset(actions, reset, request, username);
        return ok();
      },
    },
    {
      method: 'POST',
      path: '/api/reset-password/identity/finish',
      kind: 'json',
      guard: limited('reset_password_finish'),
      async handle(request) {
        const permission = await reset.accept(tokenIn(request), request.ip);
        return permission ? ok(undefined, keep(permission)) : ko(200, OPERATION_FAILED);
      },
    },
    {
      method: 'POST',
      path: '/api/reset-password',
      kind: 'json',
      guard: limited('reset_password'),
      async handle(request): Promise<Reply> {
        const { password = '' } = members(request.body, { password: 'string' });
        const token = flowValue(request.header('cookie'), 'reset-password');
        if (token === null) return ko(200, NOT_RESET);
        const proof = { kind: 'permission', token } as const;
        const result = await reset.finish(proof, password, actions.sourceOf(request));
        switch (result.status) {
          case 'changed':
            return ok(undefined, [deletedFlowCookie()]);
          case 'gone':
            return { ...ko(200, NOT_RESET), cookies: [deletedFlowCookie()] };
          case 'weak':
            return ko(200, WEAK);
          case 'refused':
            return { ...ko(200, REFUSED), cookies: keep(result.permission) };
          case 'unavailable':
            return {
              ...ko(503, 'Service Unavailable', { 'Retry-After': '2' }),
              cookies: keep(result.permission),
            };
        }
      },
    },
    {
      method: 'DELETE',
      path: '/api/reset-password',
      kind: 'json',
      guard: limited('reset_password_finish'),
      handle: async (request) => ((await reset.revoke(tokenIn(request))) ? ok() : ko(200, OPERATION_FAILED)),
    },
  ];
}

/** Asks for a link, whoever is meant. Refuses where a link would have to believe what the request calls us. */
export function startReset(
  actions: Actions,
  reset: PasswordReset,
  request: RouteRequest,
  username: string,
): void {
  if (actions.cookieDomainOf(request).portalUrl === null) {
    throw new GatewayError(
      'bad-request',
      'A link can only be mailed for a portal whose address is configured: set session.cookies[].authelia_url.',
    );
  }
  reset.request(username, actions.sourceOf(request));
}

/** What Authelia tells where a mode has no such rule. */
const NO_RULES = {
  mode: 'disabled',
  min_length: 0,
  max_length: 0,
  min_score: 0,
  require_uppercase: false,
  require_lowercase: false,
  require_number: false,
  require_special: false,
};

const AUTHENTICATION_FAILED = 'Authentication failed. Check your credentials.';
const OPERATION_FAILED = 'Operation failed.';
const NOT_RESET = 'Unable to reset your password.';
const WEAK = 'Your supplied password does not meet the password policy requirements';
/** The code by which Active Directory refuses a password, and which clients of Authelia know. */
const REFUSED = '0000052D.';
