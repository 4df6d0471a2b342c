import type { Configuration } from './config/schema.ts';
import type { Events } from './events.ts';
import { createEqualTime } from './factors/equal-time.ts';
import { createMemoryThrottleStore, type ThrottleStore } from './factors/memory-throttle-store.ts';
import { createPasswordFactor, type PasswordFactor } from './factors/password-factor.ts';
import { createRateLimits } from './factors/rate-limits.ts';
import { createThrottle, type RateLimits, type Throttle } from './factors/throttle.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import type { Random } from './lib/random.ts';
import { systemTimers } from './lib/timers.ts';
import { createAttemptLog } from './storage/attempt-log.ts';
import { createBans } from './storage/bans.ts';
import { createRateBuckets } from './storage/rate-buckets.ts';
import type { Storage } from './storage/storage.ts';
import { createThrottleCounters } from './storage/throttle-counters.ts';
import type { UserBackend } from './users/backend.ts';

/** The wiring of what limits attempts. What was counted survives a reload. */
export interface GatewayThrottle {
  readonly throttle: Throttle;
  readonly rateLimits: RateLimits;
  passwordOf(users: UserBackend): PasswordFactor;
}

interface GatewayThrottleDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: Events;
}

/** Counts in the storage, and in this process where there is none. Answers what a configuration makes of it. */
export function openGatewayThrottle(
  storage: Storage | null,
  { clock, random, logger, events }: GatewayThrottleDeps,
): (config: Configuration) => GatewayThrottle {
  const store = storage ? storeIn(storage) : createMemoryThrottleStore();
  const timers = systemTimers;
  const equalTime = createEqualTime({ clock, timers, random });
  return ({ regulation, server, identity_validation: validation }) => {
    const throttle = createThrottle(regulation, {
      ...store,
      clock,
      timers,
      random,
      events,
      onFault: (error) => logger.error({ error }, 'the outcome of an attempt could not be written'),
    });
    const lifespans = {
      code: validation?.elevated_session.code_lifespan ?? DEFAULT_CODE,
      elevation: validation?.elevated_session.elevation_lifespan ?? DEFAULT_ELEVATION,
    };
    return {
      throttle,
      rateLimits: createRateLimits(server.endpoints.rate_limits, lifespans, {
        buckets: store.buckets,
        clock,
      }),
      passwordOf: (users) =>
        createPasswordFactor({
          users,
          throttle,
          equalTime,
          onChecked({ proof, isUnknown, isRepeated, ...checked }) {
            if (proof === 'old-password') events.proofChecked({ ...checked, proof });
            else events.passwordChecked({ ...checked, proof, isUnknown, isRepeated });
          },
        }),
    };
  };
}

/** Milliseconds; the defaults of `identity_validation.elevated_session`. */
const DEFAULT_CODE = 300_000;
const DEFAULT_ELEVATION = 600_000;

function storeIn(storage: Storage): ThrottleStore {
  return {
    counters: createThrottleCounters(storage),
    bans: createBans(storage),
    attempts: createAttemptLog(storage),
    buckets: createRateBuckets(storage),
  };
}
