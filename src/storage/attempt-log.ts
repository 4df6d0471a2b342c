import type { Storage } from './storage.ts';
import { literal } from './upsert.ts';

/** One try to log in, or to prove something else. */
export interface LoggedAttempt {
  readonly at: number;
  /** Empty for somebody who is not known: what was typed may be a password. */
  readonly username: string;
  readonly ip: string;
  /** `1FA`, `TOTP`, … */
  readonly kind: string;
  readonly outcome: 'success' | 'failure' | 'banned';
  readonly method: string;
  /** Where the person was going, without its query. Longer ones are cut at 1,000 characters. */
  readonly url: string;
}

/** What was tried: for people who look into it. What is counted against a ban stands in throttle-counters.ts. */
export interface AttemptLog {
  insert(attempt: LoggedAttempt): Promise<void>;
  /** The newest first. */
  list(filter: AttemptFilter): Promise<readonly LoggedAttempt[]>;
}

export interface AttemptFilter {
  readonly username?: string;
  readonly ip?: string;
  /** Default: all that is kept. */
  readonly since?: number;
  readonly limit: number;
}

const LONGEST_URL = 1000;

export function createAttemptLog({ database: { sql } }: Pick<Storage, 'database'>): AttemptLog {
  return {
    async insert(attempt) {
      await sql
        .insertInto('sallyport_attempts')
        .values({ ...attempt, url: attempt.url.slice(0, LONGEST_URL) })
        .execute();
    },
    async list({ username, ip, since = 0, limit }) {
      const rows = await sql
        .selectFrom('sallyport_attempts')
        .select(['at', 'username', 'ip', 'kind', 'outcome', 'method', 'url'])
        .where('at', '>=', since)
        .$if(username !== undefined, (query) => query.where('username', '=', username ?? ''))
        .$if(ip !== undefined, (query) => query.where('ip', '=', ip ?? ''))
        .orderBy('at', 'desc')
        .orderBy('id', 'desc')
        .limit(literal(limit))
        .execute();
      // Only `insert` writes them.
      return rows as readonly LoggedAttempt[];
    },
  };
}
