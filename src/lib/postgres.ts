/**
 * A small pool of connections to one PostgreSQL database, which may be served by several servers of which one takes
 * writes. It owns where that one is, how long anything may take, and what happens when a server goes away:
 *
 * - A statement has 2 s, waiting for a connection included. When they are over its connection is given up, for nobody
 *   knows what it still carries, and so are the idle ones beside it.
 * - The servers are tried in order, from the one that was used last; one that is silent does not hold up the next. A
 *   standby is never used, and a server that became one is left.
 * - Nothing is queued for a server that is not there: without any connection, what waits fails with the attempt to
 *   connect, and during the pause before the next attempt (at most 0.5 s, 2 s when we are refused) at once.
 *
 * Statements are single: there are no transactions of several, and nothing that lives as long as a session.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from './logger.ts';
import {
  type Account,
  type Connection,
  nameOf,
  openConnection,
  type PostgresServer,
  type QueryAnswer,
} from './postgres/connection.ts';
import { errorCode, PostgresRefused, PostgresUnavailable } from './postgres/errors.ts';
import { readAccount } from './postgres/read-account.ts';
import type { Random } from './random.ts';
import { systemTimers, type Timers } from './timers.ts';

export interface PostgresOptions {
  /** In the order in which they are tried. */
  readonly servers: readonly PostgresServer[];
  /** These three may be `file:///path`: then the file says it, and is read again when the server refuses what it said. */
  readonly database: string;
  readonly username: string;
  readonly password?: string;
  /** Milliseconds for opening a connection. */
  readonly timeout: number;
  readonly maximumConnections: number;
  readonly applicationName: string;
}

export interface PostgresDeps {
  readonly logger: Logger;
  readonly random: Random;
  readonly timers?: Timers;
}

export interface Postgres {
  /**
   * Runs one statement; `$1` stands for the first value. Without values the text may be several statements, which happen
   * together or not at all. Rejects with the server's own error (see `errorCode`), with PostgresUnavailable, or with
   * PostgresRefused when the settings are wrong.
   */
  query(text: string, values?: readonly unknown[]): Promise<QueryAnswer>;
  /** Gives up all connections: the server behind them turned out not to take writes any more. */
  leave(): void;
  /** Later statements fail. Resolves also when the server does not answer. */
  close(): Promise<void>;
}

const STATEMENT_MS = 2000;
/** How long a server may be silent before the next one is tried as well. */
const HEAD_START_MS = 300;
const GOODBYE_MS = 250;
/** More than a pool of n connections can answer in half a second is not worth waiting for. */
const WAITING_PER_CONNECTION = 64;

interface Shared {
  readonly pool: Postgres;
  holders: number;
}
const shared = new Map<string, Shared>();

/** Whoever asks for the same thing gets the same connections, until the last one has closed. Connects when needed. */
export function openPostgres(options: PostgresOptions, deps: PostgresDeps): Postgres {
  const id = JSON.stringify(options);
  const own = shared.get(id) ?? { pool: createPool(options, deps), holders: 0 };
  shared.set(id, own);
  own.holders++;
  let closed = false;
  return {
    query: (text, values) => (closed ? Promise.reject(closedError()) : own.pool.query(text, values)),
    leave: () => own.pool.leave(),
    async close() {
      if (closed) return;
      closed = true;
      own.holders--;
      if (own.holders > 0) return;
      shared.delete(id);
      await own.pool.close();
    },
  };
}

interface Job {
  readonly text: string;
  readonly values: readonly unknown[];
  readonly settle: (error: Error | null, answer?: QueryAnswer) => void;
  connection: Connection | null;
}

const closedError = (): Error => new PostgresUnavailable('the connections to PostgreSQL are closed');

function createPool(options: PostgresOptions, deps: PostgresDeps): Postgres {
  const { servers, maximumConnections } = options;
  const { logger, random, timers = systemTimers } = deps;
  const connections = new Set<Connection>();
  const idle: Connection[] = [];
  /** Busy ones that are not to be used again. */
  const retired = new WeakSet<Connection>();
  const waiting = new Set<Job>();
  let account: Account | null = null;
  let current: PostgresServer | undefined = servers[0];
  let connecting = 0;
  let failures = 0;
  let failure: Error | null = null;
  let endRest: (() => void) | null = null;
  let closed = false;

  // --- statements ---

  const query = (text: string, values: readonly unknown[] = []): Promise<QueryAnswer> =>
    new Promise((resolve, reject) => {
      if (closed) return reject(closedError());
      if (waiting.size >= WAITING_PER_CONNECTION * maximumConnections)
        return reject(new PostgresUnavailable('too many statements wait for a connection to PostgreSQL'));
      let isSettled = false;
      const job: Job = {
        text,
        values,
        connection: null,
        settle(error, answer) {
          if (isSettled) return;
          isSettled = true;
          stop();
          if (answer !== undefined) resolve(answer);
          else reject(error ?? closedError());
        },
      };
      const stop = timers.after(STATEMENT_MS, () => expire(job));
      const connection = idle.pop();
      if (connection !== undefined) return void run(job, connection);
      waiting.add(job);
      grow();
    });

  const run = async (job: Job, connection: Connection): Promise<void> => {
    job.connection = connection;
    let answer: QueryAnswer;
    try {
      answer = await connection.query(job.text, job.values);
    } catch (error) {
      job.settle(fail(connection, error));
      return;
    }
    release(connection);
    job.settle(null, answer);
  };

  /** What the connection is good for after an error, and what its caller is told. */
  const fail = (connection: Connection, error: unknown): Error => {
    const cause = error instanceof Error ? error : new Error(String(error));
    const code = errorCode(error);
    if (code === '25006') leave();
    // Connection exceptions, a lack of resources, an operator's intervention: that session is over or of no use.
    if (/^(?=.*\d)[0-9A-Z]{5}$/.test(code) && !/^(?:08|53|57)/.test(code)) {
      release(connection);
      return cause;
    }
    discard(connection);
    return new PostgresUnavailable(`the connection to PostgreSQL is lost: ${cause.message}`, { cause });
  };

  const expire = (job: Job): void => {
    if (job.connection === null) {
      waiting.delete(job);
      job.settle(failure ?? new PostgresUnavailable(`no connection to PostgreSQL within ${STATEMENT_MS} ms`));
      return;
    }
    // The server may be gone without a word; then the idle connections are, too.
    job.connection.cancel();
    discard(job.connection, ...idle);
    job.settle(
      new PostgresUnavailable(
        `the server ${nameOf(job.connection.server)} did not answer within ${STATEMENT_MS} ms`,
      ),
    );
  };

  // --- connections ---

  const release = (connection: Connection): void => {
    if (!connections.has(connection)) return;
    if (retired.has(connection)) return discard(connection);
    const [job] = waiting;
    if (job === undefined) return void idle.push(connection);
    waiting.delete(job);
    void run(job, connection);
  };

  const discard = (...lost: readonly Connection[]): void => {
    for (const connection of lost) {
      connections.delete(connection);
      const index = idle.indexOf(connection);
      if (index >= 0) idle.splice(index, 1);
      connection.destroy();
    }
    grow();
  };

  const retire = (connection: Connection): void => {
    if (idle.includes(connection)) discard(connection);
    else retired.add(connection);
  };

  const leave = (): void => connections.forEach(retire);

  /** Opens connections as long as somebody waits for one. The first shows whether the server is there at all. */
  const grow = (): void => {
    if (closed) return;
    if (endRest !== null) {
      if (connections.size === 0) failWaiting();
      return;
    }
    const most = connections.size === 0 ? 1 : maximumConnections;
    while (connecting < waiting.size && connections.size + connecting < most) {
      connecting++;
      connect().then(admit, rest);
    }
  };

  const admit = (connection: Connection): void => {
    connecting--;
    if (closed) return connection.destroy();
    if (failure !== null) logger.info({ server: nameOf(connection.server) }, 'PostgreSQL is there again');
    failure = null;
    failures = 0;
    if (connection.server !== current) {
      logger.info({ server: nameOf(connection.server) }, 'Another PostgreSQL server takes the writes now');
      current = connection.server;
      for (const other of connections) if (other.server !== current) retire(other);
    }
    connections.add(connection);
    release(connection);
    grow();
  };

  const rest = (error: Error): void => {
    connecting--;
    if (closed) return;
    if (failure === null) logger.warn({ error }, 'No connection to PostgreSQL');
    failure = error;
    const most = Math.min(50 * 2 ** failures++, error instanceof PostgresRefused ? 2000 : 500);
    endRest ??= timers.after(most * (0.5 + random.bytes(1).readUInt8() / 512), () => {
      endRest = null;
      grow();
    });
    if (connections.size === 0) failWaiting();
  };

  const failWaiting = (): void => {
    for (const job of waiting) job.settle(failure);
    waiting.clear();
  };

  const connect = async (): Promise<Connection> => {
    account ??= await readAccount(options);
    try {
      return await connectToAny(account);
    } catch (error) {
      // A pgbouncer has but 08P01 for all that it refuses.
      const isRefusal =
        error instanceof PostgresRefused
          ? error.setting !== 'tls'
          : errorCode(error instanceof Error ? error.cause : null) === '08P01';
      const next = isRefusal ? await readAccount(options) : account;
      if (JSON.stringify(next) === JSON.stringify(account)) throw error;
      account = next;
      return await connectToAny(account);
    }
  };

  /**
   * The first server that lets us in and takes writes. While one is silent, the others are asked again: one of them may
   * be about to take its place.
   */
  const connectToAny = (as: Account): Promise<Connection> =>
    new Promise((resolve, reject) => {
      const untried = servers.toSorted((a, b) => Number(b === current) - Number(a === current));
      const errors = new Map<PostgresServer, Error>();
      let pending = 0;
      let isDone = false;
      const attempt = async (server: PostgresServer | undefined): Promise<void> => {
        if (server === undefined || isDone) return;
        pending++;
        const stop = timers.after(HEAD_START_MS, () => void attempt(untried.shift()));
        try {
          const connection = await openConnection(server, as, {
            applicationName: options.applicationName,
            timeout: options.timeout,
            timers,
            onLost: discard,
          });
          if (isDone) void connection.end();
          else resolve(connection);
          isDone = true;
        } catch (error) {
          pending--;
          errors.set(server, error as Error);
          if (untried.length > 0) void attempt(untried.shift());
          else if (pending > 0) timers.after(HEAD_START_MS, () => void attempt(server));
          else if (!isDone) {
            isDone = true;
            reject(worst([...errors.values()]));
          }
        } finally {
          stop();
        }
      };
      void attempt(untried.shift());
    });

  return {
    query,
    leave,
    async close() {
      closed = true;
      endRest?.();
      for (const job of waiting) job.settle(closedError());
      waiting.clear();
      const farewell = idle.splice(0);
      for (const connection of connections) if (!farewell.includes(connection)) connection.destroy();
      connections.clear();
      if (farewell.length === 0) return;
      await Promise.race([
        Promise.all(farewell.map((connection) => connection.end())),
        pause(GOODBYE_MS, undefined, { ref: false }),
      ]);
      for (const connection of farewell) connection.destroy();
    },
  };
}

/** What somebody can mend comes first; what is left is told of all servers. */
function worst(errors: readonly Error[]): Error {
  const refused = errors.find((error) => error instanceof PostgresRefused);
  const [first] = errors;
  if (refused !== undefined || errors.length === 1)
    return refused ?? first ?? new PostgresUnavailable('no server');
  const texts = errors.map((error) => error.message);
  return new PostgresUnavailable(texts.join('; '), { cause: first?.cause });
}
