/**
 * Sessions in PostgreSQL (13 or newer), in one table that is made when it is missing. Every operation is one statement, so
 * it happens or it does not, and a pgbouncer in transaction mode may stand between.
 *
 * What removes or replaces a session waits until the server has it on disk, whatever its `synchronous_commit` says, and
 * until its synchronous standbys have it, if it has any. After a failover to a standby that is not synchronous the last
 * moments are missing, logouts included: that is PostgreSQL's word for it, and the store warns of such standbys.
 */
import { createHash } from 'node:crypto';
import { openPostgres, type Postgres, type PostgresOptions } from '../../lib/postgres.ts';
import { postgresShape } from '../../lib/postgres-config.ts';
import type { QueryAnswer } from '../../lib/postgres/connection.ts';
import { errorCode, PostgresRefused } from '../../lib/postgres/errors.ts';
import type { Logger } from '../../lib/logger.ts';
import { messageOf } from '../../lib/message-of.ts';
import { duration, integer, section } from '../../lib/schema.ts';
import { tlsOptions } from '../../lib/tls-options.ts';
import type { SessionDriver } from '../driver.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../store.ts';

const postgresSchema = section({
  ...postgresShape,
  timeout: duration()
    .prefault('2s')
    .describe('How long connecting may take; a server that has not let us in by then is asked anew.'),
  maximum_connections: integer(1, 1000)
    .prefault(8)
    .describe(
      'Most connections of a process. All look-ups of a moment are one statement, so a few are enough; each is a process on the server.',
    ),
}).describe(
  'Keeps sessions in PostgreSQL. A username, password or database that begins with `file://` is the path of a file that holds it.',
);

type PostgresConfig = (typeof postgresSchema)['_output'];

export const postgresDriver: SessionDriver<typeof postgresSchema> = {
  config: postgresSchema,
  shared: true,
  async open(config, { realm, logger, random }) {
    const postgres = openPostgres(optionsOf(config), { logger, random });
    const prepare = (): Promise<void> => prepareTable(postgres, config, logger);
    let isPrepared = false;
    try {
      await prepare();
      isPrepared = true;
    } catch (error) {
      if (error instanceof Unfit || error instanceof PostgresRefused) {
        await postgres.close();
        throw error instanceof Unfit
          ? error
          : new Unfit(`session.postgres.${error.setting}: ${error.message}`, { cause: error });
      }
      logger.warn({ error }, 'The session store in PostgreSQL is not there yet');
    }
    return openStore(postgres, { table: tableOf(config), realm, prepare, isPrepared });
  },
};

/** Settings, or a table, with which the store cannot work. The message names the key and the mend. */
class Unfit extends Error {}

function optionsOf(config: PostgresConfig): PostgresOptions {
  const { address, tls, database, username, password, timeout } = config;
  return {
    servers: [{ address, tls }, ...config.servers].map((server) => {
      const used = server.tls ?? tls;
      return {
        address: server.address,
        tls: used === undefined ? null : tlsOptions(used, server.address.host),
      };
    }),
    database,
    username,
    ...(password === undefined ? {} : { password }),
    timeout,
    maximumConnections: config.maximum_connections,
    applicationName: 'sallyport',
  };
}

// --- the table ------------------------------------------------------------------------------------------------------

const tableName = 'proxy_sessions';

/** Column by column as PostgreSQL itself describes it. */
const columnTypes = {
  key: 'bytea not null',
  realm: 'text not null',
  public_id: 'text not null',
  user_id: 'text not null',
  sid: 'text',
  version: 'integer not null',
  created_at: 'timestamp with time zone not null',
  last_activity: 'timestamp with time zone not null',
  expires_at: 'timestamp with time zone not null',
  sealed: 'bytea not null',
};

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const tableOf = ({ schema }: PostgresConfig): string => `${quoted(schema)}.${tableName}`;

/** Room in each page lets activity be written beside the old row, without touching any index. */
const creation = (table: string): string => `create table if not exists ${table} (
${Object.entries(columnTypes)
  .map(([name, type]) => `  ${name} ${type},\n`)
  .join('')}  primary key (realm, key),
  unique (realm, public_id)
) with (fillfactor = 80);
create index if not exists ${tableName}_user on ${table} (realm, user_id);
create index if not exists ${tableName}_sid on ${table} (realm, sid);
create index if not exists ${tableName}_expiry on ${table} (expires_at);`;

const inspection = `select
  array(select a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || case when a.attnotnull then ' not null' else '' end
    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by a.attnum),
  array(select a.attname::text from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attnotnull and not a.atthasdef and a.attidentity = ''),
  array(select (select string_agg(a.attname::text, ', ' order by a.attname::text) from pg_attribute a
      where a.attrelid = c.oid and a.attnum = any(i.indkey))
    from pg_index i where i.indrelid = c.oid and i.indisunique and i.indpred is null),
  array(select p from unnest(array['select from', 'insert into', 'update', 'delete from']) p
    where not has_table_privilege(c.oid, split_part(p, ' ', 1)) or not has_schema_privilege(n.oid, 'usage')),
  exists(select from pg_stat_replication) and current_setting('synchronous_standby_names') = ''
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2`;

/** Makes the table when it is missing. Throws Unfit when it cannot be made or is not the one that is needed. */
async function prepareTable(postgres: Postgres, config: PostgresConfig, logger: Logger): Promise<void> {
  const table = tableOf(config);
  const inspect = async (): Promise<boolean> => {
    const { rows } = await postgres.query(inspection, [config.schema, tableName]);
    if (rows[0] === undefined) return false;
    const [columns, required, uniques, forbidden, isAsynchronous] = rows[0] as Inspection;
    requireFit(table, columns, required, uniques);
    if (forbidden.length > 0) {
      throw new Unfit(
        `session.postgres.username: ${config.username} may not ${forbidden.join(', ')} ${table}. ${byHand(grants(config))}`,
      );
    }
    if (isAsynchronous) {
      logger.warn(
        { table },
        'PostgreSQL has standbys, none of them synchronous: after a failover a session may be back that had just been ended. See synchronous_standby_names',
      );
    }
    return true;
  };

  for (let attempt = 1; !(await inspect()); attempt++) {
    try {
      await postgres.query(creation(table));
    } catch (error) {
      const code = errorCode(error);
      if (code === '42501') {
        throw new Unfit(
          `session.postgres.schema: ${config.username} may not make the table ${table}. ${byHand(creation(table), grants(config))}`,
          { cause: error },
        );
      }
      if (code === '3F000') {
        const schema = quoted(config.schema);
        throw new Unfit(
          `session.postgres.schema: the database has no schema ${schema}. ${byHand(`create schema ${schema};`)}`,
          { cause: error },
        );
      }
      // Another process may be making it at this moment: then one of both fails with some conflict in the catalogue.
      if (attempt === 3) throw error;
    }
  }
}

type Inspection = [
  columns: readonly string[],
  required: readonly string[],
  uniques: readonly string[],
  forbidden: readonly string[],
  isAsynchronous: boolean,
];

/** More columns are fine as long as they may be left out: a newer version of this program may have added them. */
function requireFit(
  table: string,
  columns: readonly string[],
  required: readonly string[],
  uniques: readonly string[],
): void {
  const missing = Object.entries(columnTypes)
    .map(([name, type]) => `${name} ${type}`)
    .filter((column) => !columns.includes(column));
  const foreign = required.filter((name) => !Object.hasOwn(columnTypes, name));
  const asked = [...missing, ...foreign.map((name) => `nothing in ${name}`)].join(', ');
  const mend = 'Name another schema in session.postgres.schema, or rename the table';
  if (asked !== '') {
    throw new Unfit(
      `session.postgres.schema: ${table} is a table of somebody else. It has the columns ${columns.join(', ')}; needed are ${asked}. ${mend}.`,
    );
  }
  for (const unique of ['key, realm', 'public_id, realm']) {
    if (!uniques.includes(unique))
      throw new Unfit(`session.postgres.schema: ${table} lacks a unique index on (${unique}). ${mend}.`);
  }
}

const byHand = (...sql: readonly string[]): string => `Let somebody who may run:\n${sql.join('\n')}`;

function grants(config: PostgresConfig): string {
  const { schema, username } = config;
  const user = username.startsWith('file://') ? '"<the user>"' : quoted(username);
  return `grant usage on schema ${quoted(schema)} to ${user};
grant select, insert, update, delete on ${tableOf(config)} to ${user};`;
}

// --- the store ------------------------------------------------------------------------------------------------------

interface Place {
  readonly table: string;
  readonly realm: string;
  readonly prepare: () => Promise<void>;
  readonly isPrepared: boolean;
}

function openStore(postgres: Postgres, place: Place): SessionStore {
  const { realm } = place;
  const sql = statements(place.table);
  const sweepLock = lockOf(`${place.table} ${realm}`);
  let { isPrepared } = place;
  let preparing: Promise<void> | null = null;
  let closed = false;

  const prepare = async (): Promise<void> => {
    preparing ??= place.prepare().finally(() => (preparing = null));
    await preparing;
    isPrepared = true;
  };

  const run = async (text: string, values: readonly unknown[]): Promise<QueryAnswer> => {
    if (closed) throw new StoreUnavailable('the session store in PostgreSQL is closed');
    try {
      if (!isPrepared) await prepare();
      for (let attempt = 1; ; attempt++) {
        try {
          return await postgres.query(text, values);
        } catch (error) {
          // Deadlock or serialization failure: of that statement nothing happened.
          if (attempt === 3 || !['40P01', '40001'].includes(errorCode(error))) throw error;
        }
      }
    } catch (error) {
      if (errorCode(error) === '42P01') isPrepared = false;
      const reason = messageOf(error);
      throw new StoreUnavailable(`the session store in PostgreSQL cannot answer: ${reason}`, {
        cause: error,
      });
    }
  };

  /** Whether one row was changed; not when a key or public id is taken. */
  const change = async (text: string, values: readonly unknown[]): Promise<boolean> => {
    try {
      return (await run(text, values)).count === 1;
    } catch (error) {
      if (error instanceof StoreUnavailable && errorCode(error.cause) === '23505') return false;
      throw error;
    }
  };

  /** The rows of a statement whose last column says whether a standby answers. */
  const readLatest = async (text: string, values: readonly unknown[]): Promise<QueryAnswer['rows']> => {
    const { rows } = await run(text, values);
    // Its connection was made to the writable server; whatever stands between has changed its mind.
    if (rows[0]?.at(-1) !== false) {
      postgres.leave();
      throw new StoreUnavailable('the PostgreSQL server became a standby, which may not know the latest');
    }
    return rows;
  };

  const findMany = async (keys: readonly string[]): Promise<readonly (StoredSession | null)[]> => {
    const rows = await readLatest(sql.find, [realm, keys.map(encodeKey)]);
    const found = new Map<string, StoredSession>();
    for (const row of rows as readonly SessionRow[]) {
      if (row[0] === null) continue;
      const session = readSession(row);
      found.set(session.key, session);
    }
    return keys.map((key) => found.get(key) ?? null);
  };

  return {
    findMany,

    async stillHolds(known) {
      const keys = Buffer.alloc(known.length * digestBytes);
      const tags = Buffer.alloc(known.length * tagBytes);
      known.forEach(({ key, sealed }, index) => {
        // Keys are digests here, or texts of which nothing is found with this tag: then the record must be read.
        keys.write(key, index * digestBytes, digestBytes, 'base64url');
        sealed.copy(tags, index * tagBytes, Math.max(0, sealed.length - tagBytes));
      });
      const [row] = await readLatest(sql.compare, [realm, keys, tags, known.length]);
      const same = row?.[0] as string;
      return known.map((_, index) => same[index] === 't');
    },

    async activityOf(key) {
      const [found] = await findMany([key]);
      return found?.lastActivity ?? null;
    },

    insert: (session) => change(sql.insert, [realm, ...writeSession(session)]),

    replace: (key, version, next) =>
      change(sql.replace, [realm, ...writeSession(next), encodeKey(key), version]),

    async touchMany(touches) {
      const latest = new Map<string, number>();
      for (const { key, at } of touches) latest.set(key, Math.max(at, latest.get(key) ?? at));
      // In one order everywhere: two statements that lock the same rows then never wait for each other.
      const ordered = [...latest].toSorted(([a], [b]) => (a < b ? -1 : 1));
      await run(sql.touch, [
        realm,
        ordered.map(([key]) => encodeKey(key)),
        ordered.map(([, at]) => writeTime(at)),
      ]);
    },

    async delete(key) {
      const { rows } = await run(sql.delete, [realm, encodeKey(key)]);
      return (rows[0]?.[0] as string | undefined) ?? null;
    },

    async listByUser(userId) {
      const { rows } = await run(sql.list, [realm, userId]);
      return (rows as readonly SessionRow[]).map(readSession);
    },

    async deleteByUser(userId, except) {
      const { rows } = await run(sql.deleteByUser, [realm, userId, except ?? null]);
      return rows.map((row) => row[0] as string);
    },

    async sweep(now, limit) {
      return (await run(sql.sweep, [realm, writeTime(now), limit, sweepLock])).count;
    },

    async ping() {
      await run('select 1', []);
    },

    async close() {
      closed = true;
      await postgres.close();
    },
  };
}

type Statements = Readonly<
  Record<
    'find' | 'compare' | 'insert' | 'replace' | 'touch' | 'delete' | 'list' | 'deleteByUser' | 'sweep',
    string
  >
>;

function statements(table: string): Statements {
  return {
    // One row at least, so that the last column is always there.
    find: `select ${selected}, s.standby from (select pg_is_in_recovery() as standby) s
left join ${table} p on p.realm = $1 and p.key = any($2::bytea[])`,
    // A letter for each key. One value each for all keys and all tags costs a tenth of what two arrays do.
    compare: `select string_agg(coalesce((select substr(p.sealed, length(p.sealed) - ${tagBytes - 1}) = substr($3::bytea, ${tagBytes} * q.i + 1, ${tagBytes})
  from ${table} p where p.realm = $1 and p.key = substr($2::bytea, ${digestBytes} * q.i + 1, ${digestBytes})), false)::text::char, '' order by q.i),
pg_is_in_recovery() from generate_series(0, $4::integer - 1) as q (i)`,
    insert: `insert into ${table} (realm, key, version, public_id, user_id, sid, created_at, expires_at, last_activity, sealed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (realm, key) do nothing`,
    replace: `update ${table} set key = $2, version = $3, public_id = $4, user_id = $5, sid = $6, created_at = $7, expires_at = $8,
last_activity = greatest(last_activity, $9), sealed = $10
where realm = $1 and key = $11 and version = $12 and ${onDisk}`,
    touch: `update ${table} p set last_activity = greatest(p.last_activity, t.at)
from unnest($2::bytea[], $3::timestamptz[]) as t (key, at)
where p.realm = $1 and p.key = t.key and p.last_activity < t.at`,
    delete: `delete from ${table} where realm = $1 and key = $2 and ${onDisk} returning public_id`,
    list: `select ${selected} from ${table} p where p.realm = $1 and p.user_id = $2`,
    deleteByUser: `delete from ${table} where realm = $1 and user_id = $2 and public_id is distinct from $3 and ${onDisk}
returning public_id`,
    // One process at a time; rows that somebody is working on are left for later.
    sweep: `with turn as materialized (select pg_try_advisory_xact_lock($4) as mine), old as (
  select p.key from ${table} p, turn where turn.mine and p.realm = $1 and p.expires_at < $2
  order by p.expires_at limit $3 for update of p skip locked)
delete from ${table} p using old where p.realm = $1 and p.key = old.key`,
  };
}

/** For this statement alone: its commit waits for the disk (and synchronous standbys) even if the server's setting is weaker. */
const onDisk = `set_config('synchronous_commit',
  case current_setting('synchronous_commit') when 'remote_apply' then 'remote_apply' else 'on' end, true) <> ''`;

// --- rows -----------------------------------------------------------------------------------------------------------

/** Exact to the millisecond until the year 70000, and without regard to how the server writes times and numbers. */
const milliseconds = (column: string): string => `round(date_part('epoch', p.${column}) * 1000)::bigint`;
const selected = [
  ...['key', 'version', 'public_id', 'user_id', 'sid'].map((column) => `p.${column}`),
  ...['created_at', 'expires_at', 'last_activity'].map(milliseconds),
  'p.sealed',
].join(', ');
/** bigint comes as text. */
type SessionRow = [
  key: Buffer,
  version: number,
  publicId: string,
  userId: string,
  sid: string | null,
  createdAt: string,
  expiresAt: string,
  lastActivity: string,
  sealed: Buffer,
];

function readSession(row: SessionRow): StoredSession {
  const [key, version, publicId, userId, sid, createdAt, expiresAt, lastActivity, sealed] = row;
  return {
    key: decodeKey(key),
    version,
    publicId,
    userId,
    sid,
    createdAt: Number(createdAt),
    expiresAt: Number(expiresAt),
    lastActivity: Number(lastActivity),
    sealed,
  };
}

function writeSession(session: StoredSession): readonly unknown[] {
  const { key, version, publicId, userId, sid, createdAt, expiresAt, lastActivity, sealed } = session;
  return [
    encodeKey(key),
    version,
    publicId,
    userId,
    sid,
    writeTime(createdAt),
    writeTime(expiresAt),
    writeTime(lastActivity),
    sealed,
  ];
}

/** ISO 8601, which PostgreSQL reads exactly; years of more than four digits without the sign that it does not know. */
function writeTime(time: number): string {
  return new Date(time).toISOString().replace(/^\+0*/, '');
}

const digestBytes = 32;
/** With so many the sealed bytes of a record end that no other record has. */
const tagBytes = 16;

/** The bytes of a digest. Any other text is kept as it is, behind so many zeros that it is no digest. */
function encodeKey(key: string): Buffer {
  const bytes = Buffer.from(key, 'base64url');
  if (bytes.length === digestBytes && bytes.toString('base64url') === key) return bytes;
  return Buffer.concat([Buffer.alloc(digestBytes + 1), Buffer.from(key)]);
}

function decodeKey(bytes: Buffer): string {
  return bytes.length === digestBytes ? bytes.toString('base64url') : bytes.toString('utf8', digestBytes + 1);
}

/** The 64-bit number of an advisory lock. */
function lockOf(name: string): string {
  return createHash('sha256').update(name).digest().readBigInt64BE().toString();
}
