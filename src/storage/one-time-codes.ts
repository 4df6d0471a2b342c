import { createHash, timingSafeEqual } from 'node:crypto';

import { isStorable } from './storable.ts';
import type { Storage } from './storage.ts';

/** To whom, for what and in which session a code was given: it counts nowhere else. */
export interface CodeOwner {
  readonly username: string;
  readonly purpose: string;
  /** The public id of the session. */
  readonly sessionId: string;
}

export interface NewOneTimeCode extends CodeOwner {
  /** Public; names the code in a link that revokes it. At most 64 characters, never used twice. */
  readonly id: string;
  readonly code: string;
  /** Who asked for it, for the record. */
  readonly ip: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Tries until it is void. */
  readonly attempts: number;
}

/** 'gone': there is none, or it is expired, used, revoked or void. A person is told the same as for 'wrong'. */
export type CodeTry = 'accepted' | 'wrong' | 'gone';

/** A code that was revoked by now, or had been used before. */
export interface RevokedCode extends Pick<CodeOwner, 'username' | 'sessionId'> {
  readonly wasUsed: boolean;
}

/** Codes that are sent by mail and typed in. What is stored of a code is encrypted. */
export interface OneTimeCodes {
  /** Earlier codes of the same owner are revoked. */
  insert(code: NewOneTimeCode): Promise<void>;
  /** Counts the try before it looks at the code; of several callers with the right code exactly one has it accepted. */
  consume(owner: CodeOwner, code: string, now: number): Promise<CodeTry>;
  /** The code that this call revoked, or came too late for; null for one that nobody has used nor can use any more. */
  revoke(id: string, now: number): Promise<RevokedCode | null>;
}

const table = 'sallyport_one_time_codes';

export function createOneTimeCodes({ database, cipher }: Storage): OneTimeCodes {
  const { sql } = database;
  return {
    async insert(code) {
      const row = {
        id: code.id,
        username: code.username,
        purpose: code.purpose,
        session_id: code.sessionId,
        code: cipher.encrypt(placeOf(code.id), digestOf(code.code)),
        ip: code.ip,
        created_at: code.createdAt,
        expires_at: code.expiresAt,
        attempts_left: code.attempts,
        consumed_at: null,
        revoked_at: null,
      };
      await database.transaction(async (transaction) => {
        await transaction
          .updateTable(table)
          .set({ revoked_at: code.createdAt })
          .where('username', '=', code.username)
          .where('purpose', '=', code.purpose)
          .where('session_id', '=', code.sessionId)
          .where('consumed_at', 'is', null)
          .where('revoked_at', 'is', null)
          .execute();
        await transaction.insertInto(table).values(row).execute();
      });
    },

    async consume(owner, code, now) {
      const open = await sql
        .selectFrom(table)
        .select(['id', 'code'])
        .where('username', '=', owner.username)
        .where('purpose', '=', owner.purpose)
        .where('session_id', '=', owner.sessionId)
        .where('consumed_at', 'is', null)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .executeTakeFirst();
      if (!open) return 'gone';
      const counted = await sql
        .updateTable(table)
        .set((column) => ({ attempts_left: column('attempts_left', '-', 1) }))
        .where('id', '=', open.id)
        .where('attempts_left', '>', 0)
        .where('consumed_at', 'is', null)
        .where('revoked_at', 'is', null)
        .executeTakeFirst();
      if (counted.numUpdatedRows !== 1n) return 'gone';
      if (!timingSafeEqual(cipher.decrypt(placeOf(open.id), open.code), digestOf(code))) return 'wrong';
      const { numUpdatedRows } = await sql
        .updateTable(table)
        .set({ consumed_at: now })
        .where('id', '=', open.id)
        .where('consumed_at', 'is', null)
        .where('revoked_at', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows === 1n ? 'accepted' : 'gone';
    },

    async revoke(id, now) {
      if (!isStorable(id)) return null;
      const { numUpdatedRows } = await sql
        .updateTable(table)
        .set({ revoked_at: now })
        .where('id', '=', id)
        .where('consumed_at', 'is', null)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .executeTakeFirst();
      const row = await sql
        .selectFrom(table)
        .select(['username', 'session_id', 'consumed_at'])
        .where('id', '=', id)
        .executeTakeFirst();
      const wasUsed = numUpdatedRows !== 1n;
      if (!row || (wasUsed && row.consumed_at === null)) return null;
      return { username: row.username, sessionId: row.session_id, wasUsed };
    },
  };
}

const placeOf = (id: string) => ({ table, column: 'code', row: id }) as const;

/** Of one length, whatever was typed. */
const digestOf = (code: string): Buffer => createHash('sha256').update(code).digest();
