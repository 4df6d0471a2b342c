/**
 * One connection: dialling, TLS, signing in, making sure that the server takes writes, one statement at a time. At the
 * start only user, database, application name and the encoding UTF8 are sent (all of which pgbouncer knows), nothing is
 * ever set for the session, and no statement has a name: so a pgbouncer in transaction mode may stand between.
 */
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { connect as openSocket, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as openTls, type ConnectionOptions } from 'node:tls';
import type { QueryArrayResult } from 'pg';
import type { Address } from '../address.ts';
import type { Timers } from '../timers.ts';
import { errorCode, PostgresRefused, type PostgresSetting, PostgresUnavailable } from './errors.ts';

export interface PostgresServer {
  readonly address: Address;
  /** Null: plain text. Otherwise nothing is sent before the certificate was checked as these options say. */
  readonly tls: ConnectionOptions | null;
}

export interface Account {
  readonly database: string;
  readonly username: string;
  /** Undefined: the server must not ask for one. */
  readonly password: string | undefined;
}

/** Rows are lists of columns. */
export interface QueryAnswer {
  readonly rows: readonly (readonly unknown[])[];
  readonly columns: readonly { readonly name: string; readonly typeId: number }[];
  /** Rows that were found or changed. */
  readonly count: number;
}

export interface Connection {
  readonly server: PostgresServer;
  /** Rejects with what the server sent, or with another error when the connection is lost. */
  query(text: string, values: readonly unknown[]): Promise<QueryAnswer>;
  /** Asks the server, on a connection of its own, to give up the statement that is under way. */
  cancel(): void;
  /** Says goodbye; resolves when the server has hung up. */
  end(): Promise<void>;
  destroy(): void;
}

export interface OpenOptions {
  readonly applicationName: string;
  /** Milliseconds until the server must have let us in. */
  readonly timeout: number;
  readonly timers: Timers;
  /** The connection is gone; not called when `end` or `destroy` was. */
  readonly onLost: (connection: Connection) => void;
}

/** How a server is named in messages. */
export function nameOf({ address }: PostgresServer): string {
  return address.socketPath ?? `${address.host}:${address.port}`;
}

/** Rejects with PostgresRefused or PostgresUnavailable, the latter also when the server is a standby. */
export async function openConnection(
  server: PostgresServer,
  account: Account,
  options: OpenOptions,
): Promise<Connection> {
  let socket: Socket | undefined;
  const late = new AbortController();
  const stop = options.timers.after(options.timeout, () => {
    late.abort();
    socket?.destroy();
  });
  try {
    socket = await dial(server, late.signal);
    const connection = await signIn(socket, server, account, options);
    await requireWritable(connection);
    return connection;
  } catch (error) {
    socket?.destroy();
    const cause = late.signal.aborted ? new Error(`no answer within ${options.timeout} ms`) : error;
    throw asFailure(cause, server, account);
  } finally {
    stop();
  }
}

// --- the socket -----------------------------------------------------------------------------------------------------

const sslRequest = message(80_877_103);

async function dial(server: PostgresServer, signal: AbortSignal): Promise<Socket> {
  const { address, tls } = server;
  const family = { tcp4: 4, tcp6: 6 }[address.scheme];
  const socket = openSocket({
    ...(address.socketPath === undefined
      ? { host: address.host, port: address.port, ...(family === undefined ? {} : { family }) }
      : { path: await socketFile(address.socketPath) }),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 15_000,
    signal,
  });
  // What goes wrong is seen by those who wait for the socket; without a listener it would end the process.
  socket.on('error', () => {});
  await next(socket, 'connect');
  // A server has no TLS on Unix sockets.
  if (tls === null || address.socketPath !== undefined) return socket;

  socket.write(sslRequest);
  const [answer] = (await next(socket, 'data')) as [Buffer];
  // Anything after the one byte came before TLS: from whoever stands between, to be taken for the server's word later.
  if (answer.length !== 1 || answer[0] !== 0x53) {
    socket.destroy();
    throw new PostgresRefused('tls', `the server ${nameOf(server)} offers no TLS`);
  }
  const secure = openTls({ ...tls, socket });
  secure.on('error', () => {});
  await next(secure, 'secureConnect');
  return secure;
}

/** An absolute path names the socket, or the folder in which the server has put it, as for PostgreSQL's own clients. */
async function socketFile(path: string): Promise<string> {
  const isFolder = path.startsWith('/') && (await stat(path)).isDirectory();
  return isFolder ? join(path, '.s.PGSQL.5432') : path;
}

async function next(socket: Socket, event: string): Promise<unknown[]> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new Error('the server hung up'));
  socket.once('close', onClose);
  try {
    return await once(socket, event, { signal: gone.signal });
  } catch (error) {
    throw gone.signal.aborted ? gone.signal.reason : error;
  } finally {
    socket.off('close', onClose);
  }
}

/** Messages of four-byte numbers without a type, as they are sent before a session begins. */
function message(...numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 + 4 * numbers.length);
  bytes.writeInt32BE(bytes.length);
  numbers.forEach((number, index) => bytes.writeInt32BE(number, 4 + 4 * index));
  return bytes;
}

// --- the session ----------------------------------------------------------------------------------------------------

async function signIn(
  socket: Socket,
  server: PostgresServer,
  account: Account,
  { applicationName, timers, onLost }: OpenOptions,
): Promise<Connection> {
  const { Client } = await import('pg');
  const client = new Client({
    user: account.username,
    database: account.database,
    password: () => {
      // The server knows no empty password.
      if (account.password) return account.password;
      throw new PostgresRefused('password', `the server ${nameOf(server)} asks for a password`);
    },
    host: 'given by the socket',
    port: 1,
    ssl: false,
    sslnegotiation: 'postgres',
    // Already connected, and with TLS if any: for the library it only looks as if it were opened now.
    stream: () =>
      Object.assign(socket, {
        connect() {
          process.nextTick(() => socket.emit('connect'));
        },
      }),
  });
  // The library would add what it finds in the environment (PGOPTIONS, PGAPPNAME).
  Object.assign(client, {
    getStartupConf: () => ({
      user: account.username,
      database: account.database,
      application_name: applicationName,
    }),
  });
  let cancelKey: Buffer | null = null;
  client.connection.on('backendKeyData', (data: { processID: number; secretKey: number }) => {
    cancelKey = message(80_877_102, data.processID, data.secretKey);
  });

  let isOpen = false;
  const lost = (): void => {
    if (!isOpen) return;
    isOpen = false;
    socket.destroy();
    onLost(connection);
  };
  const connection: Connection = {
    server,
    query: (text, values) =>
      new Promise((resolve, reject) => {
        client.query({ text, values: [...values], rowMode: 'array' }, (error, result) => {
          // The library gives no null where its types say so.
          if (error as Error | null) reject(error);
          else resolve(answerOf(result));
        });
      }),
    cancel() {
      const late = new AbortController();
      const stop = timers.after(1000, () => late.abort());
      const send = async (key: Buffer): Promise<void> => {
        const own = await dial(server, late.signal);
        own.end(key);
        await once(own, 'close');
      };
      // Best effort: the connection is given up in any case.
      if (cancelKey !== null) send(cancelKey).then(stop, stop);
    },
    end() {
      isOpen = false;
      return client.end();
    },
    destroy() {
      isOpen = false;
      socket.destroy();
    },
  };
  client.on('error', lost);
  client.on('end', lost);
  await client.connect();
  isOpen = true;
  return connection;
}

/** Of several statements, the answer of the last. */
function answerOf(result: QueryArrayResult | readonly QueryArrayResult[]): QueryAnswer {
  const last = Array.isArray(result)
    ? (result as readonly QueryArrayResult[]).at(-1)
    : (result as QueryArrayResult);
  return {
    rows: last?.rows ?? [],
    columns: last?.fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })) ?? [],
    count: last?.rowCount ?? 0,
  };
}

/** A standby answers reads with what is no longer true; a server that was set to read only loses what we write. */
async function requireWritable(connection: Connection): Promise<void> {
  const { rows } = await connection.query(
    `select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'`,
    [],
  );
  const [isStandby, isReadOnly] = rows[0] ?? [];
  if (isStandby === false && isReadOnly === false) return;
  connection.destroy();
  throw new PostgresUnavailable(
    `the server ${nameOf(connection.server)} ${isStandby === true ? 'is a standby' : 'is set to read only'}`,
  );
}

const refusals: Readonly<Record<string, PostgresSetting>> = {
  '28P01': 'password',
  '28000': 'username',
  '3D000': 'database',
  '42501': 'username',
};

function asFailure(error: unknown, server: PostgresServer, account: Account): Error {
  if (error instanceof PostgresRefused || error instanceof PostgresUnavailable) return error;
  const code = errorCode(error);
  const text = error instanceof Error ? error.message || code : String(error);
  const setting = refusals[code];
  if (setting !== undefined) {
    return new PostgresRefused(
      setting,
      `the server ${nameOf(server)} does not let ${account.username} into ${account.database}: ${text}`,
      { cause: error },
    );
  }
  if (/^(?:ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_)/.test(code)) {
    return new PostgresRefused('tls', `no TLS with the server ${nameOf(server)}: ${text} (${code})`, {
      cause: error,
    });
  }
  return new PostgresUnavailable(`the server ${nameOf(server)} cannot be reached: ${text}`, { cause: error });
}
