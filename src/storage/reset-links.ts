import { isStorable } from './storable.ts';
import type { Storage } from './storage.ts';

export interface ResetLink {
  /** At most 64 characters, never used twice. It must not be enough to reset a password: whoever reads the database has it. */
  readonly id: string;
  readonly username: string;
  /** Who asked for it, for the record. */
  readonly ip: string;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** Links to reset a password: each good once, until it expires or is revoked. */
export interface ResetLinks {
  insert(link: ResetLink): Promise<void>;
  /** The link if it can be used now. Changes nothing. */
  find(id: string, now: number): Promise<ResetLink | null>;
  /** One update: the link, for the one caller who used it up. */
  consume(id: string, now: number): Promise<ResetLink | null>;
  /** Whose link this is or was, whatever became of it. */
  ownerOf(id: string): Promise<string | null>;
  /** Revokes all of a person that could still be used; answers how many. */
  revokeAll(username: string, now: number): Promise<number>;
}

const table = 'sallyport_reset_links';

export function createResetLinks({ database: { sql } }: Pick<Storage, 'database'>): ResetLinks {
  const usable = (now: number) =>
    sql
      .updateTable(table)
      .where('consumed_at', 'is', null)
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', now);

  const read = async (id: string): Promise<ResetLink | null> => {
    const row = await sql.selectFrom(table).selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) return null;
    const { username, ip, created_at, expires_at } = row;
    return { id, username, ip, createdAt: created_at, expiresAt: expires_at };
  };

  return {
    async insert({ id, username, ip, createdAt, expiresAt }) {
      const row = { id, username, ip, created_at: createdAt, expires_at: expiresAt };
      await sql
        .insertInto(table)
        .values({ ...row, consumed_at: null, revoked_at: null })
        .execute();
    },
    async find(id, now) {
      if (!isStorable(id)) return null;
      const row = await sql
        .selectFrom(table)
        .select('id')
        .where('id', '=', id)
        .where('consumed_at', 'is', null)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .executeTakeFirst();
      return row ? read(id) : null;
    },
    // What decides is the number of rows; the columns that are read afterwards never change.
    async consume(id, now) {
      if (!isStorable(id)) return null;
      const used = { consumed_at: now };
      const { numUpdatedRows } = await usable(now).set(used).where('id', '=', id).executeTakeFirst();
      return numUpdatedRows === 1n ? read(id) : null;
    },
    ownerOf: async (id) => (isStorable(id) ? ((await read(id))?.username ?? null) : null),
    async revokeAll(username, now) {
      const { numUpdatedRows } = await usable(now)
        .set({ revoked_at: now })
        .where('username', '=', username)
        .executeTakeFirst();
      return Number(numUpdatedRows);
    },
  };
}
