/**
 * SQLite, in one thread of each process. It takes one statement at a time; what waits, waits here and not in the thread, so
 * that nothing runs whose caller has given up. A lock of another process is waited for in the thread, at most 1.5 s.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { SqliteAdapter, SqliteQueryCompiler } from 'kysely';

import { threadUrl } from '../../lib/thread.ts';
import {
  type Dialect,
  type DialectDeps,
  type RunStatement,
  type SqlAnswer,
  type SqlSession,
  STATEMENT_DEADLINE,
} from '../dialect.ts';
import { DuplicateKey, StorageFault, StorageUnavailable } from '../errors.ts';

export interface ThreadSetting {
  readonly path: string;
  /** Milliseconds that SQLite waits for a lock. */
  readonly busyTimeout: number;
}

/** What the thread is asked. */
export interface ThreadJob {
  /** Comes back with the answer, and belongs to no other job of this process. */
  readonly number: number;
  readonly text: string;
  readonly values: readonly unknown[];
}

export interface ThreadAnswer {
  readonly number: number;
  readonly result: ThreadResult;
}

export type ThreadResult =
  | SqlAnswer
  | { readonly failure: { readonly code: number; readonly message: string } };

const BUSY_TIMEOUT = 1500;
/** Statements that wait for the thread, in all. */
const LONGEST_QUEUE = 1000;

export const sqliteDialect: Dialect<{ readonly path: string }> = {
  engine: 'sqlite',
  async open({ path }, deps) {
    const { run, reserve, close } = startThread(path, deps);
    return {
      run,
      reserve,
      close,
      // Declared types are kept to, as by the other engines.
      tableSuffix: () => Promise.resolve(' strict'),
      // Takes the lock of the one writer at once: a transaction that has begun never has to be given up for another.
      beginText: 'begin immediate',
      createAdapter: () => new QueuedSqliteAdapter(),
      createCompiler: () => new SqliteQueryCompiler(),
    };
  },
};

/** The library need not lock its one connection: statements and transactions queue here. */
class QueuedSqliteAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

interface Turn {
  readonly start: () => void;
}

function startThread(path: string, { timers, logger }: DialectDeps) {
  const workerData: ThreadSetting = { path, busyTimeout: BUSY_TIMEOUT };
  const waiting = new Set<Turn>();
  let thread: Worker | null = null;
  let isBusy = false;
  let isClosed = false;
  let asked = 0;
  /** The job that the thread has. */
  let job: { readonly number: number; readonly settle: (result: ThreadResult | Error) => void } | null = null;

  const lost = (error: Error): void => {
    thread = null;
    job?.settle(new StorageUnavailable(`the thread of SQLite has ended: ${error.message}`));
  };
  const start = (): Worker => {
    const started = new Worker(threadUrl('sqlite-thread', import.meta.url), {
      workerData,
      name: 'sqlite',
      execArgv: [],
    });
    started.on('message', ({ number, result }: ThreadAnswer) => {
      // Whose answer it is stands on it; that of nobody who waits goes to nobody.
      if (job?.number === number) job.settle(result);
    });
    started.on('error', (error: Error) => {
      logger.error({ error }, 'The thread of SQLite has failed and is started anew');
      if (thread === started) lost(error);
    });
    started.on('exit', () => {
      if (thread === started) lost(new Error('it has stopped'));
    });
    // Only what is under way keeps the process alive.
    started.unref();
    return started;
  };

  /** Hands the thread on: to one statement, or to one session. */
  const next = (): void => {
    const [turn] = waiting;
    isBusy = turn !== undefined;
    if (turn === undefined) return;
    waiting.delete(turn);
    turn.start();
  };

  /** Calls `begin` when the thread is free, unless `deadline` is over before; answers what ends the waiting. */
  const queue = (begin: () => void, reject: (error: Error) => void, deadline: number): (() => void) => {
    if (isClosed) {
      reject(new StorageUnavailable('the storage is closed'));
      return () => {};
    }
    if (waiting.size >= LONGEST_QUEUE) {
      reject(new StorageUnavailable('too many statements wait for SQLite'));
      return () => {};
    }
    const stop = timers.after(deadline, () => {
      if (waiting.delete(turn)) reject(new StorageUnavailable(`SQLite had no time within ${deadline} ms`));
    });
    const turn: Turn = { start: begin };
    waiting.add(turn);
    if (!isBusy) next();
    return stop;
  };

  /** The thread must be the caller's, and owe him nothing. Resolves when it is free again. */
  const ask = (text: string, values: readonly unknown[]): Promise<SqlAnswer> =>
    new Promise((resolve, reject) => {
      if (isClosed) return reject(new StorageUnavailable('the storage is closed'));
      thread ??= start();
      const own = thread;
      const number = ++asked;
      own.ref();
      const settle = (result: ThreadResult | Error): void => {
        job = null;
        own.unref();
        if (result instanceof Error) reject(result);
        else if ('failure' in result) reject(toError(result.failure));
        else resolve(result);
      };
      job = { number, settle };
      const message: ThreadJob = { number, text, values };
      own.postMessage(message, []);
    });

  const run: RunStatement = (text, values, deadline = STATEMENT_DEADLINE) =>
    new Promise((resolve, reject) => {
      queue(
        () => {
          // It waits for locks itself, and for shorter than the deadline; a disk that hangs is noticed here.
          const stop = timers.after(deadline, () => reject(tooLate(deadline)));
          ask(text, values)
            .then(resolve, reject)
            .finally(() => {
              stop();
              next();
            });
        },
        reject,
        deadline,
      );
    });

  const reserve = (): Promise<SqlSession> =>
    new Promise((resolve, reject) => {
      queue(() => resolve(createSession()), reject, STATEMENT_DEADLINE);
    });

  const createSession = (): SqlSession => {
    let isOver = false;
    let own: Worker | null = null;
    let last: Promise<unknown> = Promise.resolve();
    const end = (finish: () => void) => (): void => {
      if (isOver) return;
      isOver = true;
      void last.finally(() => {
        finish();
        next();
      });
    };
    return {
      run(text, values, deadline = STATEMENT_DEADLINE) {
        if (isOver) return Promise.reject(new StorageUnavailable('the transaction is over'));
        return new Promise((resolve, reject) => {
          let isGivenUp = false;
          const stop = timers.after(deadline, () => {
            isGivenUp = true;
            reject(tooLate(deadline));
          });
          // One after the other: the thread still owes the answer of the one that was too late.
          const answer = last.then(() => {
            if (isGivenUp) throw tooLate(deadline);
            // What was begun in another thread is rolled back; here each statement would stand for itself.
            if (own !== null && own !== thread) throw new StorageUnavailable('the transaction is lost');
            const asking = ask(text, values);
            own = thread;
            return asking;
          });
          last = answer.catch(() => {});
          answer.then(resolve, reject).finally(stop);
        });
      },
      release: end(() => {}),
      destroy: end(() => thread?.postMessage('reset', [])),
    };
  };

  return {
    run,
    reserve,
    async close(): Promise<void> {
      if (isClosed) return;
      isClosed = true;
      const ending = thread;
      if (ending === null) return;
      thread = null;
      ending.ref();
      const gone = once(ending, 'exit');
      ending.postMessage('close', []);
      await gone;
      job?.settle(new StorageUnavailable('the storage is closed'));
    },
  };
}

const tooLate = (deadline: number): Error =>
  new StorageUnavailable(`SQLite did not answer within ${deadline} ms`);

/** Primary result codes that mean: not now. https://sqlite.org/rescode.html */
const outages: ReadonlyMap<number, string> = new Map([
  [5, 'the database is locked by another process'],
  [6, 'a table is locked'],
  [7, 'there is not enough memory'],
  [8, 'the file is read-only'],
  [10, 'the disk fails'],
  [11, 'the file is damaged'],
  [13, 'the disk is full'],
  [14, 'the file cannot be opened'],
  [15, 'the file cannot be locked'],
  [26, 'the file is no SQLite database'],
]);

/** SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE. */
const duplicates = new Set([1555, 2067]);

function toError({ code, message }: { readonly code: number; readonly message: string }): Error {
  const outage = outages.get(code % 256);
  if (outage !== undefined) {
    return new StorageUnavailable(`SQLite cannot answer: ${outage} (${code})`, {
      isLocked: code % 256 === 5,
    });
  }
  const name = `SQLITE_${code}`;
  if (duplicates.has(code)) return new DuplicateKey(name, message);
  return new StorageFault(name, `SQLite refuses a statement: ${message}`);
}
