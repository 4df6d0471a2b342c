import { ko, ok, text } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { SecondFactorMethod } from '../login/next-step.ts';
import type { Actions } from './actions.ts';
import { members } from './members.ts';
import { ownBrowserOnly } from './own-browser.ts';

/** A second factor at sign-in, as JSON. Authelia has no recovery codes; theirs is the way of one-time passwords. */
export function createSecondFactorApi(actions: Actions): readonly Route[] {
  const guard = ownBrowserOnly(actions, {
    stranger: () => text(403, '403 Forbidden'),
    unbound: () => ko(403, 'This browser did not sign in to this session. Sign in again, then repeat this.'),
  });

  const route = (path: string, method: SecondFactorMethod, isPossible: (code: string) => boolean): Route => ({
    method: 'POST',
    path,
    kind: 'json',
    guard,
    async handle(request: RouteRequest): Promise<Reply> {
      const { token, targetURL, requestMethod } = members(request.body, {
        token: 'string',
        targetURL: 'string',
        requestMethod: 'string',
      });
      if (token === undefined || !isPossible(token)) return ko(400, MALFORMED);
      const session = await actions.sessionOf(request);
      if (!session) return ko(403, DENIED);
      const target = actions.targetOf(request, targetURL, requestMethod);
      const result = await actions.showSecondFactor(request, session, { method, code: token, target });
      switch (result.status) {
        case 'failure':
          return ko(403, DENIED);
        case 'rate-limited':
          return tooManyRequests(result.retryAfter);
        case 'success': {
          const { redirect } = result;
          return ok(redirect === null ? undefined : { redirect }, result.cookies);
        }
      }
    },
  });

  return [
    route('/api/secondfactor/totp', 'totp', (code) => /^(?:\d{6}|\d{8})$/.test(code.replaceAll(/\s/g, ''))),
    route('/api/secondfactor/recovery-code', 'recovery-code', (code) => code !== ''),
  ];
}

const DENIED = 'Authentication failed, please retry later.';
const MALFORMED = 'The code is malformed.';

/** `wait` in milliseconds. */
function tooManyRequests(wait: number): Reply {
  return ko(429, 'Too many requests. Please retry later.', { 'Retry-After': String(Math.ceil(wait / 1000)) });
}
