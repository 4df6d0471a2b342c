import { addressShare } from '../lib/address-share.ts';
import type { Clock } from '../lib/clock.ts';
import type { RateBuckets, RateLimit } from '../storage/rate-buckets.ts';
import type { LimitedRoute, RateLimits } from './throttle.ts';

type ConfiguredRoute = Exclude<LimitedRoute, 'reset_password'>;

/** `server.endpoints.rate_limits`, as far as its routes are there. Absent buckets: the default of the route. */
export type RateLimitOptions = Readonly<
  Record<ConfiguredRoute, { readonly enable: boolean; readonly buckets?: readonly RateLimit[] | undefined }>
>;

/** Milliseconds; some defaults are multiples of how long a code, and what it opens, hold. */
export interface RateLimitLifespans {
  readonly code: number;
  readonly elevation: number;
}

/**
 * Token buckets by address (IPv6: by /64). `requests` may come at once, and one more after each `period`: a request needs
 * room in every bucket of its route.
 */
export function createRateLimits(
  options: RateLimitOptions,
  lifespans: RateLimitLifespans,
  deps: { readonly buckets: RateBuckets; readonly clock: Clock },
): RateLimits {
  const defaults = defaultLimits(lifespans);
  const limitOf = (
    route: LimitedRoute,
  ): { readonly enable: boolean; readonly buckets: readonly RateLimit[] } => {
    if (route === 'reset_password')
      return { enable: options.reset_password_finish.enable, buckets: NEW_PASSWORDS };
    const { enable, buckets = defaults[route] } = options[route];
    return { enable, buckets };
  };
  return {
    async take(route, ip) {
      const { enable, buckets } = limitOf(route);
      return enable ? deps.buckets.take(route, addressShare(ip), buckets, deps.clock.now()) : null;
    },
  };
}

const MINUTE = 60_000;

/** Passwords that are no good may be many, and who gives them has shown a link; clients of Authelia know no limit here. */
const NEW_PASSWORDS: readonly RateLimit[] = [{ period: 1000, requests: 60 }];

function defaultLimits(
  lifespans: RateLimitLifespans,
): Readonly<Record<ConfiguredRoute, readonly RateLimit[]>> {
  const limits = (unit: number, ...pairs: readonly (readonly [number, number])[]): readonly RateLimit[] =>
    pairs.map(([spans, requests]) => ({ period: spans * unit, requests }));
  return {
    reset_password_start: limits(MINUTE, [10, 5], [15, 10], [30, 15]),
    reset_password_finish: limits(MINUTE, [1, 10], [2, 15]),
    second_factor_totp: limits(MINUTE, [1, 30], [2, 40], [10, 50]),
    session_elevation_start: limits(lifespans.code, [1, 3], [2, 5], [12, 15]),
    session_elevation_finish: limits(lifespans.elevation, [1, 3], [2, 5], [6, 15]),
  };
}
