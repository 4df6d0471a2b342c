/**
 * Brings the schema to a version, one replica at a time. Where the engine can (PostgreSQL, SQLite), all of it is one
 * transaction. MySQL commits each change of a table by itself: there every statement is a step whose end is written down,
 * and whoever comes after one that was killed goes on where it stopped, in the direction in which it went.
 */
import { setTimeout as pause } from 'node:timers/promises';

import type { Clock } from '../lib/clock.ts';
import type { Engine, SqlEngine, SqlSession } from './dialect.ts';
import { StorageFault, StorageUnavailable, StorageUnfit } from './errors.ts';
import { beginning } from './migrations/001-beginning.ts';
import { createSchemaWriter, type SchemaWriter } from './migrations/schema-writer.ts';

export interface Migration {
  /** From 1, without gaps. */
  readonly version: number;
  readonly name: string;
  /** Statements; on MySQL each is a step. */
  readonly up: (writer: SchemaWriter) => readonly string[];
  /** What was kept in what they remove is lost. */
  readonly down: (writer: SchemaWriter) => readonly string[];
}

export const migrations: readonly Migration[] = [beginning];

export interface MigrationDeps {
  readonly clock: Clock;
  /** The version of this program, for the record. */
  readonly application: string;
  /** Default: those of this version. */
  readonly migrations?: readonly Migration[];
}

export interface MigrationRecord {
  readonly id: number;
  readonly version: number;
  readonly versionBefore: number;
  readonly name: string;
  readonly startedAt: number;
  /** Null: it was stopped half-way; the next migration finishes it. */
  readonly finishedAt: number | null;
  readonly stepsDone: number;
  readonly application: string;
}

/** Milliseconds. */
const LOCK_PATIENCE = 60_000;
const LOCK_PAUSE = 100;
const STEP_DEADLINE = 60_000;

const HISTORY = 'sallyport_migrations';

/** What was done to the schema, the oldest first; empty where nothing ever was. */
export function listMigrations(
  engine: Engine,
  { run, schema }: SqlEngine,
): Promise<readonly MigrationRecord[]> {
  return readHistory(engine, { run }, schema);
}

/** The version of the schema: 0 when there is none; 'unfinished' when a migration was stopped half-way. */
export function versionOf(history: readonly MigrationRecord[]): number | 'unfinished' {
  const last = history.at(-1);
  if (last === undefined) return 0;
  return last.finishedAt === null ? 'unfinished' : last.version;
}

/** Throws StorageUnfit when the schema is of a newer version of this program. */
export function refuseNewer(version: number, newest: number): void {
  if (version <= newest) return;
  throw new StorageUnfit(
    `storage: the database has schema version ${version}, and this version of sallyport knows none beyond ${newest}. Start the newer version again, or let it go back first: sallyport storage migrate down --target ${newest} --destroy-data`,
  );
}

/**
 * Goes to version `target` and answers what was done. Nothing is done when the schema is there already, as another replica
 * may have brought it. Rejects with StorageUnavailable when another one is at it for longer than a minute.
 */
export async function migrateTo(
  target: number,
  engine: Engine,
  sql: SqlEngine,
  deps: MigrationDeps,
): Promise<readonly MigrationRecord[]> {
  const known = deps.migrations ?? migrations;
  const newest = known.length;
  const before = await readHistory(engine, sql, sql.schema);
  const version = versionOf(before);
  if (version !== 'unfinished') refuseNewer(version, newest);
  if (version === target) return [];
  const writer = createSchemaWriter({ engine, schema: sql.schema, tableSuffix: await sql.tableSuffix() });
  const history = await withLock(engine, sql, async (session) => {
    for (const statement of writer.createTable(historyTable)) await session.run(statement, [], STEP_DEADLINE);
    const runner = { engine, session, schema: sql.schema, writer, deps, known };
    await finishInterrupted(runner);
    const from = versionOf(await readHistory(engine, session, sql.schema));
    if (from === 'unfinished') throw new StorageFault('', 'a migration is still unfinished');
    refuseNewer(from, newest);
    for (const migration of known.slice(from, Math.max(from, target))) {
      await runMigration(runner, migration, migration.version, migration.version - 1, null);
    }
    for (const migration of known.slice(target, Math.max(from, target)).toReversed()) {
      if (migration.version > from) continue;
      await runMigration(runner, migration, migration.version - 1, migration.version, null);
    }
    return readHistory(engine, session, sql.schema);
  });
  const last = before.at(-1);
  return history.filter(({ id }) => id > (last?.id ?? 0) || (last?.finishedAt === null && id === last.id));
}

interface Runner {
  readonly engine: Engine;
  readonly session: SqlSession;
  readonly schema: string | undefined;
  readonly writer: SchemaWriter;
  readonly deps: MigrationDeps;
  readonly known: readonly Migration[];
}

async function finishInterrupted(runner: Runner): Promise<void> {
  const last = (await readHistory(runner.engine, runner.session, runner.schema)).at(-1);
  if (last === undefined || last.finishedAt !== null) return;
  const number = Math.max(last.version, last.versionBefore);
  refuseNewer(number, runner.known.length);
  const migration = runner.known[number - 1];
  if (migration) await runMigration(runner, migration, last.version, last.versionBefore, last);
}

/** `resumed`: the record of the one that was killed at this migration. */
async function runMigration(
  { engine, session, schema, writer, deps }: Runner,
  migration: Migration,
  version: number,
  versionBefore: number,
  resumed: MigrationRecord | null,
): Promise<void> {
  const table = nameOf(HISTORY, schema);
  const [one, two, three, four, five] = engine === 'postgres' ? ['$1', '$2', '$3', '$4', '$5'] : '?????';
  const now = deps.clock.now();
  if (resumed === null) {
    await session.run(
      `insert into ${table} (version, version_before, name, started_at, finished_at, steps_done, application) values (${one}, ${two}, ${three}, ${four}, null, 0, ${five})`,
      [version, versionBefore, migration.name, now, deps.application],
    );
  }
  const steps = version > versionBefore ? migration.up(writer) : migration.down(writer);
  const begin = resumed?.stepsDone ?? 0;
  for (const [index, step] of steps.entries()) {
    if (index < begin) continue;
    try {
      await session.run(step, [], STEP_DEADLINE);
    } catch (error) {
      // The step at which it was killed may have happened without its end being written down.
      if (!(resumed !== null && index === begin && isDoneAlready(error))) throw error;
    }
    await session.run(`update ${table} set steps_done = ${one} where finished_at is null`, [index + 1]);
  }
  await session.run(`update ${table} set finished_at = ${one} where finished_at is null`, [deps.clock.now()]);
}

/** Table, column or index is there, or gone, already. */
function isDoneAlready(error: unknown): boolean {
  const codes = [
    'ER_TABLE_EXISTS_ERROR',
    'ER_BAD_TABLE_ERROR',
    'ER_DUP_FIELDNAME',
    'ER_DUP_KEYNAME',
    'ER_CANT_DROP_FIELD_OR_KEY',
  ];
  return error instanceof StorageFault && codes.includes(error.code);
}

// --- one replica at a time ------------------------------------------------------------------------------------------

async function withLock<T>(
  engine: Engine,
  sql: SqlEngine,
  work: (session: SqlSession) => Promise<T>,
): Promise<T> {
  for (let waited = 0; ; waited += LOCK_PAUSE) {
    const session = await sql.reserve();
    try {
      if (await locks[engine].take(session, sql)) {
        const result = await work(session);
        await locks[engine].finish(session);
        session.release();
        return result;
      }
      session.release();
    } catch (error) {
      // With the connection goes the lock, and what was not committed.
      session.destroy();
      throw error;
    }
    if (waited >= LOCK_PATIENCE) {
      throw new StorageUnavailable('another process has been changing the schema for more than a minute');
    }
    await pause(LOCK_PAUSE);
  }
}

interface MigrationLock {
  /** False: somebody else has it; then nothing is left behind. */
  take(session: SqlSession, sql: SqlEngine): Promise<boolean>;
  finish(session: SqlSession): Promise<void>;
}

const commit = async (session: SqlSession): Promise<void> => {
  await session.run('commit', [], STEP_DEADLINE);
};

const locks: Readonly<Record<Engine, MigrationLock>> = {
  postgres: {
    async take(session, { schema = '' }) {
      // Not serializable: what the former holder of the lock has committed must be seen.
      await session.run('begin', []);
      const { rows } = await session.run(
        'select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as taken',
        [`sallyport storage ${schema}`],
      );
      if (rows[0]?.taken === true) return true;
      await session.run('rollback', []);
      return false;
    },
    finish: commit,
  },
  sqlite: {
    async take(session, { beginText }) {
      try {
        await session.run(beginText, []);
        return true;
      } catch (error) {
        if (error instanceof StorageUnavailable && error.isLocked) return false;
        throw error;
      }
    },
    finish: commit,
  },
  mysql: {
    async take(session) {
      const { rows } = await session.run(`select get_lock(${MYSQL_LOCK}, 0) as taken`, []);
      return rows[0]?.taken === 1;
    },
    async finish(session) {
      await session.run(`select release_lock(${MYSQL_LOCK})`, []);
    },
  },
};

/** Names of locks are the server's, not the database's. */
const MYSQL_LOCK = `concat('sallyport ', sha1(database()))`;

// --- the record -----------------------------------------------------------------------------------------------------

const historyTable = {
  name: HISTORY,
  columns: {
    id: 'id',
    version: 'integer',
    version_before: 'integer',
    name: 'text(64)',
    started_at: 'time',
    finished_at: 'time?',
    steps_done: 'integer',
    application: 'text(64)',
  },
} as const;

const exists: Readonly<Record<Engine, string>> = {
  sqlite: `select 1 as found from sqlite_master where type = 'table' and name = '${HISTORY}'`,
  mysql: `select 1 as found from information_schema.tables where table_schema = database() and table_name = '${HISTORY}'`,
  postgres: `select 1 as found from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = $1 and c.relname = '${HISTORY}'`,
};

async function readHistory(
  engine: Engine,
  { run }: Pick<SqlSession, 'run'>,
  schema: string | undefined,
): Promise<readonly MigrationRecord[]> {
  const found = await run(exists[engine], engine === 'postgres' ? [schema] : []);
  if (found.rows.length === 0) return [];
  const { rows } = await run(`select * from ${nameOf(HISTORY, schema)} order by id`, []);
  return rows.map((row) => ({
    id: Number(row.id),
    version: Number(row.version),
    versionBefore: Number(row.version_before),
    name: String(row.name),
    startedAt: Number(row.started_at),
    finishedAt: row.finished_at === null ? null : Number(row.finished_at),
    stepsDone: Number(row.steps_done),
    application: String(row.application),
  }));
}

function nameOf(table: string, schema: string | undefined): string {
  return schema === undefined ? table : `"${schema.replaceAll('"', '""')}".${table}`;
}
