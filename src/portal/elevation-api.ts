import type { GatewaySession } from '../authn/gateway-session.ts';
import type { LimitedRoute } from '../factors/throttle.ts';
import { ko, ok, text } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { Elevation } from '../login/elevation.ts';
import type { Actions } from './actions.ts';
import { allOf } from './all-of.ts';
import { members } from './members.ts';
import { ownBrowserOnly } from './own-browser.ts';

export interface ElevationApiDeps {
  readonly actions: Actions;
  readonly elevation: Elevation;
  readonly limited: (route: LimitedRoute) => NonNullable<Route['guard']>;
}

const PATH = '/api/user/session/elevation';

/** Longer texts are no codes, even with blanks around them. */
const LONGEST_CODE = 20;

/** The proof before credentials change, as JSON: how it stands, asking for a code, giving it, making it void. */
export function createElevationApi({ actions, elevation, limited }: ElevationApiDeps): readonly Route[] {
  const forbidden = (): Reply => text(403, '403 Forbidden');
  const ownBrowser = ownBrowserOnly(actions, {
    stranger: forbidden,
    unbound: () => ko(403, 'This browser did not sign in to this session. Sign in again, then repeat this.'),
  });
  const withSession =
    (handle: (session: GatewaySession, request: RouteRequest) => Promise<Reply>) =>
    async (request: RouteRequest): Promise<Reply> => {
      const session = await actions.sessionOf(request);
      return session ? handle(session, request) : forbidden();
    };

  return [
    {
      method: 'GET',
      path: PATH,
      kind: 'json',
      handle: withSession(async (session, { ip }) => {
        const standing = await elevation.standingOf(session, ip);
        return ok({
          require_second_factor: standing.needsSecondFactor,
          skip_second_factor: standing.skipped,
          can_skip_second_factor: standing.canSkip && !standing.skipped,
          factor_knowledge: session.payload.factors.some(({ method }) => method === 'password'),
          elevated: standing.elevated,
          expires: Math.floor(standing.expiresIn / 1000),
        });
      }),
    },
    {
      method: 'POST',
      path: PATH,
      kind: 'json',
      guard: allOf(ownBrowser, limited('session_elevation_start')),
      handle: withSession(async (session, request) => {
        const sent = await elevation.start(session, actions.sourceOf(request));
        if (sent === 'no-address') return ko(403, 'Your account has no mail address to send a code to.');
        if (sent === 'not-sent') return ko(403, 'The code could not be sent.');
        return ok({ delete_id: sent.id, ...(sent.isDelayed && { delayed: true }) });
      }),
    },
    {
      method: 'PUT',
      path: PATH,
      kind: 'json',
      guard: allOf(ownBrowser, limited('session_elevation_finish')),
      handle: withSession(async (session, request) => {
        const { otc } = members(request.body, { otc: 'string' });
        const code = otc?.trim() ?? '';
        if (code === '' || code.length > LONGEST_CODE) return ko(400, 'The code is malformed.');
        const find = (): Promise<GatewaySession | null> => actions.sessionOf(request);
        const raised = await elevation.finish({ session, code, ip: request.ip, find });
        return raised ? ok(undefined, [actions.raisedCookie(request, raised)]) : ko(403, OPERATION_FAILED);
      }),
    },
    {
      method: 'DELETE',
      path: `${PATH}/*`,
      kind: 'json',
      async handle({ path }) {
        const isRevoked = await elevation.revoke(path.slice(PATH.length + 1));
        return isRevoked ? ok() : ko(200, OPERATION_FAILED);
      },
    },
  ];
}

const OPERATION_FAILED = 'Operation failed.';
