/**
 * Removes what is of no more use, on one replica at a time (whoever takes the lease), in batches so small that nobody waits
 * for one. What goes when is stated here once; `storage.retention` sets the times.
 */
import { type ExpressionBuilder, type Expression, type SqlBool, sql as raw } from 'kysely';

import type { Logger } from '../lib/logger.ts';
import type { Timers } from '../lib/timers.ts';
import type { StorageConfig } from './config.ts';
import type { Database } from './database.ts';
import { StorageUnavailable } from './errors.ts';
import { createLeases } from './leases.ts';
import type { Storage } from './storage.ts';
import type { Tables } from './tables.ts';
import { literal } from './upsert.ts';

export interface HousekeepingOptions {
  readonly retention: StorageConfig['retention'];
  /** Milliseconds: the longest window in which attempts are counted (`regulation.ban_time`). */
  readonly throttleWindow: number;
}

export interface HousekeepingDeps {
  readonly timers: Timers;
  readonly logger: Logger;
}

/** Milliseconds between two rounds, plus up to half of it at random. */
const INTERVAL = 600_000;
/** Longer than a round takes; renewed with each table. */
const LEASE = 120_000;
const LEASE_NAME = 'housekeeping';
/** Rows that one statement removes. */
const BATCH = 500;
/** Batches of one table in one round; the rest is for the next. */
const BATCHES = 200;
/** How long a step of a one-time password is remembered: far longer than any could be accepted. */
const STEP_MEMORY = 86_400_000;
/** Mail that nobody has cleared away, counted from its expiry. */
const MAIL_MEMORY = 7 * 86_400_000;

interface Rule<T extends keyof Tables = keyof Tables> {
  readonly table: T;
  readonly where: (where: ExpressionBuilder<Tables, T>) => Expression<SqlBool>;
}

const rule = <T extends keyof Tables>(table: T, where: Rule<T>['where']): Rule =>
  ({ table, where }) as unknown as Rule;

function rulesAt(now: number, { retention, throttleWindow }: HousekeepingOptions): readonly Rule[] {
  const codes = now - retention.codes;
  const bans = now - retention.bans;
  return [
    rule('sallyport_throttle', (where) => where('at', '<=', now - throttleWindow)),
    // A bucket that is full is as good as none.
    rule('sallyport_rate_buckets', (where) => where('full_at', '<=', now)),
    rule('sallyport_used_once', (where) => where('expires_at', '<=', now)),
    rule('sallyport_totp_history', (where) => where('used_at', '<=', now - STEP_MEMORY)),
    rule('sallyport_one_time_codes', (where) => where('expires_at', '<=', codes)),
    rule('sallyport_reset_links', (where) => where('expires_at', '<=', codes)),
    rule('sallyport_bans', (where) =>
      where.or([where('expires_at', '<=', bans), where('revoked_at', '<=', bans)]),
    ),
    rule('sallyport_mail_queue', (where) => where('expires_at', '<=', now - MAIL_MEMORY)),
    rule('sallyport_attempts', (where) => where('at', '<=', now - retention.attempts)),
    rule('sallyport_audit', (where) => where('at', '<=', now - retention.audit)),
    rule('sallyport_known_devices', (where) => where('last_seen_at', '<=', now - retention.known_devices)),
  ];
}

/** Tables that have lost rows, with how many. Null: another replica is at it. */
export type Swept = Readonly<Partial<Record<keyof Tables, number>>> | null;

/** One round. Rejects with StorageUnavailable; what was removed until then stays removed. */
export async function sweepStorage(
  storage: Storage,
  owner: string,
  options: HousekeepingOptions,
): Promise<Swept> {
  const { database, clock } = storage;
  const leases = createLeases(storage);
  const swept: Partial<Record<keyof Tables, number>> = {};
  try {
    for (const { table, where } of rulesAt(clock.now(), options)) {
      for (let batch = 0; batch < BATCHES; batch++) {
        const now = clock.now();
        if (!(await leases.take(LEASE_NAME, owner, now, now + LEASE))) return null;
        const count = await removeBatch(database, table, where);
        if (count > 0) swept[table] = (swept[table] ?? 0) + count;
        if (count < BATCH) break;
      }
    }
  } finally {
    await leases.release(LEASE_NAME, owner).catch(() => {});
  }
  return swept;
}

/** Removes rounds after rounds until it is stopped. Keeps no process alive. */
export function startHousekeeping(
  storage: Storage,
  options: HousekeepingOptions,
  { timers, logger }: HousekeepingDeps,
): { stop(): void } {
  const owner = storage.random.bytes(12).toString('base64url');
  let isStopped = false;
  let cancel = (): void => {};
  const round = async (): Promise<void> => {
    try {
      const swept = await sweepStorage(storage, owner, options);
      if (swept !== null && Object.keys(swept).length > 0) logger.debug({ swept }, 'Old records are removed');
    } catch (error) {
      const level = error instanceof StorageUnavailable ? 'warn' : 'error';
      if (!isStopped) logger[level]({ error }, 'Old records could not be removed; it is tried again');
    }
  };
  const schedule = (): void => {
    if (isStopped) return;
    const jitter = (storage.random.bytes(1).readUInt8() / 512) * INTERVAL;
    cancel = timers.after(INTERVAL + jitter, () => void round().finally(schedule));
  };
  schedule();
  return {
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

async function removeBatch(database: Database, table: keyof Tables, where: Rule['where']): Promise<number> {
  const { engine, sql } = database;
  if (engine === 'mysql') {
    const { numDeletedRows } = await sql
      .deleteFrom(table)
      .where(where)
      .limit(literal(BATCH))
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
  // Neither has a limit for deletes; both name a row by where it is.
  const place = raw<string>`${raw.raw(engine === 'postgres' ? 'ctid' : 'rowid')}`;
  const { numDeletedRows } = await sql
    .deleteFrom(table)
    .where(place, 'in', sql.selectFrom(table).select(place.as('place')).where(where).limit(literal(BATCH)))
    .executeTakeFirst();
  return Number(numDeletedRows);
}
