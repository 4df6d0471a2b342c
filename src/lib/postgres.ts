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
 * Statements are single, unless a connection was reserved for several that belong together. Nothing is ever set that
 * outlives a transaction.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from './logger.ts';
import {
  type Account,
  type Connection,
  nameOf,
  type PostgresServer,
  type QueryAnswer,
} from './postgres/connection.ts';
import { errorCode, PostgresRefused, PostgresUnavailable } from './postgres/errors.ts';
import { openFirstWritable } from './postgres/first-writable.ts';
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
  /** A connection for one caller alone, within the same 2 s; rejects as `query` does. It must be released. */
  reserve(): Promise<ReservedConnection>;
  /** Gives up all connections: the server behind them turned out not to take writes any more. */
  leave(): void;
  /** Later statements fail. Resolves also when the server does not answer. */
  close(): Promise<void>;
}

/** One connection, for a transaction. */
export interface ReservedConnection {
  /** Runs one statement in at most `deadline` milliseconds (2 s by default); rejects as `query` of the pool does. */
  query(text: string, values?: readonly unknown[], deadline?: number): Promise<QueryAnswer>;
  /** Gives it back; there must be no open transaction. Nothing happens when it is lost already. */
  release(): void;
  /** Gives it up, and with it what is not committed. */
  destroy(): void;
}

const STATEMENT_MS = 2000;
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
    reserve: () => (closed ? Promise.reject(closedError()) : own.pool.reserve()),
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

/** Somebody who waits for a connection. */
interface Job {
  readonly use: (connection: Connection) => void;
  readonly fail: (error: Error) => void;
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

  /** Calls `use` with a connection, or `fail`; the function that it answers ends the waiting. */
  const wait = (job: Job): (() => void) => {
    if (closed) job.fail(closedError());
    else if (waiting.size >= WAITING_PER_CONNECTION * maximumConnections)
      job.fail(new PostgresUnavailable('too many statements wait for a connection to PostgreSQL'));
    else {
      const connection = idle.pop();
      if (connection === undefined) {
        waiting.add(job);
        grow();
      } else job.use(connection);
    }
    return () => waiting.delete(job);
  };

  const noConnection = (): Error =>
    failure ?? new PostgresUnavailable(`no connection to PostgreSQL within ${STATEMENT_MS} ms`);

  const query = (text: string, values: readonly unknown[] = []): Promise<QueryAnswer> =>
    new Promise((resolve, reject) => {
      let used: Connection | null = null;
      const stop = timers.after(STATEMENT_MS, () => {
        if (used === null) {
          stopWaiting();
          reject(noConnection());
        } else reject(giveUp(used, STATEMENT_MS));
      });
      const stopWaiting = wait({
        use(connection) {
          used = connection;
          connection.query(text, values).then(
            (answer) => {
              stop();
              release(connection);
              return resolve(answer);
            },
            (error: unknown) => {
              stop();
              reject(fail(connection, error, release));
            },
          );
        },
        fail(error) {
          stop();
          reject(error);
        },
      });
    });

  const reserve = (): Promise<ReservedConnection> =>
    new Promise((resolve, reject) => {
      const stop = timers.after(STATEMENT_MS, () => {
        stopWaiting();
        reject(noConnection());
      });
      const stopWaiting = wait({
        use(connection) {
          stop();
          resolve(reservationOf(connection));
        },
        fail(error) {
          stop();
          reject(error);
        },
      });
    });

  const reservationOf = (connection: Connection): ReservedConnection => {
    let isOver = false;
    const once = (end: () => void) => (): void => {
      if (!isOver) end();
      isOver = true;
    };
    return {
      query: (text, values = [], deadline = STATEMENT_MS) =>
        new Promise((resolve, reject) => {
          if (isOver) return reject(new PostgresUnavailable('the connection to PostgreSQL is lost'));
          const stop = timers.after(deadline, () => {
            isOver = true;
            reject(giveUp(connection, deadline));
          });
          connection
            .query(text, values)
            .then(resolve, (error: unknown) => {
              const failed = fail(connection, error, () => {});
              isOver ||= failed instanceof PostgresUnavailable;
              reject(failed);
            })
            .finally(stop);
        }),
      release: once(() => release(connection)),
      destroy: once(() => discard(connection)),
    };
  };

  /** What the connection is good for after an error, and what its caller is told. */
  const fail = (connection: Connection, error: unknown, keep: (connection: Connection) => void): Error => {
    const cause = error instanceof Error ? error : new Error(String(error));
    const code = errorCode(error);
    if (code === '25006') leave();
    // Connection exceptions, a lack of resources, an operator's intervention: that session is over or of no use.
    if (/^(?=.*\d)[0-9A-Z]{5}$/.test(code) && !/^(?:08|53|57)/.test(code)) {
      keep(connection);
      return cause;
    }
    discard(connection);
    return new PostgresUnavailable(`the connection to PostgreSQL is lost: ${cause.message}`, { cause });
  };

  const giveUp = (connection: Connection, deadline: number): Error => {
    // The server may be gone without a word; then the idle connections are, too.
    connection.cancel();
    discard(connection, ...idle);
    return new PostgresUnavailable(
      `the server ${nameOf(connection.server)} did not answer within ${deadline} ms`,
    );
  };

  // --- connections ---

  const release = (connection: Connection): void => {
    if (!connections.has(connection)) return;
    if (retired.has(connection)) return discard(connection);
    const [job] = waiting;
    if (job === undefined) return void idle.push(connection);
    waiting.delete(job);
    job.use(connection);
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
    for (const job of waiting) job.fail(failure ?? noConnection());
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

  const connectToAny = (as: Account): Promise<Connection> =>
    openFirstWritable(
      servers.toSorted((a, b) => Number(b === current) - Number(a === current)),
      as,
      { applicationName: options.applicationName, timeout: options.timeout, timers, onLost: discard },
    );

  return {
    query,
    reserve,
    leave,
    async close() {
      closed = true;
      endRest?.();
      for (const job of waiting) job.fail(closedError());
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
