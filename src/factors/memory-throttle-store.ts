import { BoundedMap } from '../lib/bounded-map.ts';
import type { Ban } from '../storage/bans.ts';
import type { RateBuckets } from '../storage/rate-buckets.ts';
import type { ThrottleCounters } from '../storage/throttle-counters.ts';
import type { ThrottleDeps } from './throttle.ts';

/** What the throttle and the rate limits count in. */
export interface ThrottleStore extends Pick<ThrottleDeps, 'counters' | 'bans' | 'attempts'> {
  readonly buckets: RateBuckets;
}

/** Subjects of each sort that are remembered; the oldest goes. */
const LIMIT = 100_000;

/**
 * Counts in this process alone, for a gateway without `storage`: other processes count for themselves, and a restart
 * forgets. Bounded.
 */
export function createMemoryThrottleStore(): ThrottleStore {
  return { counters: createCounters(), bans: createBans(), attempts: null, buckets: createBuckets() };
}

interface Attempt {
  readonly id: string;
  readonly against: string;
  readonly at: number;
  readonly failed: boolean;
}

function createCounters(): ThrottleCounters {
  const attempts = new BoundedMap<string, readonly Attempt[]>(LIMIT);
  let lastId = 0;

  const keep = (place: string, isKept: (attempt: Attempt) => boolean): void => {
    const kept = (attempts.get(place) ?? []).filter(isKept);
    if (kept.length > 0) attempts.set(place, kept);
    else attempts.delete(place);
  };

  const placeOf = (id: string): string => id.slice(id.indexOf(' ') + 1);

  return {
    async count(kind, subject, now, window, against = '') {
      const place = `${kind} ${subject}`;
      const id = `${++lastId} ${place}`;
      const counted = (attempts.get(place) ?? []).filter(({ at }) => at > now - window);
      attempts.set(place, [...counted, { id, against, at: now, failed: false }]);
      return { id, count: counted.length + 1, failed: counted.filter(({ failed }) => failed).length };
    },
    async fail({ id }) {
      const place = placeOf(id);
      const all = attempts.get(place) ?? [];
      attempts.set(
        place,
        all.map((attempt) => (attempt.id === id ? { ...attempt, failed: true } : attempt)),
      );
    },
    async takeBack({ id }) {
      keep(placeOf(id), (attempt) => attempt.id !== id);
    },
    async clear(kind, subject, against) {
      keep(`${kind} ${subject}`, (attempt) => against !== undefined && attempt.against !== against);
    },
  };
}

function createBans(): ThrottleStore['bans'] {
  const bans = new BoundedMap<string, Ban>(LIMIT);
  let lastId = 0;
  return {
    async insert(ban) {
      const id = ++lastId;
      bans.set(`${ban.kind} ${ban.subject}`, { ...ban, id, revokedAt: null });
      return id;
    },
    async findInForce(subjects, now) {
      const found = subjects.map(({ kind, subject }) => bans.get(`${kind} ${subject}`));
      return found.find((ban) => ban !== undefined && (ban.expiresAt ?? Infinity) > now) ?? null;
    },
  };
}

function createBuckets(): RateBuckets {
  const fullAt = new BoundedMap<string, number>(LIMIT);
  return {
    async take(route, address, limits, now) {
      for (const [bucket, { period, requests }] of limits.entries()) {
        const key = `${route} ${bucket} ${address}`;
        const full = Math.max(fullAt.get(key) ?? now, now);
        const wait = full - (requests - 1) * period - now;
        if (wait > 0) return wait;
        fullAt.set(key, full + period);
      }
      return null;
    },
  };
}
