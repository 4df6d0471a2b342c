import type { Reply, Route, RouteRequest } from '../http/route.ts';
import { isBound } from '../login/portal-binding.ts';
import type { Actions } from './actions.ts';

/** What a visitor is told who may not change anything. */
interface Refusals {
  /** Not signed in. */
  readonly stranger: (request: RouteRequest) => Reply;
  /** The session was begun in another browser, or planted here by another site: to sign in again helps. */
  readonly unbound: (request: RouteRequest) => Reply;
}

/**
 * The guard of every route that changes something about a person: only in the browser that signed in. Reading and signing
 * out do without it.
 */
export function ownBrowserOnly(
  actions: Pick<Actions, 'sessionOf'>,
  { stranger, unbound }: Refusals,
): NonNullable<Route['guard']> {
  return async (request) => {
    const session = await actions.sessionOf(request);
    if (!session) return stranger(request);
    return isBound(session, request.header('cookie')) ? null : unbound(request);
  };
}
