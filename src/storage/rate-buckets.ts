import { sql as raw } from 'kysely';

import type { Storage } from './storage.ts';
import { literal } from './upsert.ts';

/** `requests` at once, and one more after each `period` (milliseconds). */
export interface RateLimit {
  readonly period: number;
  readonly requests: number;
}

/** Token buckets that all replicas share. */
export interface RateBuckets {
  /**
   * Takes a token from each bucket of a route for an address (IPv6: its /64). Answers null, or how many milliseconds the
   * caller must wait: then no token was taken from the bucket that was empty, nor from those behind it.
   */
  take(route: string, address: string, limits: readonly RateLimit[], now: number): Promise<number | null>;
}

const table = 'sallyport_rate_buckets';

/**
 * A bucket is one number: when it will be full again (the virtual scheduling form of the generic cell rate algorithm). One
 * upsert takes a token if there is one, and the number of changed rows tells.
 */
export function createRateBuckets({ database }: Pick<Storage, 'database'>): RateBuckets {
  const { engine, sql } = database;

  const takeFrom = async (key: BucketKey, { period, requests }: RateLimit, now: number): Promise<boolean> => {
    const latest = now + (requests - 1) * period;
    const next = raw<number>`case when ${raw.ref(`${table}.full_at`)} > ${now} then ${raw.ref(`${table}.full_at`)} else ${now} end + ${period}`;
    const insert = sql.insertInto(table).values({ ...key, full_at: now + period });
    const { numInsertedOrUpdatedRows } = await (
      engine === 'mysql'
        ? insert.onDuplicateKeyUpdate({
            full_at: raw<number>`if(full_at <= ${latest}, greatest(full_at, ${now}) + ${period}, full_at)`,
          })
        : insert.onConflict((conflict) =>
            conflict
              .columns(['route', 'address', 'bucket'])
              .doUpdateSet({ full_at: next })
              .where(`${table}.full_at`, '<=', latest),
          )
    ).executeTakeFirstOrThrow();
    return (numInsertedOrUpdatedRows ?? 0n) > 0n;
  };

  return {
    async take(route, address, limits, now) {
      for (const [bucket, limit] of limits.entries()) {
        const key = { route, address, bucket };
        if (await takeFrom(key, limit, now)) continue;
        const row = await sql
          .selectFrom(table)
          .select('full_at')
          .where('route', '=', route)
          .where('address', '=', address)
          .where('bucket', '=', bucket)
          .limit(literal(1))
          .executeTakeFirst();
        const freeAt = (row?.full_at ?? now) - (limit.requests - 1) * limit.period;
        return Math.max(1, freeAt - now);
      }
      return null;
    },
  };
}

interface BucketKey {
  readonly route: string;
  readonly address: string;
  readonly bucket: number;
}
