import { sql as raw } from 'kysely';

import type { Storage } from './storage.ts';

/** Work that one replica does for all. */
export interface Leases {
  /**
   * Takes or prolongs the lease of this name until `until`; false when another owner holds it at `now`. Owners are
   * processes, each with a name of its own.
   */
  take(name: string, owner: string, now: number, until: number): Promise<boolean>;
  /** Nothing happens when it is another's. */
  release(name: string, owner: string): Promise<void>;
}

const table = 'sallyport_leases';

export function createLeases({ database }: Pick<Storage, 'database'>): Leases {
  const { engine, sql } = database;
  return {
    async take(name, owner, now, until) {
      const insert = sql.insertInto(table).values({ name, owner, held_until: until });
      // The order counts: MySQL sets one column after the other, and the second sees the first.
      await (
        engine === 'mysql'
          ? insert.onDuplicateKeyUpdate({
              owner: raw<string>`if(owner = ${owner} or held_until <= ${now}, ${owner}, owner)`,
              held_until: raw<number>`if(owner = ${owner}, ${until}, held_until)`,
            })
          : insert.onConflict((conflict) =>
              conflict
                .column('name')
                .doUpdateSet({ owner, held_until: until })
                .where((where) =>
                  where.or([where(`${table}.owner`, '=', owner), where(`${table}.held_until`, '<=', now)]),
                ),
            )
      ).execute();
      const row = await sql
        .selectFrom(table)
        .select('owner')
        .where('name', '=', name)
        .where('held_until', '>', now)
        .executeTakeFirst();
      return row?.owner === owner;
    },
    async release(name, owner) {
      await sql.deleteFrom(table).where('name', '=', name).where('owner', '=', owner).execute();
    },
  };
}
