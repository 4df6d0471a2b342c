import type { GatewaySession } from '../authn/gateway-session.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Actions } from './actions.ts';
import { ownBrowserOnly } from './own-browser.ts';
import type { Page, SessionEntry, SessionsPage } from './page-data.ts';
import { deviceNames } from './sessions-device.ts';

interface SessionsPageDeps {
  readonly actions: Actions;
  readonly clock: Clock;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: (request: RouteRequest, page: Page, status?: number) => Reply;
}

const PATH = '/settings/sessions';

/** Where a person is signed in: the list, and the forms that end one session or all others. */
export function createSessionsPages({ actions, clock, base, show }: SessionsPageDeps): readonly Route[] {
  const back = (more: string): Reply => seeOther(`${base}${PATH.slice(1)}${more}`);

  const page = async (request: RouteRequest): Promise<Reply> => {
    actions.cookieDomainOf(request);
    const own = await actions.sessionOf(request);
    if (!own) return seeOther(base);
    const all = await actions.sessions.list(own);
    return show(request, {
      page: 'sessions',
      now: clock.now(),
      sessions: all.map((one) => entryOf(one, own)),
      done: choice(request.query.get('done'), DONE),
      error: choice(request.query.get('error'), ERRORS),
    });
  };

  const form = (
    path: string,
    run: (own: GatewaySession, request: RouteRequest) => Promise<Reply>,
  ): Route => ({
    method: 'POST',
    path,
    kind: 'form',
    guard: ownBrowserOnly(actions, {
      stranger: () => seeOther(base),
      unbound: (request) =>
        show(request, { page: 'problem', status: 403, code: 'sign-in-again', requestId: '' }, 403),
    }),
    async handle(request) {
      const own = await actions.sessionOf(request);
      return own ? run(own, request) : seeOther(base);
    },
  });

  return [
    { method: 'GET', path: PATH, kind: 'page', handle: page },
    form('/form/sessions/end', async (own, request) => {
      const id = request.body instanceof URLSearchParams ? request.body.get('id') : null;
      if (id === null || !(await actions.sessions.end(own, id, request.ip))) return back('?error=gone');
      return id === own.publicId ? seeOther(base, actions.deletedCookies(request)) : back('?done=one');
    }),
    form('/form/sessions/end-others', async (own, { ip }) => {
      await actions.sessions.endOthers(own, ip);
      return back('?done=others');
    }),
  ];
}

const DONE = ['one', 'others'] as const satisfies readonly SessionsPage['done'][];
const ERRORS = ['gone'] as const satisfies readonly SessionsPage['error'][];

/** What a form's own redirect says; anything else is nothing. */
function choice<T extends string>(text: string | null, known: readonly T[]): T | null {
  return known.find((one) => one === text) ?? null;
}

function entryOf(session: GatewaySession, own: GatewaySession): SessionEntry {
  const { userAgent, ip } = session.payload.device;
  return {
    id: session.publicId,
    isCurrent: session.publicId === own.publicId,
    device: deviceNames(userAgent),
    ip,
    cookieDomain: session.cookieDomain,
    createdAt: session.createdAt,
    lastActiveAt: session.lastActivity,
  };
}
