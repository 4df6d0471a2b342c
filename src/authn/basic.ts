import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';

import type { HeaderName } from '../http/request-head.ts';
import { addressShare } from '../lib/address-share.ts';
import { BoundedMap } from '../lib/bounded-map.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { PasswordFactor } from '../factors/password-factor.ts';
import type { Throttle } from '../factors/throttle.ts';
import type { UserBackend, UserProfile } from '../users/backend.ts';
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
  readonly password: PasswordFactor;
  readonly throttle: Pick<Throttle, 'allows'>;
  readonly clock: Clock;
  readonly random: Random;
}

const REALM = 'Basic realm="Authorization Required"';
export const askAuthorization: Challenge = { status: 401, headers: ['WWW-Authenticate', REALM] };
export const askProxyAuthorization: Challenge = { status: 407, headers: ['Proxy-Authenticate', REALM] };

export function createBasicScheme(options: BasicOptions, deps: BasicDeps): Scheme {
  const check = createCheck(options.cacheLifespan, deps);
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
      return check(parsed.username, parsed.password, ip).then((user) =>
        user ? { user, level: 1, factors: [{ method: 'password', at: deps.clock.now() }] } : 'failure',
      );
    },
  };
}

type Check = (username: string, password: string, ip: string) => Promise<UserProfile | null>;

/** Entries of people whose password was right. Bounded: the oldest goes. */
const CACHE_LIMIT = 10_000;

interface Known {
  readonly digest: Buffer;
  readonly until: number;
  /** What the backend knew the password by; another one is another password. */
  readonly mark: string | null;
}

/**
 * Remembers, for a while, that a password was right: a keyed digest of it for each person, in this process only. The person
 * is still looked up each time, so that a disabled one does not pass, and a ban holds for him too (see `Throttle.allows`).
 * A password that was changed is forgotten as soon as the user backend tells (see `passwordMark`). The same credentials from
 * one client at one time are checked once, and count as one attempt.
 */
function createCheck(
  lifespan: number,
  { users, password: factor, throttle, clock, random }: BasicDeps,
): Check {
  const key = createSecretKey(random.bytes(32));
  const known = new BoundedMap<string, Known>(CACHE_LIMIT);
  const underWay = new Map<string, Promise<UserProfile | null>>();

  const remember = (name: string, digest: Buffer, mark: string | null): void => {
    known.delete(name);
    known.set(name, { digest, until: clock.now() + lifespan, mark });
  };

  return async (username, password, ip) => {
    const person = await users.find(username);
    const name = person?.username ?? username;
    // As JSON, so that no two pairs have one digest, however they are cut.
    const digest = createHmac('sha256', key)
      .update(JSON.stringify([name, password]))
      .digest();
    const told = lifespan > 0 ? users.passwordMark?.(name) : null;
    const mark = (told instanceof Promise ? await told : told) ?? null;
    const entry = known.get(name);
    if (
      person &&
      entry &&
      entry.until > clock.now() &&
      entry.mark === mark &&
      timingSafeEqual(entry.digest, digest)
    ) {
      const allowed = throttle.allows({ username: name, ip });
      if (allowed instanceof Promise ? await allowed : allowed) return person;
      await factor.refused();
      return null;
    }
    const id = `${digest.toString('base64')} ${addressShare(ip)}`;
    const running = underWay.get(id);
    if (running) return running;
    const started = factor.check({ username, password, ip, proof: 'basic' }).then((user) => {
      if (user && lifespan > 0) remember(user.username, digest, mark);
      return user;
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
