import { levelOf } from '../authn/gateway-session.ts';
import { ko, ok, text } from '../http/reply.ts';
import type { Route } from '../http/route.ts';
import { members } from './members.ts';
import type { Actions } from './actions.ts';
import { createSecondFactorApi } from './second-factor-api.ts';
import { createSessionsApi } from './sessions-api.ts';

/** The JSON door of the portal: Authelia's paths, envelopes and status codes. */
export function createApiRoutes(actions: Actions): readonly Route[] {
  const signedIn =
    (status: 401 | 403): NonNullable<Route['guard']> =>
    async (request) =>
      (await actions.sessionOf(request)) ? null : text(status, `${status} ${REASON[status]}`);

  return [
    {
      method: 'GET',
      path: '/api/state',
      kind: 'json',
      async handle(request) {
        const session = await actions.sessionOf(request);
        const factors = session?.payload.factors ?? [];
        const home = session && actions.cookieDomainOf(request).defaultRedirectionUrl;
        return ok({
          username: session?.userId ?? '',
          authentication_level: levelOf(factors),
          factor_knowledge: factors.some(({ method }) => method === 'password'),
          ...(home && { default_redirection_url: home }),
        });
      },
    },
    {
      method: 'POST',
      path: '/api/firstfactor',
      kind: 'json',
      async handle(request) {
        const { username, password, keepMeLoggedIn, targetURL, requestMethod } = members(request.body, {
          username: 'string',
          password: 'string',
          keepMeLoggedIn: 'boolean',
          targetURL: 'string',
          requestMethod: 'string',
        });
        if (!username || !password) return ko(401, AUTHENTICATION_FAILED);
        const target = actions.targetOf(request, targetURL, requestMethod);
        const result = await actions.signIn(request, {
          username,
          password,
          remember: keepMeLoggedIn === true,
          target,
        });
        if (!result) return ko(401, AUTHENTICATION_FAILED);
        const { redirect } = result;
        return ok(redirect === null ? undefined : { redirect }, result.cookies);
      },
    },
    {
      method: 'POST',
      path: '/api/logout',
      kind: 'json',
      async handle(request) {
        const { targetURL } = members(request.body, { targetURL: 'string' });
        const cookies = await actions.signOut(request);
        return ok({ safeTargetURL: actions.targetOf(request, targetURL) !== null }, cookies);
      },
    },
    {
      method: 'POST',
      path: '/api/checks/safe-redirection',
      kind: 'json',
      guard: signedIn(401),
      handle(request) {
        const { uri } = members(request.body, { uri: 'string' });
        return ok({ ok: actions.targetOf(request, uri) !== null });
      },
    },
    ...createSecondFactorApi(actions),
    ...createSessionsApi(actions),
  ];
}

const AUTHENTICATION_FAILED = 'Authentication failed. Check your credentials.';
const REASON = { 401: 'Unauthorized', 403: 'Forbidden' } as const;
