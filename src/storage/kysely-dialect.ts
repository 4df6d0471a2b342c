import type {
  CompiledQuery,
  DatabaseConnection,
  Dialect as KyselyDialect,
  Driver,
  Kysely,
  QueryResult,
} from 'kysely';

import { type SqlAnswer, type SqlEngine, type SqlSession, STATEMENT_DEADLINE } from './dialect.ts';
import { StorageConflict, StorageUnavailable, StorageUnfit } from './errors.ts';

/** Resolves when statements may be run; rejects with StorageUnavailable. */
export type Gate = () => Promise<void>;

/** How often a statement that lost a deadlock is run at most. */
export const ATTEMPTS = 3;

/** Makes an engine known to kysely. A statement outside a transaction runs wherever the engine has room for it. */
export function createKyselyDialect(engine: SqlEngine, gate: Gate | null): KyselyDialect {
  const driver: Driver = {
    async init() {
      // The engine is open already.
    },
    async acquireConnection() {
      await gate?.();
      return new EngineConnection(engine);
    },
    beginTransaction: (connection) => asOurs(connection).begin(engine.beginText),
    commitTransaction: (connection) => asOurs(connection).end('commit'),
    rollbackTransaction: (connection) => asOurs(connection).end('rollback'),
    async releaseConnection(connection) {
      asOurs(connection).release();
    },
    async destroy() {
      // Who opened the engine closes it.
    },
  };
  return {
    createDriver: () => driver,
    createAdapter: () => engine.createAdapter(),
    createQueryCompiler: () => engine.createCompiler(),
    createIntrospector: (_database: Kysely<unknown>) => {
      throw new Error('the schema is never read through kysely');
    },
  };
}

const asOurs = (connection: DatabaseConnection): EngineConnection => connection as EngineConnection;

class EngineConnection implements DatabaseConnection {
  readonly #engine: SqlEngine;
  #session: SqlSession | null = null;

  constructor(engine: SqlEngine) {
    this.#engine = engine;
  }

  async begin(text: string): Promise<void> {
    const session = await this.#engine.reserve();
    this.#session = session;
    try {
      await session.run(text, []);
    } catch (error) {
      this.#session = null;
      session.destroy();
      throw error;
    }
  }

  async end(text: 'commit' | 'rollback'): Promise<void> {
    try {
      await this.#session?.run(text, []);
    } catch (error) {
      // Whatever is still open on it must not meet the next caller.
      if (!(error instanceof StorageConflict)) {
        this.#session?.destroy();
        this.#session = null;
      }
      if (text === 'commit') throw error;
    }
  }

  release(): void {
    this.#session?.release();
    this.#session = null;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, count, insertId } = await this.#run(query);
    return {
      rows: rows as R[],
      numAffectedRows: BigInt(count),
      ...(insertId === undefined ? {} : { insertId: BigInt(insertId) }),
    };
  }

  async #run(query: CompiledQuery): Promise<SqlAnswer> {
    try {
      return await this.#attempt(query);
    } catch (error) {
      // What is wrong with the settings is said at the start; to whoever waits for an answer it is an outage.
      if (error instanceof StorageUnfit) throw new StorageUnavailable(error.message);
      throw error;
    }
  }

  async #attempt({ sql, parameters }: CompiledQuery): Promise<SqlAnswer> {
    if (this.#session !== null) return this.#session.run(sql, parameters);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#engine.run(sql, parameters, STATEMENT_DEADLINE);
      } catch (error) {
        if (attempt === ATTEMPTS || !(error instanceof StorageConflict)) throw error;
      }
    }
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('answers are read whole');
  }
}
