/** PostgreSQL (13 or newer), over our own connections: several servers of which one takes writes, TLS, pgbouncer. */
import { readFile } from 'node:fs/promises';
import type { ConnectionOptions } from 'node:tls';
import { PostgresAdapter, PostgresQueryCompiler } from 'kysely';

import { messageOf } from '../../lib/message-of.ts';
import { openPostgres, type PostgresOptions } from '../../lib/postgres.ts';
import type { QueryAnswer } from '../../lib/postgres/connection.ts';
import { errorCode, PostgresRefused, PostgresUnavailable } from '../../lib/postgres/errors.ts';
import { tlsOptions } from '../../lib/tls-options.ts';
import type { StorageConfig } from '../config.ts';
import { type Dialect, type RunStatement, type SqlAnswer, STATEMENT_DEADLINE } from '../dialect.ts';
import { DuplicateKey, StorageConflict, StorageFault, StorageUnavailable, StorageUnfit } from '../errors.ts';

type PostgresConfig = NonNullable<StorageConfig['postgres']>;

const MAXIMUM_CONNECTIONS = 8;

export const postgresDialect: Dialect<PostgresConfig> = {
  engine: 'postgres',
  async open(config, deps) {
    const pool = openPostgres(await optionsOf(config), deps);
    const guard = async (answer: Promise<QueryAnswer>): Promise<SqlAnswer> => {
      try {
        return toAnswer(await answer);
      } catch (error) {
        const ours = toError(error);
        // Its connections were made to a server that took writes.
        if (errorCode(error) === '25006') pool.leave();
        throw ours;
      }
    };
    /** The pool has one deadline for all; it is ours. */
    const run: RunStatement = (text, values) => guard(pool.query(text, values));
    return {
      run,
      async reserve() {
        const connection = await pool.reserve().catch((error: unknown) => {
          throw toError(error);
        });
        return {
          run: (text, values, deadline = STATEMENT_DEADLINE) =>
            guard(connection.query(text, values, deadline)),
          release: connection.release,
          destroy: connection.destroy,
        };
      },
      close: () => pool.close(),
      schema: config.schema,
      tableSuffix: () => Promise.resolve(''),
      beginText: 'begin isolation level serializable',
      createAdapter: () => new PostgresAdapter(),
      createCompiler: () => new PostgresQueryCompiler(),
    };
  },
};

async function optionsOf(config: PostgresConfig): Promise<PostgresOptions> {
  const { address, tls, ssl, database, username, password, timeout } = config;
  const old = ssl === undefined ? null : await sslOptions(ssl, address.host);
  return {
    servers: [{ address, tls }, ...config.servers].map((server) => {
      const used = server.tls ?? tls;
      return {
        address: server.address,
        tls:
          used === undefined
            ? old && forHost(old, server.address.host)
            : tlsOptions(used, server.address.host),
      };
    }),
    database,
    username,
    ...(password === undefined ? {} : { password }),
    timeout,
    maximumConnections: MAXIMUM_CONNECTIONS,
    applicationName: 'sallyport storage',
  };
}

// --- the deprecated section ssl -------------------------------------------------------------------------------------

type Ssl = NonNullable<PostgresConfig['ssl']>;

/** The modes as libpq means them, except that `require` never goes on without TLS. */
async function sslOptions(ssl: Ssl, host: string): Promise<ConnectionOptions | null> {
  if (ssl.mode === 'disable') return null;
  const [ca, cert, key] = await Promise.all([
    readPem(ssl, 'root_certificate'),
    readPem(ssl, 'certificate'),
    readPem(ssl, 'key'),
  ]);
  return {
    host,
    rejectUnauthorized: ssl.mode !== 'require' || ca !== undefined,
    ...(ssl.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

const forHost = (options: ConnectionOptions, host: string): ConnectionOptions => ({ ...options, host });

async function readPem(
  ssl: Ssl,
  key: 'root_certificate' | 'certificate' | 'key',
): Promise<string | undefined> {
  const path = ssl[key];
  if (path === undefined) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new StorageUnfit(
      `storage.postgres.ssl.${key}: the file ${path} cannot be read (${errorCode(error)})`,
      { cause: error },
    );
  }
}

// --- answers --------------------------------------------------------------------------------------------------------

/** int8, whose values the library leaves as text. All of ours are below 2^53. */
const INT8 = 20;

function toAnswer({ rows, columns, count }: QueryAnswer): SqlAnswer {
  return {
    rows: rows.map((row) =>
      Object.fromEntries(
        columns.map(({ name, typeId }, index) => {
          const value = row[index];
          return [name, typeId === INT8 && value !== null ? Number(value) : value];
        }),
      ),
    ),
    count,
  };
}

/** What the server says of a missing right or table is meant for the operator, and holds no values. */
const outages: ReadonlyMap<string, string> = new Map([
  ['25006', 'the server takes no writes'],
  ['42P01', 'a table is missing'],
  ['55P03', 'a lock is held'],
]);

function toError(error: unknown): Error {
  if (error instanceof PostgresUnavailable) return new StorageUnavailable(error.message);
  if (error instanceof PostgresRefused) {
    return new StorageUnfit(`storage.postgres.${error.setting}: ${error.message}`);
  }
  const code = errorCode(error);
  const message = messageOf(error);
  if (code === '40001' || code === '40P01') return new StorageConflict(`PostgreSQL: ${message} (${code})`);
  if (code === '42501') {
    return new StorageUnfit(
      `storage.postgres.username lacks a right: ${message}. Let its owner grant usage and create on the schema, or make the user the owner of the tables`,
    );
  }
  if (code === '3F000') {
    return new StorageUnfit(
      `storage.postgres.schema: the database has no such schema; create it (${message})`,
    );
  }
  const outage = outages.get(code);
  if (outage !== undefined) return new StorageUnavailable(`PostgreSQL: ${outage}: ${message} (${code})`);
  if (code === '23505') return new DuplicateKey(code, message);
  return new StorageFault(code, `PostgreSQL refuses a statement: ${message} (${code})`);
}
