import { CompiledQuery, Kysely } from 'kysely';

import type { Engine, SqlEngine } from './dialect.ts';
import { DuplicateKey, StorageConflict } from './errors.ts';
import { ATTEMPTS, createKyselyDialect, type Gate } from './kysely-dialect.ts';
import type { Tables } from './tables.ts';

/** Builds and runs statements on our tables. */
export type Sql = Kysely<Tables>;

/**
 * An open database. Each statement has 2 s, waiting included; what cannot be answered rejects with StorageUnavailable, also
 * until the schema is there. A statement that lost a deadlock is tried again.
 */
export interface Database {
  readonly engine: Engine;
  readonly sql: Sql;
  /** Where the tables stand, if the engine has such; `sql` puts it before their names. */
  readonly schema: string | undefined;
  /**
   * Runs statements that happen together or not at all, and as if no other transaction ran beside them. They must be short: on SQLite no other statement of this process
   * runs meanwhile. `run` is called again after a deadlock, so it must do nothing but statements.
   */
  transaction<T>(run: (sql: Sql) => Promise<T>): Promise<T>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Every statement waits for the gate first. */
export function createDatabase(name: Engine, engine: SqlEngine, gate: Gate | null): Database {
  const whole = new Kysely<Tables>({ dialect: createKyselyDialect(engine, gate) });
  const sql = engine.schema === undefined ? whole : whole.withSchema(engine.schema);
  return {
    engine: name,
    sql,
    schema: engine.schema,
    async transaction(run) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await sql.transaction().execute(run);
        } catch (error) {
          if (attempt === ATTEMPTS || !(error instanceof StorageConflict)) throw error;
        }
      }
    },
    async ping() {
      await sql.executeQuery(CompiledQuery.raw('select 1'));
    },
    close: () => engine.close(),
  };
}

/**
 * Inserts a row unless its key is taken, in one statement; true for the one caller whose row it is. Outside of
 * transactions only: there MySQL would leave locks behind.
 */
export async function insertOnce<T extends keyof Tables>(
  { engine, sql }: Database,
  table: T,
  row: Parameters<ReturnType<typeof sql.insertInto<T>>['values']>[0],
): Promise<boolean> {
  const insert = sql.insertInto(table).values(row);
  if (engine !== 'mysql') {
    const { numInsertedOrUpdatedRows } = await insert
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirstOrThrow();
    return numInsertedOrUpdatedRows === 1n;
  }
  try {
    await insert.execute();
    return true;
  } catch (error) {
    if (error instanceof DuplicateKey) return false;
    throw error;
  }
}
