import type { PasswordRules } from '../factors/password-policy.ts';
import type { LimitedRoute } from '../factors/throttle.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import { deletedFlowCookie, flowCookie, flowValue } from '../login/flow-cookie.ts';
import type { PasswordReset, ResetProof } from '../login/password-reset.ts';
import type { Actions } from './actions.ts';
import type { Page, ResetPage } from './page-data.ts';
import type { ShowPage } from './pages.ts';
import { startReset } from './password-api.ts';
import { flawQuery, passwordErrorIn } from './password-page.ts';
import { brokenIn, requirementsOf } from './password-requirements.ts';
import { fieldOf } from './posted.ts';

interface ResetPagesDeps {
  readonly actions: Actions;
  readonly reset: PasswordReset;
  readonly rules: PasswordRules;
  readonly limited: (route: LimitedRoute) => NonNullable<Route['guard']>;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
}

/** Below the base; a link to the second is mailed. */
export const RESET_START = 'reset-password/step1';
const STEP2 = 'reset-password/step2';

/** A new password for who has forgotten it: asking for a link, and the page that the link opens, which changes nothing. */
export function createResetPages(deps: ResetPagesDeps): readonly Route[] {
  const { actions, reset, rules, limited, base, show } = deps;

  const to = (path: string, query: Readonly<Record<string, string>>, cookies?: readonly string[]): Reply =>
    seeOther(`${base}${path}?${new URLSearchParams(query).toString()}`, cookies);
  const pageOf = (request: RouteRequest, more: Partial<ResetPage>): ResetPage => ({
    page: 'reset',
    state: 'form',
    token: '',
    requirements: requirementsOf(rules, brokenIn(request.query)),
    error: passwordErrorIn(request.query),
    reason: null,
    ...more,
  });

  return [
    {
      method: 'GET',
      path: `/${RESET_START}`,
      kind: 'page',
      handle(request) {
        actions.cookieDomainOf(request);
        const { query } = request;
        const error = query.get('error') === 'missing' ? 'missing' : null;
        return show(request, { page: 'reset-start', isDone: query.has('done') && error === null, error });
      },
    },
    {
      method: 'POST',
      path: '/form/reset-password/start',
      kind: 'form',
      guard: limited('reset_password_start'),
      handle(request) {
        const username = fieldOf(request, 'username').trim();
        if (username === '') return to(RESET_START, { error: 'missing' });
        startReset(actions, reset, request, username);
        return to(RESET_START, { done: '1' });
      },
    },
    {
      method: 'GET',
      path: `/${STEP2}`,
      kind: 'page',
      async handle(request) {
        actions.cookieDomainOf(request);
        if (request.query.has('done'))
          return showUnreferred(show, request, pageOf(request, { state: 'done' }));
        const proof = proofIn(request, request.query.get('token') ?? '');
        const state = proof && (await reset.isUsable(proof)) ? 'form' : 'gone';
        const token = state === 'form' && proof?.kind === 'link' ? proof.token : '';
        const none = state === 'gone' ? { error: null } : {};
        return showUnreferred(show, request, pageOf(request, { state, token, ...none }));
      },
    },
    {
      method: 'POST',
      path: '/form/reset-password',
      kind: 'form',
      guard: limited('reset_password_finish'),
      async handle(request) {
        const token = fieldOf(request, 'token');
        const password = fieldOf(request, 'new');
        const kept = token === '' ? {} : { token };
        const proof = proofIn(request, token);
        if (!proof) return to(STEP2, {});
        if (password === '') return to(STEP2, { ...kept, error: 'missing' });
        const result = await reset.finish(proof, password, actions.sourceOf(request));
        switch (result.status) {
          case 'changed':
            return to(STEP2, { done: '1' }, [deletedFlowCookie()]);
          case 'gone':
            return to(STEP2, kept);
          case 'weak':
            return to(STEP2, { ...kept, ...flawQuery(result.flaw) });
          case 'refused':
          case 'unavailable': {
            const { permission } = result;
            const cookies = [flowCookie('reset-password', permission.token, permission.lifetime)];
            if (result.status === 'unavailable') return to(STEP2, { error: 'unavailable' }, cookies);
            const { reason } = result;
            const page = pageOf(request, { error: 'refused', reason });
            return { ...showUnreferred(show, request, page, 422), cookies };
          }
        }
      },
    },
  ];
}

function proofIn(request: RouteRequest, token: string): ResetProof | null {
  if (token !== '') return { kind: 'link', token };
  const permission = flowValue(request.header('cookie'), 'reset-password');
  return permission === null ? null : { kind: 'permission', token: permission };
}

/** A page whose address holds a secret, which no other site may learn from where a visitor came. */
export function showUnreferred(show: ShowPage, request: RouteRequest, page: Page, status = 200): Reply {
  const reply = show(request, page, status);
  return { ...reply, headers: { ...reply.headers, 'Referrer-Policy': 'no-referrer' } };
}
