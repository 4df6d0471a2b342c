import type { GatewaySession } from '../authn/gateway-session.ts';
import type { PasswordRules } from '../factors/password-policy.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { PasswordFlaw } from '../login/new-password.ts';
import type { PasswordChange } from '../login/password-change.ts';
import type { Actions } from './actions.ts';
import type { PasswordError, PasswordPage } from './page-data.ts';
import type { ShowPage } from './pages.ts';
import { brokenIn, requirementsOf } from './password-requirements.ts';
import { choice, fieldOf } from './posted.ts';

interface PasswordPageDeps {
  readonly actions: Actions;
  readonly change: PasswordChange;
  readonly rules: PasswordRules;
  /** `elevation-guard.ts` */
  readonly elevated: NonNullable<Route['guard']>;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
}

const PATH = 'settings/password';

/** Where a person who knows his password chooses another one. */
export function createPasswordPages(deps: PasswordPageDeps): readonly Route[] {
  const { actions, change, rules, elevated, base, show } = deps;

  const pageOf = (
    session: GatewaySession,
    request: RouteRequest,
    more: Partial<PasswordPage> = {},
  ): PasswordPage => ({
    page: 'password',
    username: session.payload.profile.username,
    requirements: requirementsOf(rules, brokenIn(request.query)),
    isDone: request.query.has('done'),
    error: passwordErrorIn(request.query),
    reason: null,
    ...more,
  });
  const back = (query: Readonly<Record<string, string>>, cookies?: readonly string[]): Reply =>
    seeOther(`${base}${PATH}?${new URLSearchParams(query).toString()}`, cookies);

  return [
    {
      method: 'GET',
      path: `/${PATH}`,
      kind: 'page',
      guard: elevated,
      async handle(request) {
        actions.cookieDomainOf(request);
        const session = await actions.sessionOf(request);
        return session ? show(request, pageOf(session, request)) : seeOther(base);
      },
    },
    {
      method: 'POST',
      path: '/form/password',
      kind: 'form',
      guard: elevated,
      async handle(request) {
        const session = await actions.sessionOf(request);
        if (!session) return seeOther(base);
        const oldPassword = fieldOf(request, 'old');
        const newPassword = fieldOf(request, 'new');
        if (oldPassword === '' || newPassword === '') return back({ error: 'missing' });
        const source = actions.sourceOf(request);
        const find = (): Promise<GatewaySession | null> => actions.sessionOf(request);
        const result = await change.change(session, { oldPassword, newPassword, source, find });
        switch (result.status) {
          case 'changed': {
            const { raised } = result;
            return back({ done: '1' }, raised ? [actions.raisedCookie(request, raised)] : []);
          }
          case 'weak':
            return back(flawQuery(result.flaw));
          case 'refused': {
            const { reason } = result;
            return show(request, pageOf(session, request, { error: 'refused', reason, isDone: false }), 422);
          }
          case 'unknown':
            return seeOther(base);
          default:
            return back({ error: result.status });
        }
      },
    },
  ];
}

/** Why a password is not good enough, as the query of a redirect. */
export function flawQuery(flaw: PasswordFlaw): Readonly<Record<string, string>> {
  return flaw.kind === 'impossible'
    ? { error: 'impossible' }
    : { error: 'weak', broken: flaw.rules.join('.') };
}

const ERRORS = [
  'wrong',
  'same',
  'weak',
  'impossible',
  'missing',
  'unavailable',
] as const satisfies readonly PasswordError[];

/** What a form's own redirect says. A reason of the user backend never comes this way. */
export function passwordErrorIn(query: URLSearchParams): PasswordError | null {
  return choice(query.get('error'), ERRORS);
}
