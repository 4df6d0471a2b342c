import type { GatewaySession } from '../authn/gateway-session.ts';
import { ko, ok, text } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { Actions } from './actions.ts';
import { ownBrowserOnly } from './own-browser.ts';
import { sessionView } from './sessions-actions.ts';

const PATH = '/api/user/sessions';

/** The sessions of the person who is signed in, as JSON: the list, ending one, ending all others. */
export function createSessionsApi(actions: Actions): readonly Route[] {
  const forbidden = (): Reply => text(403, '403 Forbidden');
  const guard = ownBrowserOnly(actions, {
    stranger: forbidden,
    unbound: () => ko(403, 'This browser did not sign in to this session. Sign in again, then repeat this.'),
  });

  const withSession =
    (handle: (own: GatewaySession, request: RouteRequest) => Promise<Reply>) =>
    async (request: RouteRequest): Promise<Reply> => {
      const own = await actions.sessionOf(request);
      return own ? handle(own, request) : forbidden();
    };

  return [
    {
      method: 'GET',
      path: PATH,
      kind: 'json',
      handle: withSession(async (own) => {
        const all = await actions.sessions.list(own);
        return ok(all.map((one) => ({ ...sessionView(one), current: one.publicId === own.publicId })));
      }),
    },
    {
      method: 'DELETE',
      path: PATH,
      kind: 'json',
      guard,
      handle: withSession(async (own, { ip }) => ok({ ended: await actions.sessions.endOthers(own, ip) })),
    },
    {
      method: 'DELETE',
      path: `${PATH}/*`,
      kind: 'json',
      guard,
      handle: withSession(async (own, request) => {
        const id = request.path.slice(PATH.length + 1);
        if (!(await actions.sessions.end(own, id, request.ip))) return ko(404, 'There is no such session.');
        return ok(undefined, id === own.publicId ? actions.deletedCookies(request) : []);
      }),
    },
  ];
}
