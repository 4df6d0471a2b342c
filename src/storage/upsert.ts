import { type Expression, sql as raw } from 'kysely';

import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

/** Inserts the row, or changes these columns of the one that has this key, in one statement. */
export async function upsert<T extends keyof Tables>(
  { engine, sql }: Database,
  table: T,
  key: Readonly<Record<string, string | number>>,
  columns: Readonly<Record<string, unknown>>,
): Promise<void> {
  const insert = sql.insertInto(table).values({ ...key, ...columns } as never);
  await (
    engine === 'mysql'
      ? insert.onDuplicateKeyUpdate(columns as never)
      : insert.onConflict((conflict) =>
          conflict.columns(Object.keys(key) as never).doUpdateSet(columns as never),
        )
  ).execute();
}

/** A number that stands in the statement itself: MySQL takes no parameter of ours as a limit. */
export function literal(number: number): Expression<number> {
  return raw.lit(Math.trunc(number));
}
