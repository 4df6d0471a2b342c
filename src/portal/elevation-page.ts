import type { GatewaySession } from '../authn/gateway-session.ts';
import type { LimitedRoute } from '../factors/throttle.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { Elevation } from '../login/elevation.ts';
import type { Actions } from './actions.ts';
import { allOf } from './all-of.ts';
import { BACK, type ElevationBack } from './elevation-guard.ts';
import { maskAddress } from './mask-address.ts';
import { ownBrowserOnly } from './own-browser.ts';
import type { ElevationPage } from './page-data.ts';
import type { ShowPage } from './pages.ts';
import { choice, fieldOf } from './posted.ts';
import { goingOf, readTarget, targetQuery } from './target-query.ts';

interface ElevationPageDeps {
  readonly actions: Actions;
  readonly elevation: Elevation;
  readonly limited: (route: LimitedRoute) => NonNullable<Route['guard']>;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
}

const PATH = 'settings/elevation';

/**
 * Where a person proves that he is there before credentials change: with a code from his mail, or with his second factor.
 * `back` in the query names the page to which it leads.
 */
export function createElevationPages(deps: ElevationPageDeps): readonly Route[] {
  const { actions, elevation, limited, base, show } = deps;

  /** To the page once more; it leads onward by itself when nothing is missing. */
  const again = (
    request: RouteRequest,
    more: Readonly<Record<string, string>> = {},
    cookies?: readonly string[],
  ): Reply => {
    const { target } = readTarget(actions, request);
    const query = targetQuery(request, target, { back: backIn(request), ...more });
    return seeOther(`${base}${PATH}${query}`, cookies);
  };

  const ownBrowser = ownBrowserOnly(actions, {
    stranger: () => seeOther(base),
    unbound: (request) =>
      show(request, { page: 'problem', status: 403, code: 'sign-in-again', requestId: '' }, 403),
  });

  const form = (
    path: string,
    limit: LimitedRoute | null,
    run: (session: GatewaySession, request: RouteRequest) => Promise<Reply>,
  ): Route => ({
    method: 'POST',
    path: `/form/elevation/${path}`,
    kind: 'form',
    guard: limit === null ? ownBrowser : allOf(ownBrowser, limited(limit)),
    async handle(request) {
      const session = await actions.sessionOf(request);
      return session ? run(session, request) : seeOther(base);
    },
  });

  return [
    {
      method: 'GET',
      path: `/${PATH}`,
      kind: 'page',
      async handle(request) {
        actions.cookieDomainOf(request);
        const session = await actions.sessionOf(request);
        if (!session) return seeOther(base);
        const standing = await elevation.standingOf(session, request.ip);
        const { target } = readTarget(actions, request);
        if (standing.mayChange)
          return seeOther(`${base}${BACK[backIn(request)]}${targetQuery(request, target)}`);
        const { profile } = session.payload;
        const [address] = profile.emails;
        const canShow = standing.needsSecondFactor || standing.canSkip;
        const methods = canShow ? await actions.secondFactor.enrolled(session.userId) : [];
        const page: ElevationPage = {
          page: 'elevation',
          displayName: profile.displayName,
          username: profile.username,
          back: backIn(request),
          going: goingOf(request, target),
          address: address === undefined ? null : maskAddress(address),
          sent: choice(request.query.get('sent'), SENT),
          secondFactor: methods[0] ?? null,
          needsSecondFactor: standing.needsSecondFactor,
          error: choice(request.query.get('error'), ERRORS),
        };
        return show(request, page);
      },
    },
    form('start', 'session_elevation_start', async (session, request) => {
      const sent = await elevation.start(session, actions.sourceOf(request));
      if (typeof sent === 'string') return again(request, { error: 'not-sent' });
      return again(request, { sent: sent.isDelayed ? 'later' : 'now' });
    }),
    form('finish', 'session_elevation_finish', async (session, request) => {
      const sent = { sent: choice(request.query.get('sent'), SENT) ?? 'now' };
      const code = fieldOf(request, 'code').trim();
      if (code === '') return again(request, { ...sent, error: 'missing' });
      const find = (): Promise<GatewaySession | null> => actions.sessionOf(request);
      const raised = await elevation.finish({ session, code, ip: request.ip, find });
      if (!raised) return again(request, { ...sent, error: 'code' });
      return again(request, {}, [actions.raisedCookie(request, raised)]);
    }),
    form('second-factor', null, async (session, request) => {
      const code = fieldOf(request, 'code').trim();
      if (code === '') return again(request, { error: 'missing' });
      const [method] = await actions.secondFactor.enrolled(session.userId);
      if (!method) return again(request);
      const shown = await actions.showSecondFactor(request, session, { method, code, target: null });
      if (shown.status === 'rate-limited') return again(request, { error: 'busy' });
      if (shown.status === 'failure') return again(request, { error: 'second-factor' });
      return again(request, {}, shown.cookies);
    }),
  ];
}

const SENT = ['now', 'later'] as const satisfies readonly ElevationPage['sent'][];
const ERRORS = [
  'code',
  'second-factor',
  'missing',
  'not-sent',
  'busy',
] as const satisfies readonly ElevationPage['error'][];

function backIn(request: RouteRequest): ElevationBack {
  return choice(request.query.get('back'), Object.keys(BACK) as ElevationBack[]) ?? 'security';
}
