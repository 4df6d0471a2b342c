import type { GatewaySession } from '../authn/gateway-session.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import { createQrCode } from '../lib/qr-code.ts';
import { isBound } from '../login/portal-binding.ts';
import type { TotpEnrolment } from '../factors/totp-factor.ts';
import type { Actions } from './actions.ts';
import { BACK, type ElevationGuard } from './elevation-guard.ts';
import type { FactorActions, OwnSession, TotpActions } from './factors-actions.ts';
import type { Offers } from './factors-api.ts';
import type { RecoveryCodesPage, SecurityPage, TotpPage } from './page-data.ts';
import type { ShowPage } from './pages.ts';
import { choice, fieldOf } from './posted.ts';
import { goingOf, readTarget, targetQuery } from './target-query.ts';

interface FactorsPageDeps {
  readonly actions: Pick<Actions, 'cookieDomainOf' | 'sessionOf' | 'sourceOf' | 'targetOf'>;
  readonly factors: FactorActions;
  /** Null where nobody can be elevated: then no factor can be changed. */
  readonly elevated: ElevationGuard | null;
  readonly clock: Clock;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
  readonly offers: Pick<Offers, 'passwordChange'>;
}

/** The account: what protects it, and the pages and forms on which that is changed. */
export function createFactorsPages(deps: FactorsPageDeps): readonly Route[] {
  const { actions, factors, elevated, clock, base, show } = deps;

  /** To a page of the account, which still knows where the person was going. */
  const to = (
    request: RouteRequest,
    page: keyof typeof BACK,
    more: Readonly<Record<string, string>> = {},
  ): Reply => {
    const { target } = readTarget(actions, request);
    return seeOther(`${base}${BACK[page]}${targetQuery(request, target, more)}`);
  };

  type Handle = (session: GatewaySession, request: RouteRequest) => Promise<Reply>;
  const route = (
    method: 'GET' | 'POST',
    path: string,
    guard: Route['guard'] | null,
    handle: Handle,
  ): Route => ({
    method,
    path: `/${path}`,
    kind: method === 'GET' ? 'page' : 'form',
    ...(guard && { guard }),
    async handle(request) {
      actions.cookieDomainOf(request);
      const session = await actions.sessionOf(request);
      return session ? handle(session, request) : seeOther(base);
    },
  });

  const ownOf = (session: GatewaySession, request: RouteRequest): OwnSession => ({
    session,
    find: () => actions.sessionOf(request),
  });

  const security: Handle = async (session, request) => {
    const { totp, recoveryCodes, available } = await factors.overview(session.userId);
    const { displayName, username } = session.payload.profile;
    const page: SecurityPage = {
      page: 'security',
      now: clock.now(),
      displayName,
      username,
      totp: totp && { createdAt: totp.createdAt, lastUsedAt: totp.lastUsedAt },
      canAddTotp: available.includes('totp'),
      recoveryCodes,
      canChangePassword: deps.offers.passwordChange,
      done: choice(request.query.get('done'), DONE),
      error: choice(request.query.get('error'), SECURITY_ERRORS),
    };
    return show(request, page);
  };

  const recoveryCodesPage: Handle = async (session, request) => {
    const { totp, recoveryCodes } = await factors.overview(session.userId);
    return show(request, { ...NO_CODES, left: recoveryCodes, canMake: totp !== null });
  };

  const totpRoutes = (totp: TotpActions, elevated: ElevationGuard): readonly Route[] => [
    route('GET', BACK.totp, elevated.page('totp'), async (session, request) => {
      // The secret is for the browser that signed in: who has the session cookie alone must not make codes of his own.
      const pending = isBound(session, request.header('cookie')) ? totp.pending(session) : null;
      const found = pending ? null : await factors.overview(session.userId);
      const page: TotpPage = {
        page: 'totp',
        going: goingOf(request, readTarget(actions, request).target),
        enrolment: pending && enrolmentView(pending),
        isReplacing: found !== null && found.totp !== null,
        choices: choicesView(totp),
        error: choice(request.query.get('error'), TOTP_ERRORS),
      };
      return show(request, page);
    }),
    route('POST', 'form/totp/begin', elevated.page('totp'), async (session, request) => {
      const { algorithms, digits, periods } = totp.choices;
      const begun = await totp.begin(ownOf(session, request), {
        ...chosen('algorithm', algorithms, request),
        ...chosen('digits', digits, request),
        ...chosen('period', periods, request),
      });
      return begun === 'gone' ? seeOther(base) : to(request, 'totp');
    }),
    route('POST', 'form/totp/finish', elevated.page('totp'), async (session, request) => {
      const code = fieldOf(request, 'code').trim();
      if (code === '') return to(request, 'totp', { error: 'missing' });
      const result = await totp.finish(ownOf(session, request), code, actions.sourceOf(request));
      if (result.status === 'success') {
        const { target } = readTarget(actions, request);
        return target
          ? seeOther(`${base}${targetQuery(request, target)}`)
          : to(request, 'security', { done: 'totp-added' });
      }
      const isOver = result.reason === 'expired' || result.reason === 'invalid';
      return to(request, 'totp', { error: isOver ? 'expired' : 'code' });
    }),
    route('POST', 'form/totp/cancel', elevated.page('totp'), async (session, request) => {
      await totp.cancel(ownOf(session, request));
      return to(request, 'security');
    }),
    route('POST', 'form/totp/remove', elevated.page('security'), async (session, request) => {
      const isRemoved = await totp.remove(session, actions.sourceOf(request));
      return to(request, 'security', isRemoved ? { done: 'totp-removed' } : { error: 'gone' });
    }),
  ];

  const recoveryRoutes = (elevated: ElevationGuard): readonly Route[] => [
    route('GET', BACK['recovery-codes'], elevated.page('recovery-codes'), recoveryCodesPage),
    // Answered with the page itself: the codes stand nowhere else.
    route('POST', 'form/recovery-codes', elevated.page('recovery-codes'), async (session, request) => {
      const codes = await factors.renewRecoveryCodes(session, actions.sourceOf(request));
      if (!codes) return to(request, 'recovery-codes');
      return show(request, { ...NO_CODES, codes, left: codes.length, canMake: true });
    }),
  ];

  return [
    route('GET', BACK.security, null, security),
    ...(factors.totp && elevated ? totpRoutes(factors.totp, elevated) : []),
    ...(elevated ? recoveryRoutes(elevated) : []),
  ];
}

const NO_CODES: RecoveryCodesPage = { page: 'recovery-codes', codes: null, left: 0, canMake: false };

const DONE = ['totp-added', 'totp-removed'] as const satisfies readonly SecurityPage['done'][];
const SECURITY_ERRORS = ['gone'] as const satisfies readonly SecurityPage['error'][];
const TOTP_ERRORS = ['code', 'missing', 'expired'] as const satisfies readonly TotpPage['error'][];

function enrolmentView({ url, secret, parameters }: TotpEnrolment): NonNullable<TotpPage['enrolment']> {
  const { size, path } = createQrCode(url);
  return { url, secret: secret.replaceAll(/.{4}(?!$)/g, '$& '), qrCode: { size, path }, ...parameters };
}

/** What there is to choose between. */
function choicesView({ choices }: TotpActions): TotpPage['choices'] {
  const { default: first, algorithms, digits, periods } = choices;
  const fields = [
    { name: 'algorithm', options: algorithms, chosen: first.algorithm },
    { name: 'digits', options: digits.map(String), chosen: String(first.digits) },
    { name: 'period', options: periods.map(String), chosen: String(first.period) },
  ] as const;
  return fields.filter(({ options }) => options.length > 1);
}

/** What the form chose of a list, if it did. */
function chosen<K extends string, T extends string | number>(
  name: K,
  known: readonly T[],
  request: RouteRequest,
): { [_ in K]?: T } {
  const text = fieldOf(request, name);
  const found = known.find((one) => String(one) === text);
  return found === undefined ? {} : ({ [name]: found } as { [_ in K]?: T });
}
