import { createHash } from 'node:crypto';

import type { Storage } from './storage.ts';

/**
 * Counts attempts before their secret is checked, in SQL wherever sessions are, so that parallel bursts and several
 * replicas change nothing: an attempt is written first and counted afterwards, so of any number at one time the k-th that
 * was written sees at least k. The window slides exactly: it is the time before each attempt.
 */
export interface ThrottleCounters {
  /**
   * Writes an attempt of this kind (`user`, `ip`, `totp` …) against a subject (the person, the address, whatever was typed)
   * and answers how many there are in the last `window` milliseconds, itself included. Rejects with StorageUnavailable: then the secret must
   * not be checked. `against`: who was tried, where the subject is not a person; `clear` may ask for it.
   */
  count(
    kind: string,
    subject: string,
    now: number,
    window: number,
    against?: string,
  ): Promise<CountedAttempt>;
  /** Its secret was wrong: until then it is under way, and may turn out to be right. */
  fail(attempt: CountedAttempt): Promise<void>;
  /** Takes an attempt back whose secret could not be checked, because the backend was out of reach. */
  takeBack(attempt: CountedAttempt): Promise<void>;
  /** Forgets the attempts of a subject, or only those against one person: the right secret was given. */
  clear(kind: string, subject: string, against?: string): Promise<void>;
}

/** An attempt that is written down. */
export interface CountedAttempt {
  readonly id: string;
  readonly count: number;
  /** How many of them have failed. */
  readonly failed: number;
}

const table = 'sallyport_throttle';

export function createThrottleCounters({
  database: { sql },
  random,
}: Pick<Storage, 'database' | 'random'>): ThrottleCounters {
  return {
    async count(kind, whom, now, window, against = '') {
      const subject = digestOf(whom);
      const id = random.bytes(15).toString('base64url');
      await sql
        .insertInto(table)
        .values({ id, kind, subject, against: digestOf(against), at: now, failed: 0 })
        .execute();
      const { count, failed } = await sql
        .selectFrom(table)
        .select(({ fn }) => [
          fn.countAll<number>().as('count'),
          fn.sum<number | string | null>('failed').as('failed'),
        ])
        .where('kind', '=', kind)
        .where('subject', '=', subject)
        .where('at', '>', now - window)
        .executeTakeFirstOrThrow();
      return { id, count: Math.max(1, count), failed: Number(failed ?? 0) };
    },
    async fail({ id }) {
      await sql.updateTable(table).set({ failed: 1 }).where('id', '=', id).execute();
    },
    async takeBack({ id }) {
      await sql.deleteFrom(table).where('id', '=', id).execute();
    },
    async clear(kind, whom, against) {
      await sql
        .deleteFrom(table)
        .where('kind', '=', kind)
        .where('subject', '=', digestOf(whom))
        .$if(against !== undefined, (query) => query.where('against', '=', digestOf(against ?? '')))
        .execute();
    },
  };
}

/** What was typed as a name may be a password, and of any length. */
const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url');
