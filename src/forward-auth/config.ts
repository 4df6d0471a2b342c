import type { z } from 'zod';
import { choice, choiceInAnyCase, duration, list, named, section, unique } from '../lib/schema.ts';

const schemed = new Set<string>([
  'HeaderAuthorization',
  'HeaderProxyAuthorization',
  'HeaderAuthRequestProxyAuthorization',
]);

const strategySchema = section({
  name: choice(
    'CookieSession',
    'HeaderAuthorization',
    'HeaderProxyAuthorization',
    'HeaderAuthRequestProxyAuthorization',
    'HeaderLegacy',
  ).describe('Where the credentials are looked for.'),
  schemes: unique(choiceInAnyCase('basic', 'bearer'))
    .optional()
    .describe('Schemes of the header; default `basic`. Only for the three strategies that read a header.'),
  scheme_basic_cache_lifespan: duration()
    .prefault('0s')
    .describe('How long a right password is remembered; 0 switches it off. Needs scheme `basic`.'),
})
  .superRefine((strategy, context) => {
    const problem = (key: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [key], message });
    if (strategy.schemes?.length && !schemed.has(strategy.name))
      problem('schemes', `must not be set for ${strategy.name}`);
    if (
      strategy.scheme_basic_cache_lifespan > 0 &&
      (!schemed.has(strategy.name) || (strategy.schemes?.length && !strategy.schemes.includes('basic')))
    ) {
      problem('scheme_basic_cache_lifespan', 'needs a strategy with the scheme basic');
    }
  })
  .transform((strategy) => ({
    ...strategy,
    schemes: strategy.schemes?.length
      ? strategy.schemes
      : schemed.has(strategy.name)
        ? (['basic'] as const)
        : [],
  }));

const strategies = (first: string): object[] => [{ name: first }, { name: 'CookieSession' }];

const endpointSchema = section({
  implementation: choice('ForwardAuth', 'AuthRequest', 'ExtAuthz', 'Legacy').describe('How the proxy talks.'),
  authn_strategies: list(strategySchema)
    .prefault([])
    .describe('Asked in this order; default: the header of the implementation, then the cookie.'),
})
  .superRefine((endpoint, context) => {
    const names = endpoint.authn_strategies.map((strategy) => strategy.name);
    names.forEach((name, index) => {
      if (names.indexOf(name) !== index) {
        context.addIssue({
          code: 'custom',
          path: ['authn_strategies', index, 'name'],
          message: `must not stand twice, found "${name}" again`,
        });
      }
    });
  })
  .transform((endpoint) =>
    endpoint.authn_strategies.length > 0
      ? endpoint
      : {
          ...endpoint,
          authn_strategies: strategies(
            endpoint.implementation === 'Legacy' ? 'HeaderLegacy' : 'HeaderAuthorization',
          ).map((one) => strategySchema.parse(one)),
        },
  );

/** `server.endpoints.authz` */
export const authzEndpointsSchema = named(
  endpointSchema,
  /^[A-Za-z](?:[A-Za-z0-9/._-]*[A-Za-z])?$/,
  'must begin and end with a letter and have only letters, digits and / . _ - between',
)
  .superRefine((endpoints, context) => {
    for (const [name, endpoint] of Object.entries(endpoints)) {
      if (name === 'legacy' && endpoint.implementation !== 'Legacy') {
        context.addIssue({
          code: 'custom',
          path: [name, 'implementation'],
          message: 'must be Legacy for the endpoint named legacy',
        });
      }
      if (endpoint.implementation !== 'ExtAuthz' && endpoint.implementation !== 'Legacy') continue;
      const inside = Object.keys(endpoints).find((other) => other.startsWith(`${name}/`));
      if (inside !== undefined) {
        context.addIssue({
          code: 'custom',
          path: [inside],
          message: `must not lie below "${name}", which answers for every path below it`,
        });
      }
    }
  })
  .prefault({
    'forward-auth': { implementation: 'ForwardAuth' },
    'ext-authz': { implementation: 'ExtAuthz' },
    'auth-request': { implementation: 'AuthRequest' },
    legacy: { implementation: 'Legacy' },
  })
  .describe('Endpoints that decide, `/api/authz/<name>`; naming any replaces all four.');

/** Authorization endpoints by name. Every one has its strategies filled in. */
export type AuthzEndpointsConfig = z.output<typeof authzEndpointsSchema>;
export type AuthzEndpointConfig = AuthzEndpointsConfig[string];
export type AuthnStrategyConfig = AuthzEndpointConfig['authn_strategies'][number];
