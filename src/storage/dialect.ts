import type { DialectAdapter, QueryCompiler } from 'kysely';

import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { Timers } from '../lib/timers.ts';

/**
 * What a database engine is to this folder. A dialect is one file in `dialects/` and one line in `registry.ts`; the
 * contract suite finds it by itself.
 *
 * Everything rejects with StorageUnavailable when the engine cannot answer within its deadline, with DuplicateKey when a
 * unique key is taken, with StorageUnfit when the settings are wrong, and with StorageFault otherwise.
 */
export interface Dialect<Config> {
  readonly engine: Engine;
  open(config: Config, deps: DialectDeps): Promise<SqlEngine>;
}

export type Engine = 'sqlite' | 'postgres' | 'mysql';

export interface DialectDeps {
  readonly logger: Logger;
  readonly random: Random;
  readonly timers: Timers;
}

/** Also what commands and the housekeeping need. */
export interface StorageDeps extends DialectDeps {
  readonly clock: Clock;
}

export interface SqlAnswer {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  /** Rows that were inserted, deleted or changed; on MySQL an update that changes nothing does not count. */
  readonly count: number;
  /** Of a generated key, where the engine does not return it as a row. */
  readonly insertId?: number;
}

export type RunStatement = (
  text: string,
  values: readonly unknown[],
  deadline?: number,
) => Promise<SqlAnswer>;

export interface SqlEngine {
  /** One statement on its own, in at most `deadline` milliseconds (default 2 s), waiting included. */
  readonly run: RunStatement;
  /** A connection for one caller alone; it must be released. */
  reserve(): Promise<SqlSession>;
  /** The schema in which the tables stand, where the engine has such. */
  readonly schema?: string;
  /** What follows the definition of a table. */
  tableSuffix(): Promise<string>;
  /** Opens a serializable transaction that may write. */
  readonly beginText: string;
  createAdapter(): DialectAdapter;
  createCompiler(): QueryCompiler;
  close(): Promise<void>;
}

export interface SqlSession {
  readonly run: RunStatement;
  /** Gives the connection back; there must be no open transaction. */
  release(): void;
  /** Gives the connection up, and with it what is not committed. */
  destroy(): void;
}

/** Milliseconds that a statement may take, waiting for a connection included. */
export const STATEMENT_DEADLINE = 2000;
