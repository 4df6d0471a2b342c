import type { GatewaySession } from '../authn/gateway-session.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { SecondFactorMethod } from '../login/next-step.ts';
import type { RedirectTarget } from '../login/redirect-target.ts';
import type { Actions, Step } from './actions.ts';
import { ownBrowserOnly } from './own-browser.ts';
import type { SecondFactorPage } from './page-data.ts';
import type { ShowPage } from './pages.ts';
import { choice, fieldOf } from './posted.ts';
import { pageTargetOf, readTarget, targetQuery } from './target-query.ts';

interface SecondFactorPageDeps {
  readonly actions: Actions;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
}

export interface SecondFactorPages {
  readonly routes: readonly Route[];
  /** The page for who has come to the step `second-factor`, `enrol` or `out-of-reach`. */
  readonly page: (request: RouteRequest, session: GatewaySession, step: Step) => Reply;
  /** Where one can be shown that is not asked for. */
  readonly linkOf: (step: Step) => string | null;
}

/** Below the base; Authelia's own, where it has one. */
const PATHS = {
  totp: '2fa/one-time-password',
  'recovery-code': '2fa/recovery-code',
} as const satisfies Record<SecondFactorMethod, string>;

const METHODS = Object.keys(PATHS) as SecondFactorMethod[];

/** The second factor at sign-in: a page and a form for each method. The address keeps where the person was going. */
export function createSecondFactorPages(deps: SecondFactorPageDeps): SecondFactorPages {
  const { actions, base, show } = deps;

  const targetIn = (request: RouteRequest): RedirectTarget | null => readTarget(actions, request).target;

  const pageOf = (
    request: RouteRequest,
    session: GatewaySession,
    methods: readonly SecondFactorMethod[],
    more: { readonly method?: SecondFactorMethod; readonly canEnrol?: boolean } = {},
  ): Reply => {
    const target = targetIn(request);
    const pageTarget = pageTargetOf(target);
    const method = more.method ?? methods[0] ?? null;
    const query = targetQuery(request, target);
    const { displayName, username } = session.payload.profile;
    const page: SecondFactorPage = {
      page: 'second-factor',
      displayName,
      username,
      target: pageTarget,
      isAgain: session.payload.factors.some((factor) => factor.method !== 'password'),
      form: method && {
        method,
        action: `${base}form/${PATHS[method]}${query}`,
        others: methods
          .filter((one) => one !== method)
          .map((one) => ({ method: one, href: `${base}${PATHS[one]}${query}` })),
      },
      enrol: more.canEnrol ? `${base}settings/totp${query}` : null,
      error: choice(request.query.get('error'), ERRORS),
    };
    return show(request, page, 200, pageTarget);
  };

  /** Which methods a person may use now: what the target wants, else all that he has. */
  const methodsFor = async (
    session: GatewaySession,
    { next }: Step,
  ): Promise<readonly SecondFactorMethod[]> =>
    next.kind === 'second-factor' ? next.methods : actions.secondFactor.enrolled(session.userId);

  const routes = METHODS.flatMap((method): readonly Route[] => [
    {
      method: 'GET',
      path: `/${PATHS[method]}`,
      kind: 'page',
      async handle(request) {
        const domain = actions.cookieDomainOf(request);
        const session = await actions.sessionOf(request);
        const target = targetIn(request);
        const step = await actions.next(session, domain, target);
        const elsewhere = seeOther(`${base}${targetQuery(request, target)}`);
        if (!session || step.next.kind === 'target') return elsewhere;
        const methods = await methodsFor(session, step);
        return methods.includes(method) ? pageOf(request, session, methods, { method }) : elsewhere;
      },
    },
    {
      method: 'POST',
      path: `/form/${PATHS[method]}`,
      kind: 'form',
      guard: ownBrowserOnly(actions, {
        stranger: (request) => seeOther(`${base}${targetQuery(request, targetIn(request))}`),
        unbound: (request) =>
          show(request, { page: 'problem', status: 403, code: 'sign-in-again', requestId: '' }, 403),
      }),
      async handle(request) {
        const session = await actions.sessionOf(request);
        const target = targetIn(request);
        const back = (error: SecondFactorError): Reply =>
          seeOther(`${base}${PATHS[method]}${targetQuery(request, target, { error })}`);
        const code = fieldOf(request, 'code');
        if (!session) return seeOther(`${base}${targetQuery(request, target)}`);
        if (code.trim() === '') return back('missing');
        const result = await actions.showSecondFactor(request, session, { method, code, target });
        if (result.status === 'failure') return back('code');
        if (result.status === 'rate-limited') return back('busy');
        const { redirect } = result;
        return seeOther(redirect ?? `${base}${targetQuery(request, target)}`, result.cookies);
      },
    },
  ]);

  return {
    routes,
    linkOf({ next }) {
      const [method] = next.kind === 'stay' ? next.methods : [];
      return method === undefined ? null : base + PATHS[method];
    },
    page: (request, session, step) =>
      step.next.kind === 'second-factor'
        ? pageOf(request, session, step.next.methods)
        : pageOf(request, session, [], { canEnrol: step.next.kind === 'enrol' }),
  };
}

type SecondFactorError = NonNullable<SecondFactorPage['error']>;

const ERRORS = ['code', 'missing', 'busy'] as const satisfies readonly SecondFactorError[];
