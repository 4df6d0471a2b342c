import type { Expression, ExpressionBuilder, Selectable, SqlBool } from 'kysely';

import type { Storage } from './storage.ts';
import { isStorable } from './storable.ts';
import type { Tables } from './tables.ts';
import { literal } from './upsert.ts';

export type BanKind = 'user' | 'ip';

export interface NewBan {
  readonly kind: BanKind;
  /** The user name, or the address (IPv6: its /64). */
  readonly subject: string;
  readonly createdAt: number;
  /** Null: for good. */
  readonly expiresAt: number | null;
  /** `regulation`, `cli`. */
  readonly source: string;
  readonly reason: string | null;
}

export interface Ban extends NewBan {
  readonly id: number;
  readonly revokedAt: number | null;
}

export interface BanSubject {
  readonly kind: BanKind;
  readonly subject: string;
}

export interface Bans {
  /** Answers its id. */
  insert(ban: NewBan): Promise<number>;
  /** Of these subjects, the ban in force that lasts longest; null: none is banned. One statement. */
  findInForce(subjects: readonly BanSubject[], now: number): Promise<Ban | null>;
  /** The newest first. With `inForceAt`, only those in force then. */
  list(kind: BanKind, filter: BanFilter): Promise<readonly Ban[]>;
  /** Ends one ban by its id; true for the caller who did. */
  revoke(kind: BanKind, id: number, now: number): Promise<boolean>;
  /** Ends all bans in force of a subject; answers how many. */
  revokeAll(subject: BanSubject, now: number): Promise<number>;
}

export interface BanFilter {
  readonly subject?: string;
  readonly inForceAt?: number;
  readonly limit: number;
}

const table = 'sallyport_bans';

export function createBans({ database }: Pick<Storage, 'database'>): Bans {
  const { sql } = database;
  const inForce = (now: number) =>
    sql.selectFrom(table).selectAll().where('revoked_at', 'is', null).where(lasting(now));

  return {
    async insert({ kind, subject, createdAt, expiresAt, source, reason }) {
      const insert = sql.insertInto(table).values({
        kind,
        subject,
        created_at: createdAt,
        expires_at: expiresAt,
        revoked_at: null,
        source,
        reason,
      });
      if (database.engine === 'mysql') return Number((await insert.executeTakeFirstOrThrow()).insertId);
      return (await insert.returning('id').executeTakeFirstOrThrow()).id;
    },
    async findInForce(asked, now) {
      const subjects = asked.filter(({ subject }) => isStorable(subject));
      if (subjects.length === 0) return null;
      const rows = await inForce(now)
        .where((where) => where.or(subjects.map(({ kind, subject }) => where.and({ kind, subject }))))
        .execute();
      const until = ({ expires_at }: Row): number => expires_at ?? Infinity;
      const longest = rows.toSorted((a, b) => (until(a) < until(b) ? 1 : -1))[0];
      return longest ? read(longest) : null;
    },
    async list(kind, { subject, inForceAt, limit }) {
      const from = inForceAt === undefined ? sql.selectFrom(table).selectAll() : inForce(inForceAt);
      const rows = await from
        .where('kind', '=', kind)
        .$if(subject !== undefined, (query) => query.where('subject', '=', subject ?? ''))
        .orderBy('id', 'desc')
        .limit(literal(limit))
        .execute();
      return rows.map(read);
    },
    async revoke(kind, id, now) {
      const { numUpdatedRows } = await sql
        .updateTable(table)
        .set({ revoked_at: now })
        .where('kind', '=', kind)
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    },
    async revokeAll({ kind, subject }, now) {
      const { numUpdatedRows } = await sql
        .updateTable(table)
        .set({ revoked_at: now })
        .where('kind', '=', kind)
        .where('subject', '=', subject)
        .where('revoked_at', 'is', null)
        .where(lasting(now))
        .executeTakeFirst();
      return Number(numUpdatedRows);
    },
  };
}

type Row = Selectable<Tables[typeof table]>;

const lasting =
  (now: number) =>
  (where: ExpressionBuilder<Tables, typeof table>): Expression<SqlBool> =>
    where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]);

const read = (row: Row): Ban => ({
  id: row.id,
  // Only `insert` writes it.
  kind: row.kind as BanKind,
  subject: row.subject,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  revokedAt: row.revoked_at,
  source: row.source,
  reason: row.reason,
});
