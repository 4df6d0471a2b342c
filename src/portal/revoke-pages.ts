import type { LimitedRoute } from '../factors/throttle.ts';
import { seeOther } from '../http/reply.ts';
import type { Route } from '../http/route.ts';
import type { Actions } from './actions.ts';
import type { RevokePage } from './page-data.ts';
import type { ShowPage } from './pages.ts';
import { choice, fieldOf } from './posted.ts';
import { showUnreferred } from './reset-pages.ts';

interface RevokePagesDeps {
  readonly actions: Actions;
  /** Makes one of these void; false when it could not be used any more. Absent: there are none here. */
  readonly revoke: { readonly [K in RevokePage['what']]?: (value: string) => Promise<boolean> };
  readonly limited: (route: LimitedRoute) => NonNullable<Route['guard']>;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
}

/** Where mails link to, below the base, and the parameter that names what is revoked. */
const PLACES = {
  link: { path: 'revoke/reset-password', parameter: 'token' },
  code: { path: 'revoke/one-time-code', parameter: 'id' },
} as const;

/** Longer values name nothing. */
const LONGEST = 100;

/** Where a person who did not ask for a link or a code makes it useless. Opening the page does nothing yet. */
export function createRevokePages(deps: RevokePagesDeps): readonly Route[] {
  const { actions, revoke, limited, base, show } = deps;
  return Object.entries(revoke).flatMap(([key, run]): readonly Route[] => {
    const what = key as RevokePage['what'];
    const { path, parameter } = PLACES[what];
    const action = `${base}form/${path}`;
    return [
      {
        method: 'GET',
        path: `/${path}`,
        kind: 'page',
        handle(request) {
          actions.cookieDomainOf(request);
          const value = request.query.get(parameter)?.slice(0, LONGEST) ?? '';
          const state = choice(request.query.get('state'), STATES) ?? (value === '' ? 'gone' : 'ask');
          return showUnreferred(show, request, { page: 'revoke', what, state, action, value });
        },
      },
      {
        method: 'POST',
        path: `/form/${path}`,
        kind: 'form',
        guard: limited('reset_password_finish'),
        async handle(request) {
          const isRevoked = await run(fieldOf(request, 'value'));
          return seeOther(`${base}${path}?state=${isRevoked ? 'done' : 'gone'}`);
        },
      },
    ];
  });
}

const STATES = ['gone', 'done'] as const satisfies readonly RevokePage['state'][];
