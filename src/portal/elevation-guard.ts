import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import { isBound } from '../login/portal-binding.ts';
import type { Elevation } from '../login/elevation.ts';
import type { Actions } from './actions.ts';
import { readTarget, targetQuery } from './target-query.ts';

type Guard = NonNullable<Route['guard']>;

/**
 * The guard of every route that changes credentials: the person is signed in, in the browser that signed in, and has proven
 * a moment ago that he is there (`login/elevation.ts`). Reading by GET asks for all of it but the browser.
 */
export interface ElevationGuard {
  /** For JSON: 403 with what is missing, `{"status":"KO","data":{"elevation","first_factor","second_factor"}}`. */
  readonly json: Guard;
  /** For pages and forms: off to the page where it is proven, which leads back to `back`, one of `BACK`. */
  page(back: ElevationBack): Guard;
}

/** Pages to which one comes back after an elevation: names, never addresses, so that nobody is led elsewhere. */
export const BACK = {
  password: 'settings/password',
  security: 'settings/security',
  totp: 'settings/totp',
  'recovery-codes': 'settings/recovery-codes',
} as const;

export type ElevationBack = keyof typeof BACK;

interface ElevationGuardDeps {
  readonly actions: Pick<Actions, 'sessionOf' | 'targetOf'>;
  readonly elevation: Pick<Elevation, 'standingOf'>;
  /** `/` or `/segment/`. */
  readonly base: string;
  /** A page for somebody whose session was begun in another browser. */
  readonly signInAgain: (request: RouteRequest) => Reply;
}

export function createElevationGuard(deps: ElevationGuardDeps): ElevationGuard {
  const { actions, elevation, base } = deps;

  const guard =
    (refuse: (request: RouteRequest, lack: Lack) => Reply): Guard =>
    async (request) => {
      const session = await actions.sessionOf(request);
      if (!session) return refuse(request, { what: 'session' });
      const changes = request.method !== 'GET' && request.method !== 'HEAD';
      if (changes && !isBound(session, request.header('cookie'))) return refuse(request, { what: 'browser' });
      const standing = await elevation.standingOf(session, request.ip);
      if (standing.mayChange) return null;
      const { elevated, skipped, needsSecondFactor } = standing;
      return refuse(request, { what: 'proof', code: !elevated && !skipped, secondFactor: needsSecondFactor });
    };

  return {
    json: guard((_request, lack) =>
      missing({
        elevation: lack.what !== 'proof' || lack.code,
        first_factor: lack.what !== 'proof',
        second_factor: lack.what === 'proof' && lack.secondFactor,
      }),
    ),
    page: (back) =>
      guard((request, lack) => {
        if (lack.what === 'session') return seeOther(base);
        if (lack.what === 'browser') return deps.signInAgain(request);
        const { target } = readTarget(actions, request);
        return seeOther(`${base}settings/elevation${targetQuery(request, target, { back })}`);
      }),
  };
}

type Lack =
  | { readonly what: 'session' | 'browser' }
  | { readonly what: 'proof'; readonly code: boolean; readonly secondFactor: boolean };

/** Authelia's answer: no message, but which step is missing. */
function missing(data: {
  readonly elevation: boolean;
  readonly first_factor: boolean;
  readonly second_factor: boolean;
}): Reply {
  return {
    status: 403,
    headers: { 'Content-Type': 'application/json; charset=utf-8' },
    body: JSON.stringify({ status: 'KO', data }),
  };
}
