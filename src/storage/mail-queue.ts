import { UndecipherableValue } from './column-cipher.ts';
import type { Storage } from './storage.ts';
import { literal } from './upsert.ts';

export interface QueuedMail {
  /** At most 64 letters, digits and dashes; never used twice. */
  readonly id: string;
  /** Up to 1 MiB; encrypted in the database. */
  readonly payload: string;
  readonly nextAttempt: number;
  /** Not acted on here. */
  readonly expiresAt: number;
}

export interface ClaimedMail {
  readonly id: string;
  /** Empty where it cannot be deciphered: the others that were claimed with it go their way. */
  readonly payload: string;
  readonly expiresAt: number;
  /** How often it was claimed, this time included; from 1. */
  readonly attempts: number;
}

/** The right to work on a message for a while. */
export interface MailLease {
  /** At most 64 characters, never used for two claims. */
  readonly token: string;
  /** From then on others may have the message. */
  readonly until: number;
}

/** Mail that waits to be sent. Exactly one replica has a message at one time. */
export interface MailQueue {
  /**
   * Adds a message, due at `nextAttempt`; with a lease it is the caller's at once, and its first attempt counted. False, and
   * nothing added, when `limit` messages are there already (a few more may pass when many come in together).
   */
  insert(mail: QueuedMail, limit: number, lease?: MailLease): Promise<boolean>;
  /**
   * Takes up to `count` messages that are due at `now` and under no lease in force at `now`, those due longest first. Each is
   * under the given lease then, and one attempt is added to its count.
   */
  claim(lease: MailLease, now: number, count: number): Promise<readonly ClaimedMail[]>;
  /** Lets a message go until `nextAttempt`. False, and nothing changed, when it is not under a lease with this token. */
  postpone(id: string, token: string, nextAttempt: number): Promise<boolean>;
  /** How many messages are there, also those on which somebody works. */
  count(): Promise<number>;
  /** Removes a message. False, and nothing changed, when it is not under a lease with this token. */
  delete(id: string, token: string): Promise<boolean>;
}

const table = 'sallyport_mail_queue';

export function createMailQueue({ database: { sql }, cipher }: Storage): MailQueue {
  const readPayload = (id: string, payload: Uint8Array): string => {
    try {
      return cipher.decrypt(placeOf(id), payload).toString();
    } catch (error) {
      if (error instanceof UndecipherableValue) return '';
      throw error;
    }
  };

  const countAll = async (): Promise<number> => {
    const { count } = await sql
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    return count;
  };

  return {
    count: countAll,

    async insert({ id, payload, nextAttempt, expiresAt }, limit, lease) {
      if ((await countAll()) >= limit) return false;
      await sql
        .insertInto(table)
        .values({
          id,
          payload: cipher.encrypt(placeOf(id), Buffer.from(payload)),
          next_attempt_at: nextAttempt,
          expires_at: expiresAt,
          attempts: lease === undefined ? 0 : 1,
          lease_token: lease?.token ?? null,
          lease_until: lease?.until ?? 0,
        })
        .execute();
      return true;
    },

    async claim({ token, until }, now, count) {
      const due = await sql
        .selectFrom(table)
        .select('id')
        .where('next_attempt_at', '<=', now)
        .where('lease_until', '<=', now)
        .orderBy('next_attempt_at')
        .orderBy('id')
        .limit(literal(count))
        .execute();
      if (due.length === 0) return [];
      // Others may have taken some of them meanwhile: the conditions are asked again.
      await sql
        .updateTable(table)
        .set((column) => ({
          lease_token: token,
          lease_until: until,
          attempts: column('attempts', '+', 1),
        }))
        .where(
          'id',
          'in',
          due.map(({ id }) => id),
        )
        .where('next_attempt_at', '<=', now)
        .where('lease_until', '<=', now)
        .execute();
      const rows = await sql
        .selectFrom(table)
        .select(['id', 'payload', 'expires_at', 'attempts'])
        .where('lease_token', '=', token)
        .orderBy('next_attempt_at')
        .orderBy('id')
        .execute();
      return rows.map(({ id, payload, expires_at, attempts }) => ({
        id,
        payload: readPayload(id, payload),
        expiresAt: expires_at,
        attempts,
      }));
    },

    async postpone(id, token, nextAttempt) {
      const { numUpdatedRows } = await sql
        .updateTable(table)
        .set({ next_attempt_at: nextAttempt, lease_token: null, lease_until: 0 })
        .where('id', '=', id)
        .where('lease_token', '=', token)
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    },

    async delete(id, token) {
      const { numDeletedRows } = await sql
        .deleteFrom(table)
        .where('id', '=', id)
        .where('lease_token', '=', token)
        .executeTakeFirst();
      return numDeletedRows === 1n;
    },
  };
}

const placeOf = (id: string) => ({ table, column: 'payload', row: id }) as const;
