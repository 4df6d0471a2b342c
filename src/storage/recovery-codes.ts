import type { Storage } from './storage.ts';

/** A person's recovery codes: a salt, and the digests of those that are unused. */
export interface StoredRecoveryCodes {
  readonly salt: Uint8Array;
  readonly digests: readonly Uint8Array[];
}

export interface RecoveryCodeRows {
  /** Null for who never had any. */
  find(username: string): Promise<StoredRecoveryCodes | null>;
  /** Puts the set in the place of every earlier one, in one transaction. */
  replace(username: string, set: StoredRecoveryCodes): Promise<void>;
  /** One update: true for the one caller who used the code up. */
  consume(username: string, digest: Uint8Array): Promise<boolean>;
  /** Whether there were any to remove. */
  remove(username: string): Promise<boolean>;
}

const table = 'sallyport_recovery_codes';

export function createRecoveryCodeRows({ database, clock }: Storage): RecoveryCodeRows {
  const { sql } = database;
  return {
    async find(username) {
      const rows = await sql
        .selectFrom(table)
        .select(['digest', 'salt', 'used_at'])
        .where('username', '=', username)
        .orderBy('digest')
        .execute();
      const [first] = rows;
      if (!first) return null;
      const unused = rows.filter(({ used_at }) => used_at === null);
      return {
        salt: Buffer.from(first.salt, 'base64url'),
        digests: unused.map(({ digest }) => Buffer.from(digest, 'base64url')),
      };
    },
    async replace(username, { salt, digests }) {
      const rows = digests.map((digest) => ({
        username,
        digest: toText(digest),
        salt: toText(salt),
        created_at: clock.now(),
        used_at: null,
      }));
      await database.transaction(async (transaction) => {
        await transaction.deleteFrom(table).where('username', '=', username).execute();
        if (rows.length > 0) await transaction.insertInto(table).values(rows).execute();
      });
    },
    async consume(username, digest) {
      const { numUpdatedRows } = await sql
        .updateTable(table)
        .set({ used_at: clock.now() })
        .where('username', '=', username)
        .where('digest', '=', toText(digest))
        .where('used_at', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    },
    async remove(username) {
      const { numDeletedRows } = await sql
        .deleteFrom(table)
        .where('username', '=', username)
        .executeTakeFirst();
      return numDeletedRows > 0n;
    },
  };
}

const toText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
