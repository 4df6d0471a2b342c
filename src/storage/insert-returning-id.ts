import type { Database } from './database.ts';

type TableWithId = 'sallyport_bans';

/** Inserts a row and answers the id that the engine gave it. */
export async function insertReturningId<T extends TableWithId>(
  { engine, sql }: Database,
  table: T,
  row: Parameters<ReturnType<typeof sql.insertInto<T>>['values']>[0],
): Promise<number> {
  const insert = sql.insertInto(table as TableWithId).values(row as never);
  if (engine === 'mysql') return Number((await insert.executeTakeFirstOrThrow()).insertId);
  return (await insert.returning('id').executeTakeFirstOrThrow()).id;
}
