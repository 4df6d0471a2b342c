import type { Events, Proof } from '../events.ts';
import type { LimitedRoute, RateLimits } from '../factors/throttle.ts';
import { GatewayError } from '../http/errors.ts';
import type { Route } from '../http/route.ts';

/**
 * Guards of routes that an address may ask only so often. There is no answer but the error 429, with `Retry-After` in
 * seconds (RFC 9110, section 10.2.3); the JSON door wraps it in its envelope, the HTML door shows a page.
 */
export type RateLimitGuard = (route: LimitedRoute) => NonNullable<Route['guard']>;

const PROOFS: Readonly<Record<LimitedRoute, Proof>> = {
  reset_password: 'reset-link',
  reset_password_start: 'reset-link',
  reset_password_finish: 'reset-link',
  second_factor_totp: 'totp',
  session_elevation_start: 'elevation-code',
  session_elevation_finish: 'elevation-code',
};

export function createRateLimitGuard(
  rateLimits: RateLimits,
  events: Pick<Events, 'attemptRefused'>,
): RateLimitGuard {
  return (route) =>
    async ({ ip }) => {
      const wait = await rateLimits.take(route, ip);
      if (wait === null) return null;
      events.attemptRefused({ username: '', ip, proof: PROOFS[route], why: 'rate-limit' });
      throw new GatewayError('too-many-requests', undefined, { retryAfter: Math.ceil(wait / 1000) });
    };
}
