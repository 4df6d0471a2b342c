import type { z } from 'zod';
import { canonicalAddress } from '../lib/ip-network.ts';
import { isPublicSuffix } from '../lib/public-suffix.ts';
import { choice, duration, flag, list, scalar, secret, section, text, url } from '../lib/schema.ts';
import { sessionDrivers } from './registry.ts';

const defaults = { expiration: 3_600_000, inactivity: 300_000, remember_me: 2_592_000_000 };

/** Names whose rules a browser enforces: `__Host-` forbids the Domain attribute, which a session cookie needs. */
const cookieName = (): z.ZodType<string> =>
  text({
    name: 'cookie name',
    pattern: [
      /^(?!__host-)[A-Za-z0-9!#$%&'*+.^_`|~-]+$/i,
      'must be a cookie name (letters, digits, - and _) that does not begin with __Host-',
    ],
  });
const sameSite = () => choice('lax', 'strict', 'none');

const domain = scalar({ name: 'domain', json: { type: 'string' } }, (value) => {
  const name = typeof value === 'string' ? value : '';
  if (name === '') throw new Error('must be the domain that the cookie is for');
  if (/^\*?\./.test(name)) throw new Error('must be the bare domain, without * and without a leading dot');
  if (name !== name.toLowerCase()) throw new Error(`must be lower case: ${name.toLowerCase()}`);
  if (canonicalAddress(name) !== null) return name;
  if (!/^(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/.test(name) || name.length > 253) {
    throw new Error('must be a domain name in ASCII, without scheme, port or path');
  }
  if (!name.includes('.'))
    throw new Error('must contain a dot (browsers keep no cookies for such a name) or be an IP address');
  if (isPublicSuffix(name))
    throw new Error('must not be a public suffix, below which strangers have sites: write your own domain');
  return name;
});

const cookieSchema = section({
  domain: domain.describe(
    'Domain that is protected, with everything below it; the cookie is sent there. At most one entry for a name and what lies below it.',
  ),
  authelia_url: url('https')
    .optional()
    .describe('Where the portal is seen by browsers: an https URL at or below `domain`. Required.'),
  default_redirection_url: url('https')
    .optional()
    .describe('Where one goes after signing in when no target is known.'),
  name: cookieName().optional().describe('Name of the cookie; default `session.name`.'),
  same_site: sameSite().optional().describe('SameSite attribute; default `session.same_site`.'),
  expiration: duration().optional().describe('Default `session.expiration`.'),
  inactivity: duration().optional().describe('Default `session.inactivity`.'),
  remember_me: duration({ canBeOff: true }).optional().describe('Default `session.remember_me`.'),
}).superRefine((cookie, context) => {
  const problem = (key: string, message: string): void =>
    context.addIssue({ code: 'custom', path: [key], message });
  for (const key of ['authelia_url', 'default_redirection_url'] as const) {
    const given = cookie[key];
    if (given !== undefined && !isWithin(hostOf(given), cookie.domain)) {
      problem(key, `must be at or below the cookie domain ${cookie.domain}, found ${JSON.stringify(given)}`);
    }
  }
  if (cookie.authelia_url === undefined) return;
  const portal = new URL(cookie.authelia_url);
  if (portal.search !== '') problem('authelia_url', 'must have no query');
  if (!/^\/(?:[A-Za-z0-9]+\/?)?$/.test(portal.pathname))
    problem('authelia_url', 'must have no path, or the one segment of server.address');
  if (cookie.default_redirection_url === cookie.authelia_url)
    problem('default_redirection_url', 'must differ from authelia_url');
});

type Drivers = typeof sessionDrivers;
type DriverName = { [K in keyof Drivers]: Drivers[K]['config'] extends null ? never : K }[keyof Drivers];
type DriverSections = { [K in DriverName]: z.ZodOptional<NonNullable<Drivers[K]['config']>> };

const driverNames = (Object.keys(sessionDrivers) as (keyof Drivers)[]).filter(
  (name): name is DriverName => sessionDrivers[name].config !== null,
);

/** One section for each driver that has settings. */
function driverSections(): DriverSections {
  const sections = Object.entries(sessionDrivers).flatMap(([name, { config }]) => {
    const schema: z.ZodType | null = config;
    return schema === null ? [] : [[name, schema.optional().describe(schema.description ?? '')] as const];
  });
  return Object.fromEntries(sections) as unknown as DriverSections;
}

/** `session` */
export const sessionSchema = section({
  secret: secret()
    .optional()
    .describe(
      'Seals sessions that are kept outside of the process. Required with `redis`, `postgres` and `filesystem`; in memory it may be left out.',
    ),
  accepted_secrets: list(secret())
    .prefault([])
    .describe(
      'More secrets that open sessions, while `secret` seals them: for changing it without signing anybody out. Put the new one here on every replica, swap the two, and drop the old one after the longest lifetime. Also one a line in the file that SALLYPORT_SESSION_ACCEPTED_SECRETS_FILE names.',
    ),
  degraded: section({
    maximum_age: duration({ minimum: 1000 }).describe(
      'How long ago this process must have seen the session in the store, at most.',
    ),
    two_factor: flag().prefault(false).describe('Serves rules of policy two_factor too.'),
  })
    .optional()
    .describe(
      'While the store is down, lets sessions that this process itself verified a short while ago pass reading requests (GET, HEAD, OPTIONS) of one_factor rules. For that long a sign-out on another replica may not be seen here. Off by default.',
    ),
  name: cookieName()
    .prefault('authelia_session')
    .describe('Name of the session cookie. New installations should take `__Secure-sallyport`.'),
  same_site: sameSite().prefault('lax').describe('SameSite attribute of the cookie.'),
  expiration: duration()
    .prefault('1h')
    .describe(
      'How long a session lives at most, counted from the first factor, unless remembered; 0 means the default.',
    ),
  inactivity: duration()
    .prefault('5m')
    .describe('How long a session lives without a request, unless remembered; 0 means the default.'),
  remember_me: duration({ canBeOff: true })
    .prefault('1M')
    .describe('How long a remembered session lives; -1 takes the choice away, 0 means the default.'),
  cookies: list(cookieSchema).prefault([]).describe('One entry for each domain that is protected.'),
  domain: domain
    .optional()
    .describe(
      'Deprecated: the only cookie domain, with `default_redirection_url` at the top level. Use `cookies`.',
    ),
  default_redirection_url: url('https', 'http')
    .optional()
    .describe('Deprecated: belongs to `domain`. Use `cookies[].default_redirection_url`.'),
  ...driverSections(),
})
  .superRefine((session, context) => {
    const problem = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const { cookies } = session;
    const stores = driverNames.filter((name) => session[name] !== undefined);
    if (stores.length > 1) {
      problem(
        [stores[1] ?? ''],
        `must not be combined with session.${stores[0]}: sessions are kept in one place`,
      );
    }
    const [store] = stores;
    if (store !== undefined && session.secret === undefined) {
      problem(['secret'], `is required with session.${store}: it seals what is kept there`);
    }
    if (session.domain !== undefined) {
      if (cookies.length > 0)
        problem(['domain'], 'must not be combined with session.cookies: use the latter');
      return;
    }
    if (session.default_redirection_url !== undefined) {
      problem(
        ['default_redirection_url'],
        'belongs into each entry of session.cookies, as cookies[].default_redirection_url',
      );
    }
    if (cookies.length === 0)
      problem(['cookies'], 'is required: name at least one domain and its authelia_url');
    cookies.forEach((cookie, index) => {
      if (cookie.authelia_url === undefined)
        problem(['cookies', index, 'authelia_url'], 'is required: the https URL of the portal');
      const other = cookies.findIndex(
        (one) => isWithin(cookie.domain, one.domain) || isWithin(one.domain, cookie.domain),
      );
      if (other < index) {
        const same = cookies[other]?.domain;
        const how = same === cookie.domain ? 'stands twice' : `overlaps with ${same}`;
        problem(
          ['cookies', index, 'domain'],
          `${cookie.domain} ${how} (session.cookies[${other}]): one entry covers a domain and everything below it`,
        );
      }
    });
  })
  .transform(({ domain, default_redirection_url, ...session }) => {
    const lifetimes = (
      one: { [K in keyof typeof defaults]?: number | undefined },
      base: typeof defaults,
    ): typeof defaults => ({
      expiration: one.expiration || base.expiration,
      inactivity: one.inactivity || base.inactivity,
      remember_me: one.remember_me || base.remember_me,
    });
    const own = lifetimes(session, defaults);
    const written: z.output<typeof cookieSchema>[] =
      domain === undefined
        ? session.cookies
        : [{ domain, ...(default_redirection_url === undefined ? {} : { default_redirection_url }) }];
    const cookies = written.map((cookie) => ({
      ...cookie,
      name: cookie.name ?? session.name,
      same_site: cookie.same_site ?? session.same_site,
      ...lifetimes(cookie, own),
    }));
    return { ...session, ...own, cookies };
  });

function isWithin(host: string, domain: string): boolean {
  return host === domain || host.endsWith(`.${domain}`);
}

function hostOf(address: string): string {
  return new URL(address).hostname.replace(/^\[(.*)\]$/, '$1');
}
