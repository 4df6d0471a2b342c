import { type Expression, sql as raw } from 'kysely';

import type { Database } from './database.ts';
import type { Tables } from './tables.ts';

/** Inserts the row, or changes these columns of the one that has this key, in one statement. */
export async function upsert(
  { engine, sql }: Database,
  table: keyof Tables,
  key: Readonly<Record<string, string | number>>,
  columns: Readonly<Record<string, unknown>>,
): Promise<void> {
  const insert = sql.insertInto(table).values({ ...key, ...columns });
  await (
    engine === 'mysql'
      ? insert.onDuplicateKeyUpdate(columns)
      : insert.onConflict((conflict) => conflict.columns(Object.keys(key) as never).doUpdateSet(columns))
  ).execute();
}

/** A number that stands in the statement itself: MySQL takes no parameter of ours as a limit. */
export function literal(number: number): Expression<number> {
  return raw.lit(Math.trunc(number));
}
