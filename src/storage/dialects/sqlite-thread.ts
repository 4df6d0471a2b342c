/** The thread in which SQLite works and waits for locks: see sqlite.ts. It runs one statement after the other. */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

import type { ThreadAnswer, ThreadJob, ThreadResult, ThreadSetting } from './sqlite.ts';

const { path, busyTimeout } = workerData as ThreadSetting;
const statementsKept = 200;
/** SQLITE_BUSY */
const busy = 5;
const pauseMs = 20;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Opened by the first statement that finds it closed, so that a file that comes back is found. */
let database: DatabaseSync | null = null;
const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

function open(): DatabaseSync {
  // It holds secrets, if encrypted ones; its companions get the same mode.
  closeSync(openSync(path, 'a', 0o600));
  const opened = new DatabaseSync(path, { timeout: busyTimeout });
  try {
    // Readers and the one writer do not wait for each other; a commit is on the disk before it is answered.
    useWal(opened);
    opened.exec('pragma synchronous = full');
  } catch (error) {
    opened.close();
    throw error;
  }
  return opened;
}

/** The change itself does not wait for locks, so when several begin at once it is tried again. */
function useWal(opened: DatabaseSync): void {
  for (let waited = 0; ; waited += pauseMs) {
    try {
      opened.exec('pragma journal_mode = wal');
      return;
    } catch (error) {
      if (Number((error as { errcode?: number }).errcode) % 256 !== busy || waited >= busyTimeout)
        throw error;
    }
    Atomics.wait(sleeper, 0, 0, pauseMs);
  }
}

function close(): void {
  statements.clear();
  database?.close();
  database = null;
}

function prepare(from: DatabaseSync, text: string): ReturnType<DatabaseSync['prepare']> {
  const known = statements.get(text);
  if (known !== undefined) return known;
  const statement = from.prepare(text);
  if (statements.size >= statementsKept) statements.clear();
  statements.set(text, statement);
  return statement;
}

function run({ text, values }: ThreadJob): ThreadResult {
  database ??= open();
  const statement = prepare(database, text);
  if (statement.columns().length > 0) {
    const rows = statement.all(...(values as SQLInputValue[])) as Record<string, unknown>[];
    // Of an insert or update with `returning`, the rows are those that were changed.
    return { rows, count: rows.length };
  }
  const { changes } = statement.run(...(values as SQLInputValue[]));
  return { rows: [], count: Number(changes) };
}

parentPort?.on('message', (job: ThreadJob | 'close' | 'reset') => {
  if (job === 'close') {
    close();
    return parentPort?.close();
  }
  if (job === 'reset') {
    // Rolls back what is open.
    return close();
  }
  let result: ThreadResult;
  try {
    result = run(job);
  } catch (error) {
    // Without a code of SQLite's it is one of the file system's: CANTOPEN.
    const { errcode = 14, message } = error as { errcode?: number; message: string };
    result = { failure: { code: errcode, message } };
  }
  const answer: ThreadAnswer = { number: job.number, result };
  parentPort?.postMessage(answer, []);
});
