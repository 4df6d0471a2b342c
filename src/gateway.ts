import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { isDeepStrictEqual } from 'node:util';

import { askAuthorization, askProxyAuthorization, createBasicScheme } from './authn/basic.ts';
import type { Challenge, Scheme } from './authn/scheme.ts';
import { type Degraded, createSessionFinder, createSessionScheme } from './authn/session-cookie.ts';
import type { Configuration } from './config/schema.ts';
import { compilePolicy } from './decision/policy.ts';
import { type Authorize, createAuthorize } from './forward-auth/authorize.ts';
import type { AuthnStrategyConfig } from './forward-auth/config.ts';
import type { Endpoint } from './forward-auth/endpoints.ts';
import type { Dialect } from './forward-auth/respond.ts';
import { cookieDomainsOf, openGatewaySessions, sessionStoreName } from './gateway-sessions.ts';
import { openGatewayAccounts } from './gateway-accounts.ts';
import { createGatewayFactors } from './gateway-factors.ts';
import { openGatewayStorage } from './gateway-storage.ts';
import { createGatewayTelemetry, type GatewayTelemetry } from './gateway-telemetry.ts';
import { openGatewayThrottle } from './gateway-throttle.ts';
import { createHealthRoutes } from './http/health.ts';
import { listenAddressOf } from './http/listen-on.ts';
import type { Mount } from './http/route.ts';
import { createHttpServer, type HttpContent, type HttpServer } from './http/server.ts';
import { createTrustedProxies } from './http/trusted-proxies.ts';
import { type Clock, systemClock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import { type Random, systemRandom } from './lib/random.ts';
import { createNotices } from './login/notices.ts';
import { createSignInRecord } from './login/sign-in-record.ts';
import { createAccountRoutes } from './portal/account-routes.ts';
import { createActions } from './portal/actions.ts';
import { createApiRoutes } from './portal/api.ts';
import { brandingOf, loadAssets } from './portal/assets.ts';
import { openCatalogue } from './portal/catalogue.ts';
import { createFactorActions } from './portal/factors-actions.ts';
import { createFactorsApi } from './portal/factors-api.ts';
import { createFactorsPages } from './portal/factors-page.ts';
import { createPages } from './portal/pages.ts';
import { createRateLimitGuard } from './portal/rate-limit-guard.ts';
import { loadRenderer } from './portal/renderer.ts';
import { RESET_START } from './portal/reset-pages.ts';
import { deviceSummary } from './portal/sessions-device.ts';
import { createStaticRoutes } from './portal/static.ts';
import type { CookieDomains } from './sessions/cookie-domains.ts';
import { StoreUnavailable } from './sessions/store.ts';
import { createKnownDevices } from './storage/known-devices.ts';
import type { UserBackend } from './users/backend.ts';
import { HASH_MEMORY_BUDGET, hashConcurrency, openHashQueue } from './users/hash-queue.ts';
import { userBackends } from './users/registry.ts';
import { systemTimers } from './lib/timers.ts';

/**
 * The wiring of the core. What answers requests is built from one configuration and never changes; a reload builds the next
 * one beside it, keeps the drivers whose section is the same, and swaps.
 */
export interface Gateway {
  readonly server: Server;
  /** Whether sessions outlive this process. */
  readonly keepsSessions: boolean;
  /** What is told of it, and its metrics. */
  readonly telemetry: Pick<GatewayTelemetry, 'events' | 'read' | 'server'>;
  /** The decision itself, for engines in this process. */
  readonly authorize: Authorize;
  listen(): Promise<void>;
  /**
   * Takes a new configuration, reads the users file and the certificate again. Throws, and changes nothing, when it cannot.
   * The keys whose change waits for a restart are told by the event `reloaded`.
   */
  reload(config: Configuration): Promise<void>;
  /** Answers what is under way, closes the listener and the drivers. Within `deadline` milliseconds. */
  close(deadline?: number): Promise<void>;
}

export interface GatewayDeps {
  readonly logger: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** The folder with the portal as it was built. */
  readonly webDirectory: string;
  /** Engines beside the portal. They get the decision of the running gateway. */
  readonly mounts?: (authorize: Authorize) => readonly Mount[];
}

/** Milliseconds. Less than the ten seconds that service managers usually grant. */
const CLOSE_DEADLINE = 8000;
/** Keys that only a start can apply. */
const FIXED = [
  'server.address',
  'server.buffers',
  'server.timeouts',
  'server.workers',
  'server.tls.client_certificates',
  'session.secret',
  'session.accepted_secrets',
  'session.redis',
  'session.postgres',
  'session.filesystem',
  'session.degraded',
  'storage',
  'notifier',
  'telemetry',
  'log',
] as const;

/** Everything that a reload exchanges. */
interface Core {
  readonly config: Configuration;
  readonly content: HttpContent;
  readonly users: UserBackend;
  readonly cookieDomains: CookieDomains;
}

export async function createGateway(config: Configuration, deps: GatewayDeps): Promise<Gateway> {
  const { logger, clock = systemClock, random = systemRandom } = deps;
  const telemetry = createGatewayTelemetry(config, { logger, clock });
  const { events } = telemetry;
  // The workers of one machine share its cores and memory.
  const { workers } = config.server;
  const hashQueue = openHashQueue(
    {
      concurrency: Math.max(1, Math.floor(hashConcurrency() / workers)),
      budget: HASH_MEMORY_BUDGET / workers,
    },
    { timers: systemTimers },
  );
  const render = await loadRenderer(`${deps.webDirectory}/server.js`);
  let draining = false;
  let core: Core;

  const sessions = await openGatewaySessions(config, {
    clock,
    random,
    logger,
    events,
    meter: telemetry.storeMeter,
    lifetimesOf: (domain) => core.cookieDomains.get(domain)?.lifetimes ?? null,
  });

  const kept = await openGatewayStorage(config, { clock, random, logger, events });
  telemetry.watch(kept);
  const notices = createNotices({ mail: kept?.mail ?? null, clock, events, deviceOf: deviceSummary });
  const storage = kept?.storage ?? null;
  const throttleOf = openGatewayThrottle(storage, { clock, random, logger, events });

  const accounts = openGatewayAccounts({ kept, sessions, notices, clock, random, logger, events });

  /** At once, rather than when the profile is next read. What fails here is made good then. */
  const onGone = (usernames: readonly string[]): void => {
    for (const username of usernames) {
      sessions
        .endAllOf(username, 'user-gone')
        .catch((error: unknown) =>
          logger.warn({ error, username }, 'the sessions of a person who is gone could not be ended yet'),
        );
    }
  };

  const openUsers = async (next: Configuration): Promise<UserBackend> => {
    const { file } = next.authentication_backend;
    if (!file)
      throw new Error('authentication_backend.file is not set, and this release has no other backend');
    const deps = { random, timers: systemTimers, logger, hashQueue, onGone };
    return telemetry.timed(await userBackends.file(file, deps));
  };

  const authorize: Authorize = (head) => core.content.authorize(head);

  const buildCore = (next: Configuration, users: UserBackend): Core => {
    const policy = compilePolicy(next.access_control, next.definitions.network);
    const cookieDomains = cookieDomainsOf(next);
    const trustedProxies = createTrustedProxies(next.server.trusted_proxies);
    const finder = createSessionFinder({
      sessions,
      users,
      clock,
      refreshInterval: refreshIntervalOf(next),
      maximumStaleness: next.authentication_backend.maximum_staleness,
      onRefreshFailure: (error) => events.profileNotRefreshed(error),
    });
    const limits = throttleOf(next);
    const password = limits.passwordOf(users);
    const sessionScheme = createSessionScheme({ finder, sessions, degraded: degradedOf(next) });
    const schemeOf = (strategy: AuthnStrategyConfig): Scheme[] => {
      const header = BASIC_STRATEGIES[strategy.name];
      if (!header) return [sessionScheme];
      if (strategy.name !== 'HeaderLegacy' && !strategy.schemes.some((scheme) => scheme === 'basic'))
        return [];
      const options = { ...header, cacheLifespan: strategy.scheme_basic_cache_lifespan };
      return [createBasicScheme(options, { users, password, throttle: limits.throttle, clock, random })];
    };
    const endpoints = Object.entries(next.server.endpoints.authz).map(
      ([name, { implementation, authn_strategies }]): Endpoint => ({
        name,
        dialect: DIALECTS[implementation],
        schemes: authn_strategies.flatMap(schemeOf),
        usesSessions: authn_strategies.some((strategy) => strategy.name === 'CookieSession'),
      }),
    );

    const { secondFactor, account: factorAccount } = createGatewayFactors(next, {
      ...limits,
      storage,
      sessions,
      notices,
      clock,
      random,
      logger,
      events,
    });
    const signInRecord = createSignInRecord({
      knownDevices: storage && createKnownDevices(storage),
      notices,
      events,
      clock,
      deviceOf: deviceSummary,
      onFault: (error) => logger.error({ error }, 'the device of a sign-in could not be noted'),
    });
    const base = baseOf(next) === '' ? '/' : `${baseOf(next)}/`;
    const actions = createActions({
      cookieDomains,
      policy,
      users,
      sessions,
      finder,
      secondFactor,
      base,
      clock,
      random,
      password,
      signInRecord,
      events,
    });
    const flows = accounts.flowsOf(next, { users, password, throttle: limits.throttle, secondFactor });
    const { disable, custom_url: elsewhere } = next.authentication_backend.password_reset;
    const resetUrl = disable ? null : (elsewhere ?? (flows.reset ? base + RESET_START : null));
    const assetPath = next.server.asset_path;
    const override = assetPath === undefined ? {} : { override: `${assetPath}/locales` };
    const catalogue = openCatalogue({ builtin: `${deps.webDirectory}/locales`, ...override });
    const assets = loadAssets(`${deps.webDirectory}/assets`, assetPath);
    const pages = createPages({
      actions,
      render,
      catalogue,
      clock,
      random,
      theme: themeOf(next.theme),
      branding: brandingOf(assets),
      base,
      resetUrl,
      cspTemplate: next.server.headers.csp_template ?? null,
    });
    const account = createAccountRoutes({
      actions,
      flows,
      limited: createRateLimitGuard(limits.rateLimits, events),
      base,
      show: pages.show,
    });
    const offers = { passwordChange: flows.change !== null, passwordReset: resetUrl !== null };
    const factorDoors = {
      actions,
      factors: createFactorActions({ account: factorAccount, sessions, events, notices }),
      elevated: account.guard,
    };
    const parts = [
      { name: 'sessions', check: () => sessions.ping() },
      ...(kept ? [{ name: 'storage', check: () => kept.storage.database.ping() }] : []),
    ];
    const health = createHealthRoutes(parts, {
      isDraining: () => draining,
      isTrusted: (ip) => trustedProxies.isTrusted(ip),
    });

    const content: HttpContent = {
      trustedProxies,
      authorize: createAuthorize({
        endpoints,
        policy,
        cookieDomains,
        trustedProxies,
        clock,
        onOutcome(head, outcome, target, error) {
          if (outcome.kind === 'allow' && error === undefined)
            return events.accessAllowed(outcome.identity?.isDegraded ?? false);
          const reason = outcome.kind === 'bad-request' ? { reason: outcome.reason } : {};
          events.accessDecided({ outcome: outcome.kind, target, peer: head.peer, error, ...reason });
        },
      }),
      routes: [
        ...health,
        ...createApiRoutes(actions),
        ...createFactorsApi({ ...factorDoors, usesTwoFactor: policy.usesTwoFactor, offers }),
        ...createFactorsPages({ ...factorDoors, clock, base, show: pages.show, offers }),
        ...account.routes,
        ...pages.routes,
        ...createStaticRoutes(assets, catalogue),
      ],
      mounts: deps.mounts?.(authorize) ?? [],
      problem: pages.problem,
    };
    return { config: next, content, users, cookieDomains };
  };

  const users = await openUsers(config);
  core = buildCore(config, users);
  const { server: serverConfig } = config;
  const http: HttpServer = await createHttpServer(
    {
      tls: certificateOf(config),
      requireClientCertificate: serverConfig.tls.client_certificates.length > 0,
      basePath: baseOf(config),
      maxHeaderSize: serverConfig.buffers.read,
      idleTimeout: serverConfig.timeouts.idle,
    },
    core.content,
    { logger, random, clock, meter: telemetry.requestMeter },
  );

  const reportTending = (error: unknown): void => {
    // An outage is told where it begins and ends.
    if (!(error instanceof StoreUnavailable)) logger.error({ error }, 'sessions could not be tended');
  };
  const tending = setInterval(() => void sessions.tend().catch(reportTending), 1000);
  tending.unref();

  return {
    server: http.server,
    keepsSessions: sessionStoreName(config) !== 'memory',
    telemetry,
    authorize,

    async listen() {
      await telemetry.listen();
      await http.listen(listenAddressOf(serverConfig.address, serverConfig.workers > 1));
    },

    async reload(next) {
      const certificate = certificateOf(next);
      const sameUsers = isDeepStrictEqual(next.authentication_backend, core.config.authentication_backend);
      const nextUsers = sameUsers ? core.users : await openUsers(next);
      if (sameUsers) await nextUsers.reload();
      const before = core;
      const built = buildCore(next, nextUsers);
      await http.use(built.content);
      core = built;
      if (certificate) http.setCertificate(certificate);
      if (!sameUsers) await before.users.close();
      const waiting = FIXED.filter(
        (key) => !isDeepStrictEqual(valueAt(next, key), valueAt(before.config, key)),
      );
      events.reloaded({ rules: next.access_control.rules.length, waiting });
    },

    async close(deadline = CLOSE_DEADLINE) {
      draining = true;
      clearInterval(tending);
      await http.close(deadline);
      // A store that is down keeps nothing from ending; the last second's activity is lost then.
      await sessions.tend().catch(reportTending);
      await sessions.close();
      await accounts.close();
      await telemetry.close();
      await kept?.close();
      await core.users.close();
    },
  };
}

const DIALECTS = {
  ForwardAuth: 'forward-auth',
  AuthRequest: 'auth-request',
  ExtAuthz: 'ext-authz',
  Legacy: 'legacy',
} as const satisfies Record<string, Dialect>;

/** Where each strategy reads Basic credentials, and how it asks for them. `CookieSession` is none of them. */
const BASIC_STRATEGIES: Partial<
  Record<
    AuthnStrategyConfig['name'],
    { readonly header: 'authorization' | 'proxy-authorization' | 'legacy'; readonly challenge: Challenge }
  >
> = {
  HeaderAuthorization: { header: 'authorization', challenge: askAuthorization },
  HeaderProxyAuthorization: { header: 'proxy-authorization', challenge: askProxyAuthorization },
  HeaderAuthRequestProxyAuthorization: { header: 'proxy-authorization', challenge: askAuthorization },
  HeaderLegacy: { header: 'legacy', challenge: askAuthorization },
};

function refreshIntervalOf(config: Configuration): number | null {
  const { refresh_interval: interval } = config.authentication_backend;
  return interval === 'always' ? 0 : interval === 'disable' ? null : interval;
}

function degradedOf({ session: { degraded } }: Configuration): Degraded | null {
  return degraded ? { maximumAge: degraded.maximum_age, twoFactor: degraded.two_factor } : null;
}

function themeOf(theme: string): 'light' | 'dark' | 'auto' {
  return theme === 'light' || theme === 'auto' ? theme : 'dark';
}

/** Empty, or `/segment`. */
function baseOf(config: Configuration): string {
  return config.server.address.path.replace(/\/$/, '');
}

function certificateOf({
  server: { tls },
}: Configuration): { cert: Buffer; key: Buffer; ca?: Buffer[] } | null {
  if (tls.certificate === undefined || tls.key === undefined) return null;
  const ca = tls.client_certificates.map((path) => readFileSync(path));
  return { cert: readFileSync(tls.certificate), key: readFileSync(tls.key), ...(ca.length > 0 && { ca }) };
}

function valueAt(config: Configuration, key: string): unknown {
  return key.split('.').reduce<unknown>((value, part) => (value as Record<string, unknown>)[part], config);
}
