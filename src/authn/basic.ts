import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';

import type { HeaderName } from '../http/request-head.ts';
import { addressShare } from '../lib/address-share.ts';
import { BoundedMap } from '../lib/bounded-map.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { PasswordCheck, UserBackend } from '../users/backend.ts';
import type { Challenge, Scheme } from './scheme.ts';

/** HTTP Basic (RFC 7617) in one of three headers. Always level 1. */
export interface BasicOptions {
  readonly header: 'authorization' | 'proxy-authorization' | 'legacy';
  readonly challenge: Challenge;
  /** Milliseconds for which a correct password is not hashed again; 0: always hashed. */
  readonly cacheLifespan: number;
}

export interface BasicDeps {
  readonly users: UserBackend;
  readonly clock: Clock;
  readonly random: Random;
  readonly onAttempt: (attempt: {
    readonly username: string;
    readonly ip: string;
    readonly success: boolean;
  }) => void;
}

const REALM = 'Basic realm="Authorization Required"';
export const askAuthorization: Challenge = { status: 401, headers: ['WWW-Authenticate', REALM] };
export const askProxyAuthorization: Challenge = { status: 407, headers: ['Proxy-Authenticate', REALM] };

export function createBasicScheme(options: BasicOptions, deps: BasicDeps): Scheme {
  const check = options.cacheLifespan > 0 ? cached(options.cacheLifespan, deps) : checkWith(deps.users);
  return {
    challenge: options.challenge,
    authenticate({ head, parameter, ip }) {
      const legacy = options.header === 'legacy';
      const demanded = legacy && parameter('auth') === 'basic';
      const header: HeaderName =
        options.header === 'authorization' || demanded ? 'authorization' : 'proxy-authorization';
      if (head.flaw(header)) return 'failure';
      const text = head.header(header);
      if (text === undefined) return demanded ? 'failure' : 'skip';
      const parsed = parseBasic(text);
      if (parsed === 'other-scheme') return legacy ? 'failure' : 'skip';
      if (!parsed) return 'failure';
      return check(parsed.username, parsed.password, `basic ${addressShare(ip)}`).then((result) => {
        const success = result.status === 'success';
        deps.onAttempt({ username: parsed.username, ip, success });
        if (!success) return 'failure';
        return { user: result.user, level: 1, factors: [{ method: 'password', at: deps.clock.now() }] };
      });
    },
  };
}

type Check = (username: string, password: string, client: string) => Promise<PasswordCheck>;

function checkWith(users: UserBackend): Check {
  return (username, password, client) => users.checkPassword(username, password, client);
}

/** Entries of people whose password was right. Bounded: the oldest goes. */
const CACHE_LIMIT = 10_000;

/**
 * Remembers, for a while, that a password was right: a keyed digest of it for each person, in this process only. The person
 * is still looked up each time, so that a disabled one does not pass, and identical checks under way are done once.
 */
function cached(lifespan: number, { users, clock, random }: BasicDeps): Check {
  const key = createSecretKey(random.bytes(32));
  const known = new BoundedMap<string, { readonly digest: Buffer; readonly until: number }>(CACHE_LIMIT);
  const underWay = new Map<string, Promise<PasswordCheck>>();

  return async (username, password, client) => {
    const user = await users.find(username);
    const name = user?.username ?? username;
    // As JSON, so that no two pairs have one digest, however they are cut.
    const digest = createHmac('sha256', key)
      .update(JSON.stringify([name, password]))
      .digest();
    const entry = known.get(name);
    if (user && entry && entry.until > clock.now() && timingSafeEqual(entry.digest, digest)) {
      return { status: 'success', user };
    }
    const id = digest.toString('base64');
    const running = underWay.get(id);
    if (running) return running;
    const started = users.checkPassword(username, password, client).then((result) => {
      if (result.status === 'success') {
        known.delete(result.user.username);
        known.set(result.user.username, { digest, until: clock.now() + lifespan });
      }
      return result;
    });
    underWay.set(id, started);
    try {
      return await started;
    } finally {
      underWay.delete(id);
    }
  };
}

/** Credentials of a Basic header; null when they are malformed or one of them is empty. */
function parseBasic(text: string): { username: string; password: string } | 'other-scheme' | null {
  const match = /^ *([^ ]+)(?: +(.*))?$/.exec(text);
  if (match?.[1]?.toLowerCase() !== 'basic') return match ? 'other-scheme' : null;
  const encoded = match[2]?.trimEnd() ?? '';
  if (encoded === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(encoded)) return null;
  const bytes = Buffer.from(encoded, 'base64');
  const decoded = bytes.toString('utf8');
  if (!Buffer.from(decoded, 'utf8').equals(bytes)) return null;
  const colon = decoded.indexOf(':');
  const username = decoded.slice(0, Math.max(colon, 0));
  const password = decoded.slice(colon + 1);
  return colon < 1 || password === '' ? null : { username, password };
}
