/** MySQL (8.0.17 or newer) and MariaDB (10.6 or newer). */
import { connect } from 'node:net';
import { MysqlAdapter, MysqlQueryCompiler } from 'kysely';
import type { PoolConnection, PoolOptions, ResultSetHeader, RowDataPacket } from 'mysql2';

import { tlsOptions } from '../../lib/tls-options.ts';
import type { StorageConfig } from '../config.ts';
import {
  type Dialect,
  type DialectDeps,
  type RunStatement,
  type SqlAnswer,
  type SqlSession,
  STATEMENT_DEADLINE,
} from '../dialect.ts';
import { DuplicateKey, StorageConflict, StorageFault, StorageUnavailable, StorageUnfit } from '../errors.ts';

type MysqlConfig = NonNullable<StorageConfig['mysql']>;

const MAXIMUM_CONNECTIONS = 8;
const WAITING = 64 * MAXIMUM_CONNECTIONS;

/**
 * What does not fit is an error and not cut; a lock, of rows or of a table's definition, is waited for 1 s, so that the
 * server gives up before we do.
 */
const SESSION = `set session sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION',
session innodb_lock_wait_timeout = 1, session lock_wait_timeout = 1`;
const ISOLATION = 'set session transaction isolation level serializable';

export const mysqlDialect: Dialect<MysqlConfig> = {
  engine: 'mysql',
  async open(config, deps) {
    const { run, reserve, close } = await openPool(config, deps);
    let suffix: string | null = null;
    return {
      run,
      reserve,
      close,
      async tableSuffix() {
        if (suffix !== null) return suffix;
        const { rows } = await run('select version() as version', []);
        const isMariadb = /mariadb/i.test(String(rows[0]?.version));
        // Byte for byte, a space at the end included: two people must not become one.
        const collation = isMariadb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin';
        suffix = ` engine = innodb default character set utf8mb4 collate ${collation}`;
        return suffix;
      },
      beginText: 'begin',
      createAdapter: () => new MysqlAdapter(),
      createCompiler: () => new MysqlQueryCompiler(),
    };
  },
};

async function openPool(config: MysqlConfig, { timers }: DialectDeps) {
  const { createPool } = await import('mysql2');
  const pool = createPool(optionsOf(config));
  /** After a statement without an answer, what was connected before is not trusted any more. */
  let generation = 0;
  const generations = new WeakMap<PoolConnection, number>();
  let isClosed = false;

  const take = (): Promise<PoolConnection> =>
    new Promise((resolve, reject) => {
      if (isClosed) return reject(new StorageUnavailable('the storage is closed'));
      pool.getConnection((error, connection) => {
        if (error) reject(toError(error));
        else resolve(connection);
      });
    });

  const acquire = async (): Promise<PoolConnection> => {
    for (;;) {
      const connection = await take();
      const born = generations.get(connection);
      if (born === generation) return connection;
      if (born !== undefined) {
        connection.destroy();
        continue;
      }
      // Errors while it is idle: the pool drops it, and nobody waits for an answer.
      connection.on('error', () => {});
      generations.set(connection, generation);
      try {
        await ask(connection, SESSION, []);
        await ask(connection, ISOLATION, []);
      } catch (error) {
        connection.destroy();
        throw error;
      }
      return connection;
    }
  };

  /** Rejects at the deadline with the connection given up, wherever it is by then. */
  const within = <T>(
    deadline: number,
    work: (hold: (connection: PoolConnection) => void, isOver: () => boolean) => Promise<T>,
  ): Promise<T> =>
    new Promise((resolve, reject) => {
      let held: PoolConnection | null = null;
      let isOver = false;
      const stop = timers.after(deadline, () => {
        isOver = true;
        if (held !== null) {
          generation++;
          held.destroy();
        }
        reject(new StorageUnavailable(`the server ${nameOf(config)} did not answer within ${deadline} ms`));
      });
      work(
        (connection) => (held = connection),
        () => isOver,
      )
        .then(resolve, reject)
        .finally(stop);
    });

  const run: RunStatement = (text, values, deadline = STATEMENT_DEADLINE) =>
    within(deadline, async (hold, isOver) => {
      const connection = await acquire();
      if (isOver()) {
        connection.release();
        throw new StorageUnavailable('too late');
      }
      hold(connection);
      try {
        const answer = await ask(connection, text, values);
        connection.release();
        return answer;
      } catch (error) {
        if (error instanceof StorageUnavailable && !(error instanceof StorageConflict)) connection.destroy();
        else connection.release();
        throw error;
      }
    });

  const reserve = (): Promise<SqlSession> =>
    within(STATEMENT_DEADLINE, async (_hold, isOver) => {
      const connection = await acquire();
      if (!isOver()) return sessionOf(connection);
      connection.release();
      throw new StorageUnavailable('too late');
    });

  const sessionOf = (connection: PoolConnection): SqlSession => {
    let isOver = false;
    const once = (end: () => void) => (): void => {
      if (!isOver) end();
      isOver = true;
    };
    const destroy = once(() => connection.destroy());
    return {
      run: (text, values, deadline = STATEMENT_DEADLINE) =>
        within(deadline, async (hold) => {
          if (isOver) throw new StorageUnavailable('the connection is lost');
          hold(connection);
          return ask(connection, text, values);
        }),
      release: once(() => connection.release()),
      destroy,
    };
  };

  return {
    run,
    reserve,
    close: (): Promise<void> =>
      new Promise((resolve) => {
        if (isClosed) return resolve();
        isClosed = true;
        const stop = timers.after(GOODBYE, resolve);
        pool.end(() => {
          stop();
          resolve();
        });
      }),
  };
}

/** Milliseconds that the server has for its farewell. */
const GOODBYE = 250;

function nameOf({ address }: MysqlConfig): string {
  return address.socketPath ?? `${address.host}:${address.port}`;
}

function optionsOf(config: MysqlConfig): PoolOptions {
  const { address, tls, database, username, password, timeout } = config;
  const secure = tls === undefined ? null : tlsOptions(tls, address.host);
  const name = secure?.host ?? address.host;
  const family = { tcp4: 4, tcp6: 6 }[address.scheme];
  return {
    // With `stream`, this is only what the certificate must carry, and SNI.
    host: name,
    stream: () => {
      const socket = connect(
        address.socketPath === undefined
          ? { host: address.host, port: address.port, ...(family === undefined ? {} : { family }) }
          : { path: address.socketPath },
      )
        .setNoDelay(true)
        .setKeepAlive(true, 15_000);
      // The library names no host when it is an address; node then checks the certificate against this.
      return Object.assign(socket, { _host: name });
    },
    database,
    user: username,
    ...(password === undefined ? {} : { password }),
    ...(secure === null || address.socketPath !== undefined
      ? {}
      : { ssl: { ...secure, verifyIdentity: secure.rejectUnauthorized !== false } as PoolOptions['ssl'] }),
    connectTimeout: timeout,
    connectionLimit: MAXIMUM_CONNECTIONS,
    queueLimit: WAITING,
    charset: 'utf8mb4',
    supportBigNumbers: true,
    // Rows that an update left as they were do not count as changed.
    flags: ['-FOUND_ROWS'],
    // No code is made at run time.
    disableEval: true,
  } as PoolOptions;
}

/** Values are never put into the text: what has any is a prepared statement. */
function ask(connection: PoolConnection, text: string, values: readonly unknown[]): Promise<SqlAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (error: Error | null, result: RowDataPacket[] | ResultSetHeader): void => {
      if (error) reject(toError(error));
      else if (Array.isArray(result)) resolve({ rows: result, count: result.length });
      else resolve({ rows: [], count: result.affectedRows, insertId: result.insertId });
    };
    if (values.length === 0) connection.query<RowDataPacket[]>(text, settle);
    else connection.execute<RowDataPacket[]>(text, values as string[], settle);
  });
}

// --- errors ---------------------------------------------------------------------------------------------------------

/** By the server's number: https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html */
const outages: ReadonlyMap<number, string> = new Map([
  [1021, 'the disk is full'],
  [1040, 'the server has too many connections'],
  [1053, 'the server is going down'],
  [1114, 'a table is full'],
  [1146, 'a table is missing'],
  [1205, 'a lock is held for too long'],
  [1203, 'the user has too many connections'],
  [1226, 'the user has used up a resource'],
  [1290, 'the server takes no writes'],
  [1317, 'the statement was stopped'],
  [1792, 'the server takes no writes'],
  [1836, 'the server takes no writes'],
  [1927, 'the connection was killed'],
  [3024, 'the statement was stopped'],
]);

/** ER_LOCK_DEADLOCK */
const DEADLOCK = 1213;

const refusals: ReadonlyMap<number | string, string> = new Map<number | string, string>([
  [1044, 'storage.mysql.username'],
  [1045, 'storage.mysql.password'],
  [1049, 'storage.mysql.database'],
  [1698, 'storage.mysql.username'],
  ['HANDSHAKE_NO_SSL_SUPPORT', 'storage.mysql.tls'],
  ['HANDSHAKE_SSL_ERROR', 'storage.mysql.tls'],
  ['AUTH_SWITCH_PLUGIN_ERROR', 'storage.mysql.username'],
]);

/** The library hangs the statement on its errors: they are not passed on. */
function toError(error: unknown): Error {
  if (error instanceof StorageUnavailable) return error;
  const {
    errno = 0,
    code = '',
    sqlState,
    message,
  } = error as Error & {
    errno?: number;
    code?: string;
    sqlState?: string;
  };
  const key = refusals.get(errno) ?? refusals.get(code);
  if (key !== undefined) return new StorageUnfit(`${key}: the server does not let us in: ${message}`);
  if (errno === DEADLOCK) return new StorageConflict(`the database: ${message} (${code})`);
  if (errno === 1142 || errno === 1143) {
    return new StorageUnfit(
      `storage.mysql.username lacks a right: ${message}. Grant it all privileges on the database`,
    );
  }
  const outage = outages.get(errno);
  if (outage !== undefined) return new StorageUnavailable(`the database cannot answer: ${outage} (${code})`);
  if (errno === 1062) return new DuplicateKey(code, 'a unique key is taken');
  if (sqlState === undefined || sqlState === '') {
    return new StorageUnavailable(`the database cannot be reached: ${message || code}`);
  }
  return new StorageFault(code, `the database refuses a statement: ${message} (${code})`);
}
