import { insertOnce } from './database.ts';
import type { Storage } from './storage.ts';
import { literal, upsert } from './upsert.ts';

/** A person's authenticator; one for each. */
export interface StoredTotpCredential {
  readonly username: string;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  readonly issuer: string;
  readonly algorithm: 'SHA1' | 'SHA256' | 'SHA512';
  readonly digits: 6 | 8;
  /** Seconds. */
  readonly period: number;
  readonly secret: Uint8Array;
}

/** Authenticators and the steps that were used. The secret is encrypted in the database. */
export interface TotpCredentials {
  find(username: string): Promise<StoredTotpCredential | null>;
  /** Whether there is one, even if its secret cannot be read. */
  has(username: string): Promise<boolean>;
  /** In order of the user names, after the given one. */
  list(after: string | null, limit: number): Promise<readonly StoredTotpCredential[]>;
  /** Puts it in the place of the person's earlier one. */
  replace(credential: StoredTotpCredential): Promise<void>;
  /** Adds it unless the person has one; false then. */
  insert(credential: StoredTotpCredential): Promise<boolean>;
  remove(username: string): Promise<boolean>;
  recordUse(username: string, at: number): Promise<void>;
  /**
   * One insert on the unique (username, step): true for the caller whose row it is, false for all others, and for steps
   * that start before one that was recorded already. A step stands there as its start in seconds since the epoch: those of
   * different periods compare.
   */
  recordStep(username: string, start: number): Promise<boolean>;
}

const place = (username: string) =>
  ({ table: 'sallyport_totp_credentials', column: 'secret', row: username }) as const;

export function createTotpCredentials({ database, cipher, clock }: Storage): TotpCredentials {
  const { sql } = database;
  const table = 'sallyport_totp_credentials';

  const read = (row: Row): StoredTotpCredential => ({
    username: row.username,
    createdAt: row.created_at,
    lastUsedAt: row.last_used_at,
    issuer: row.issuer,
    // Only `write` writes them.
    algorithm: row.algorithm as StoredTotpCredential['algorithm'],
    digits: row.digits as StoredTotpCredential['digits'],
    period: row.period,
    secret: cipher.decrypt(place(row.username), row.secret),
  });
  const write = (credential: StoredTotpCredential): Row => ({
    username: credential.username,
    created_at: credential.createdAt,
    last_used_at: credential.lastUsedAt,
    issuer: credential.issuer,
    algorithm: credential.algorithm,
    digits: credential.digits,
    period: credential.period,
    secret: cipher.encrypt(place(credential.username), credential.secret),
  });

  return {
    async find(username) {
      const row = await sql.selectFrom(table).selectAll().where('username', '=', username).executeTakeFirst();
      return row ? read(row) : null;
    },
    async has(username) {
      const row = await sql
        .selectFrom(table)
        .select('username')
        .where('username', '=', username)
        .executeTakeFirst();
      return row !== undefined;
    },
    async list(after, limit) {
      const rows = await sql
        .selectFrom(table)
        .selectAll()
        .$if(after !== null, (query) => query.where('username', '>', after ?? ''))
        .orderBy('username')
        .limit(literal(limit))
        .execute();
      return rows.map(read);
    },
    async replace(credential) {
      const { username, ...rest } = write(credential);
      await upsert(database, table, { username }, rest);
    },
    insert: (credential) => insertOnce(database, table, write(credential)),
    async remove(username) {
      const { numDeletedRows } = await sql
        .deleteFrom(table)
        .where('username', '=', username)
        .executeTakeFirst();
      return numDeletedRows > 0n;
    },
    async recordUse(username, at) {
      await sql.updateTable(table).set({ last_used_at: at }).where('username', '=', username).execute();
    },
    async recordStep(username, start) {
      const later = await sql
        .selectFrom('sallyport_totp_history')
        .select('step')
        .where('username', '=', username)
        .where('step', '>', start)
        .limit(literal(1))
        .executeTakeFirst();
      if (later) return false;
      return insertOnce(database, 'sallyport_totp_history', { username, step: start, used_at: clock.now() });
    },
  };
}

interface Row {
  readonly username: string;
  readonly created_at: number;
  readonly last_used_at: number | null;
  readonly issuer: string;
  readonly algorithm: string;
  readonly digits: number;
  readonly period: number;
  readonly secret: Uint8Array;
}
