import type { GatewaySession } from '../authn/gateway-session.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { Reauthentication } from '../login/reauthentication.ts';
import type { Actions } from './actions.ts';
import { ownBrowserOnly } from './own-browser.ts';
import type { PasswordAgainPage } from './page-data.ts';
import type { ShowPage } from './pages.ts';
import { choice, fieldOf } from './posted.ts';
import { pageTargetOf, readTarget, targetQuery } from './target-query.ts';

const FORM = 'form/reauthenticate';

/** The password once more, for a page that asks for a fresh one. Its address keeps where the person was going. */
export function passwordAgainPage(
  request: RouteRequest,
  session: GatewaySession,
  actions: Pick<Actions, 'targetOf'>,
  base: string,
): PasswordAgainPage {
  const { target } = readTarget(actions, request);
  const { displayName, username } = session.payload.profile;
  return {
    page: 'password-again',
    displayName,
    username,
    target: pageTargetOf(target),
    action: `${base}${FORM}${targetQuery(request, target)}`,
    error: choice(request.query.get('error'), ERRORS),
  };
}

export function createReauthenticationForm(deps: {
  readonly actions: Actions;
  readonly reauthentication: Reauthentication;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
}): readonly Route[] {
  const { actions, reauthentication, base, show } = deps;
  const start = (request: RouteRequest, error?: NonNullable<PasswordAgainPage['error']>): Reply => {
    const { target } = readTarget(actions, request);
    return seeOther(`${base}${targetQuery(request, target, error && { error })}`);
  };
  return [
    {
      method: 'POST',
      path: `/${FORM}`,
      kind: 'form',
      guard: ownBrowserOnly(actions, {
        stranger: (request) => start(request),
        unbound: (request) =>
          show(request, { page: 'problem', status: 403, code: 'sign-in-again', requestId: '' }, 403),
      }),
      async handle(request) {
        const domain = actions.cookieDomainOf(request);
        const session = await actions.sessionOf(request);
        if (!session) return start(request);
        const password = fieldOf(request, 'password');
        if (password === '') return start(request, 'missing');
        const find = (): Promise<GatewaySession | null> => actions.sessionOf(request);
        const raised = await reauthentication.reauthenticate({ session, password, ip: request.ip, find });
        if (!raised) return start(request, 'credentials');
        const { target } = readTarget(actions, request);
        const redirect = await actions.redirectOf(raised.session, domain, target);
        return seeOther(redirect ?? `${base}${targetQuery(request, target)}`, [
          actions.raisedCookie(request, raised),
        ]);
      },
    },
  ];
}

const ERRORS = ['credentials', 'missing'] as const satisfies readonly PasswordAgainPage['error'][];
