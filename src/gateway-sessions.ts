import type { GatewayPayload, GatewaySessions } from './authn/gateway-session.ts';
import type { Configuration } from './config/schema.ts';
import type { Events } from './events.ts';
import { type Clock, systemStopwatch } from './lib/clock.ts';
import { parseHttpsTarget } from './lib/https-target.ts';
import type { Logger } from './lib/logger.ts';
import type { Random } from './lib/random.ts';
import { systemTimers } from './lib/timers.ts';
import { type CookieDomains, createCookieDomains } from './sessions/cookie-domains.ts';
import type { DriverDeps } from './sessions/driver.ts';
import { type GuardOptions, guardStore } from './sessions/guarded-store.ts';
import type { Lifetimes } from './sessions/lifetime.ts';
import { sessionDrivers } from './sessions/registry.ts';
import { createSealer } from './sessions/seal.ts';
import { openSessions } from './sessions/sessions.ts';
import { meterStore, type StoreMeter } from './sessions/metered-store.ts';
import type { SessionStore } from './sessions/store.ts';

/** The wiring of the gateway's sessions: for the gateway itself, and for the command line, which looks into the same store. */
interface GatewaySessionsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: Pick<Events, 'sessionEnded' | 'sessionBroken' | 'storeIs'>;
  /** The lifetimes of a cookie domain, or null when it is not configured. Asked at each read. */
  readonly lifetimesOf: (cookieDomain: string) => Lifetimes | null;
  /** Is told how long a store that is another process takes. */
  readonly meter?: StoreMeter | null;
  /** Deadline and breaker of a store that is another process. */
  readonly guard?: GuardOptions;
}

const REALM = 'gateway';

/** Opens the configured store. Rejects, naming key and mend, when the configuration cannot work. */
export async function openGatewaySessions(
  config: Configuration,
  { clock, random, logger, events, lifetimesOf, meter = null, guard = {} }: GatewaySessionsDeps,
): Promise<GatewaySessions> {
  const { driver, open } = chooseDriver(config);
  const opened = await open({ realm: REALM, clock, random, logger });
  const store = driver.shared
    ? guardStore(meter ? meterStore(opened, meter, systemStopwatch) : opened, guard, {
        timers: systemTimers,
        random,
        onState: (state, cause) => events.storeIs(state, cause),
      })
    : opened;
  const { secret = random.bytes(32).toString('base64url'), accepted_secrets: accepted } = config.session;
  return openSessions<GatewayPayload>({
    timers: systemTimers,
    store,
    isRemote: driver.shared,
    remembersVerified: config.session.degraded !== undefined,
    sealer: createSealer(REALM, [secret, ...accepted], { random }),
    clock,
    random,
    lifetimesOf,
    onEnd: (ended) => events.sessionEnded(ended),
    onBrokenRecord: (key) => events.sessionBroken(key),
  });
}

/** Where sessions are kept: the one store that is configured, else memory. */
export function sessionStoreName({ session }: Configuration): keyof typeof sessionDrivers {
  if (session.redis) return 'redis';
  if (session.postgres) return 'postgres';
  return session.filesystem ? 'filesystem' : 'memory';
}

function chooseDriver({ session }: Configuration): {
  readonly driver: { readonly shared: boolean };
  readonly open: (deps: DriverDeps) => Promise<SessionStore>;
} {
  const { memory, filesystem, redis, postgres } = sessionDrivers;
  const settings = { redis: session.redis, postgres: session.postgres, filesystem: session.filesystem };
  if (settings.redis) return { driver: redis, open: redis.open.bind(redis, settings.redis) };
  if (settings.postgres) return { driver: postgres, open: postgres.open.bind(postgres, settings.postgres) };
  if (settings.filesystem)
    return { driver: filesystem, open: filesystem.open.bind(filesystem, settings.filesystem) };
  return { driver: memory, open: memory.open.bind(memory, null) };
}

export function cookieDomainsOf(config: Configuration): CookieDomains {
  return createCookieDomains(
    config.session.cookies.map((cookie) => ({
      domain: cookie.domain,
      cookieName: cookie.name,
      sameSite: cookie.same_site,
      lifetimes: {
        expiration: cookie.expiration,
        inactivity: cookie.inactivity,
        rememberMe: cookie.remember_me,
      },
      portalUrl:
        cookie.authelia_url === undefined ? null : (parseHttpsTarget(cookie.authelia_url)?.href ?? null),
      defaultRedirectionUrl: cookie.default_redirection_url ?? null,
    })),
  );
}
