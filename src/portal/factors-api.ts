import type { GatewaySession } from '../authn/gateway-session.ts';
import { ko, ok, text } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { TotpParameters } from '../factors/totp.ts';
import type { Actions } from './actions.ts';
import type { ElevationGuard } from './elevation-guard.ts';
import type { FactorActions, OwnSession, TotpActions } from './factors-actions.ts';
import { maskAddress } from './mask-address.ts';
import { members } from './members.ts';
import { ownBrowserOnly } from './own-browser.ts';

interface FactorsApiDeps {
  readonly actions: Pick<Actions, 'sessionOf' | 'sourceOf'>;
  readonly factors: FactorActions;
  /** Null where nobody can be elevated: then no factor can be changed. */
  readonly elevated: ElevationGuard | null;
  /** Whether any rule demands a second factor: else none is offered, as with Authelia. */
  readonly usesTwoFactor: boolean;
  readonly offers: Offers;
}

/** What clients are told that they may show. */
export interface Offers {
  readonly passwordChange: boolean;
  /** Here, or where the administrator says. */
  readonly passwordReset: boolean;
}

/** The second factors of the person who is signed in, as JSON: what there is, enrolment, removal, recovery codes, the wish. */
export function createFactorsApi(deps: FactorsApiDeps): readonly Route[] {
  const { actions, factors, elevated, usesTwoFactor, offers } = deps;

  const forbidden = (): Reply => text(403, '403 Forbidden');
  const ownBrowser = ownBrowserOnly(actions, {
    stranger: forbidden,
    unbound: () => ko(403, 'This browser did not sign in to this session. Sign in again, then repeat this.'),
  });

  const ownOf = (session: GatewaySession, request: RouteRequest): OwnSession => ({
    session,
    find: () => actions.sessionOf(request),
  });

  type Handle = (session: GatewaySession, request: RouteRequest) => Promise<Reply>;
  const route = (
    method: Route['method'],
    path: string,
    guard: Route['guard'] | null,
    handle: Handle,
  ): Route => ({
    method,
    path,
    kind: 'json',
    ...(guard && { guard }),
    async handle(request) {
      const session = await actions.sessionOf(request);
      return session ? handle(session, request) : forbidden();
    },
  });

  const userInfo: Handle = async ({ userId, payload: { profile } }) => {
    const { method, totp } = await factors.overview(userId);
    return ok({
      display_name: profile.displayName,
      emails: profile.emails.map(maskAddress),
      method,
      has_totp: totp !== null,
      has_webauthn: false,
      has_duo: false,
    });
  };

  const totpRoutes = (totp: TotpActions, elevated: ElevationGuard): readonly Route[] => [
    route('GET', TOTP, null, async ({ userId }) => {
      const { totp: found } = await factors.overview(userId);
      if (!found) return ko(404, 'There is no one-time password.');
      const { createdAt, lastUsedAt, issuer, algorithm, digits, period } = found;
      return ok({
        created_at: timestamp(createdAt),
        ...(lastUsedAt !== null && { last_used_at: timestamp(lastUsedAt) }),
        issuer,
        algorithm,
        digits,
        period,
      });
    }),
    route('DELETE', TOTP, elevated.json, async (session, request) =>
      (await totp.remove(session, actions.sourceOf(request))) ? ok() : failed(),
    ),
    route('GET', REGISTER, elevated.json, async () => {
      const { default: chosen, algorithms, digits, periods } = totp.choices;
      return ok({
        algorithm: chosen.algorithm,
        algorithms,
        length: chosen.digits,
        lengths: digits,
        period: chosen.period,
        periods,
      });
    }),
    route('PUT', REGISTER, elevated.json, async (session, request) => {
      const { algorithm, length, period } = members(request.body, {
        algorithm: 'string',
        length: 'number',
        period: 'number',
      });
      if (algorithm === undefined || length === undefined || period === undefined)
        return ko(400, 'The members algorithm, length and period are required.');
      // Compared with what is allowed, whatever they are.
      const choice = { algorithm, digits: length, period } as TotpParameters;
      const enrolment = await totp.begin(ownOf(session, request), choice);
      if (enrolment === 'not-allowed') return ko(400, 'These parameters are not allowed.');
      if (enrolment === 'gone') return failed();
      return ok({ base32_secret: enrolment.secret, otpauth_url: enrolment.url });
    }),
    route('POST', REGISTER, elevated.json, async (session, request) => {
      const { token } = members(request.body, { token: 'string' });
      if (token === undefined || !/^(?:\d{6}|\d{8})$/.test(token)) return ko(400, 'The code is malformed.');
      const result = await totp.finish(ownOf(session, request), token, actions.sourceOf(request));
      return result.status === 'success' ? ok() : failed();
    }),
    route('DELETE', REGISTER, elevated.json, async (session, request) => {
      await totp.cancel(ownOf(session, request));
      return ok();
    }),
  ];

  return [
    route('GET', '/api/configuration', null, async ({ userId }) => {
      const { available } = await factors.overview(userId);
      return ok({
        available_methods: usesTwoFactor ? available : [],
        password_change_disabled: !offers.passwordChange,
        password_reset_disabled: !offers.passwordReset,
      });
    }),
    route('GET', '/api/user/info', null, userInfo),
    // Authelia repairs the stored method by it; here nothing is stored that could be wrong.
    route('POST', '/api/user/info', null, userInfo),
    route('POST', '/api/user/info/2fa_method', ownBrowser, async ({ userId }, request) => {
      const { method = '' } = members(request.body, { method: 'string' });
      return (await factors.prefer(userId, method)) ? ok() : ko(200, 'Operation failed.');
    }),
    ...(factors.totp && elevated ? totpRoutes(factors.totp, elevated) : []),
    route('GET', RECOVERY, null, async ({ userId }) => {
      const { recoveryCodes } = await factors.overview(userId);
      return ok({ left: recoveryCodes });
    }),
    ...(elevated
      ? [
          route('POST', RECOVERY, elevated.json, async (session, request) => {
            const codes = await factors.renewRecoveryCodes(session, actions.sourceOf(request));
            return codes ? ok({ codes }) : ko(409, NO_FACTOR);
          }),
        ]
      : []),
  ];
}

const TOTP = '/api/secondfactor/totp';
const REGISTER = '/api/secondfactor/totp/register';
const RECOVERY = '/api/secondfactor/recovery-codes';

const NO_FACTOR = 'Recovery codes stand for another second factor; there is none.';

const failed = (): Reply => ko(403, 'Operation failed.');

function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
