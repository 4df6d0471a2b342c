import { createHash } from 'node:crypto';
import type { z } from 'zod';

import { fixedSource, openRedisLink, type RedisLink } from '../../lib/redis/link.ts';
import { openSentinels, SentinelTrouble } from '../../lib/redis/sentinels.ts';
import {
  acceptRefusedPing,
  redisAddress,
  type RedisCommand,
  redisErrorCode,
  type RedisReply,
} from '../../lib/redis.ts';
import { duration, flag, integer, list, secret, section, text } from '../../lib/schema.ts';
import { systemTimers } from '../../lib/timers.ts';
import { tlsSchema } from '../../lib/tls-config.ts';
import type { DriverDeps, SessionDriver } from '../driver.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../store.ts';

/**
 * Sessions in Redis or Valkey (6.2 and later): one server, or a master that Sentinels watch.
 *
 * Below `<key_prefix><realm>:` there is one string for each session (`s:<key>`, see `encode`) and four keys for all:
 * `activity` (sorted set of keys by last activity), `expiry` and `users` (sorted sets of user and key, by end and by
 * user) and `mark`. The last activity stands in the sorted set alone, where it can be raised without touching the record
 * and without bringing back one that is gone. Whatever must happen in one step is a script over declared keys.
 */

const nodeSchema = section({
  host: text().describe('Host of the sentinel.'),
  port: integer(1, 65_535).prefault(26_379).describe('Port of the sentinel.'),
});

const redisSchema = section({
  host: text()
    .optional()
    .describe(
      'Host of the server (or of the first sentinel); an absolute path is a Unix socket. Required unless `high_availability.nodes` is set.',
    ),
  port: integer(0, 65_535)
    .optional()
    .describe('Port; default 6379, with `high_availability` 26379. Not asked for sockets.'),
  timeout: duration().prefault('5s').describe('How long connecting may take.'),
  max_retries: integer(-1)
    .prefault(3)
    .describe(
      'How often a read is repeated whose connection fell, within half a second; -1 for never. Writes are not repeated.',
    ),
  username: text({ minimum: 0 })
    .optional()
    .describe(
      'User of the access control list. He needs `~sallyport:* +@connection +@read +@write +@scripting`, behind sentinels `+role +wait` too, and `+info +config|get` to be warned at start.',
    ),
  password: secret({ minimum: 0 }).optional().describe('Password.'),
  database_index: integer(0).prefault(0).describe('Number of the database.'),
  key_prefix: text({ minimum: 0 })
    .prefault('sallyport:')
    .describe('What the names of all keys begin with. Replicas that share sessions have the same.'),
  maximum_active_connections: integer(1)
    .prefault(8)
    .describe(
      'Most connections of this process to the server of the sessions. More than 2 (3 with `high_availability`) are never needed: one for reads, one for writes, one for writes that wait for a replica. With 1 all share it. Each sentinel has one more.',
    ),
  minimum_idle_connections: integer(0)
    .prefault(0)
    .describe('Connections that are opened at start and kept open without need, up to the maximum.'),
  tls: tlsSchema.optional().describe('TLS towards Redis; the section switches it on.'),
  high_availability: section({
    sentinel_name: text().describe('Name of the master that the sentinels watch.'),
    sentinel_username: text({ minimum: 0 }).optional().describe('User for the sentinels.'),
    sentinel_password: secret({ minimum: 0 }).optional().describe('Password for the sentinels.'),
    nodes: list(nodeSchema).prefault([]).describe('More sentinels.'),
    route_by_latency: flag()
      .prefault(false)
      .describe(
        'Asks the sentinels that answer fastest first. Sessions are read from the master all the same.',
      ),
    route_randomly: flag()
      .prefault(false)
      .describe('Asks the sentinels in random order. Sessions are read from the master all the same.'),
  })
    .optional()
    .describe('Redis Sentinel.'),
})
  .superRefine((redis, context) => {
    if (redis.host === undefined && !redis.high_availability?.nodes.length) {
      context.addIssue({
        code: 'custom',
        path: ['host'],
        message: 'is required unless high_availability.nodes names sentinels',
      });
    }
  })
  .transform((redis) => ({
    ...redis,
    port: redis.port || (redis.high_availability === undefined ? 6379 : 26_379),
  }));

export type RedisConfig = z.output<typeof redisSchema>;

export const redisDriver: SessionDriver<typeof redisSchema> = {
  config: redisSchema.describe('Keeps sessions in Redis (or Valkey), one server or Sentinel.'),
  shared: true,
  async open(config, deps) {
    const held = holdLink(config, deps);
    const store = openRedisStore(held.link, config.key_prefix, deps, held.release);
    const trouble = (await held.link.firstAttempt) ?? (await refusalOf(store));
    const mend = trouble === null ? null : mendOf(trouble, config);
    if (mend !== null) {
      await store.close();
      throw new Error(mend, { cause: trouble });
    }
    return store;
  },
};

// --- connections ----------------------------------------------------------------------------------------------------

/** The stores of all realms of one configuration share its connections. */
const links = new WeakMap<RedisConfig, { readonly link: RedisLink; holders: number }>();

function holdLink(config: RedisConfig, deps: DriverDeps): { readonly link: RedisLink; release(): void } {
  const known = links.get(config);
  const entry = known ?? { link: openLink(config, deps), holders: 0 };
  links.set(config, entry);
  entry.holders++;
  if (known === undefined) void inspectServer(entry.link, deps);
  let isHeld = true;
  return {
    link: entry.link,
    release() {
      if (!isHeld) return;
      isHeld = false;
      if (--entry.holders > 0) return;
      links.delete(config);
      entry.link.close();
    },
  };
}

function openLink(config: RedisConfig, { random, clock, logger }: DriverDeps): RedisLink {
  const { host, port, timeout, high_availability: sentinel } = config;
  const common = { tls: config.tls ?? null, name: 'sallyport' };
  const deps = { timers: systemTimers, random, clock, logger };
  const addresses = [
    ...(host === undefined ? [] : [redisAddress(host, port)]),
    ...(sentinel?.nodes ?? []).map((node) => redisAddress(node.host, node.port)),
  ];
  const [address = redisAddress('localhost', port)] = addresses;
  const source = sentinel
    ? openSentinels(
        {
          addresses,
          masterName: sentinel.sentinel_name,
          order: sentinel.route_by_latency ? 'latency' : sentinel.route_randomly ? 'random' : 'listed',
          timeout,
          login: {
            ...common,
            username: sentinel.sentinel_username,
            password: sentinel.sentinel_password,
            database: 0,
          },
        },
        deps,
      )
    : fixedSource(address);
  const needed = sentinel ? 3 : 2;
  return openRedisLink(
    source,
    {
      login: {
        ...common,
        username: config.username,
        password: config.password,
        database: config.database_index,
      },
      timeout,
      connections: Math.min(
        config.maximum_active_connections,
        Math.max(needed, config.minimum_idle_connections),
      ),
      retries: Math.max(0, config.max_retries),
    },
    deps,
  );
}

/** What to mend in the configuration, or null when the trouble may pass by itself. */
function mendOf(trouble: Error, config: RedisConfig): string | null {
  const error =
    trouble instanceof SentinelTrouble && trouble.cause instanceof Error ? trouble.cause : trouble;
  const isSentinel = trouble instanceof SentinelTrouble;
  const code = redisErrorCode(error) ?? '';
  const [who, username, password] = isSentinel
    ? (['Sentinel', 'high_availability.sentinel_username', 'high_availability.sentinel_password'] as const)
    : (['Redis', 'username', 'password'] as const);
  if (isSentinel && trouble.isUnknownMaster) {
    return `session.redis.high_availability.sentinel_name: the sentinels watch no master '${config.high_availability?.sentinel_name}'; see \`sentinel monitor\` in their configuration`;
  }
  if (
    code === 'WRONGPASS' ||
    code === 'NOAUTH' ||
    / invalid password$|without any password/.test(error.message)
  ) {
    return `session.redis.${password}: ${who} refused it (${code}); check session.redis.${username} and session.redis.${password}`;
  }
  if (code === 'NOPERM') {
    return `session.redis.${username}: ${who} does not allow this user what sessions need (${error.message})`;
  }
  if (code === 'MOVED' || code === 'CROSSSLOT' || code === 'CLUSTERDOWN') {
    return `session.redis.host: this server belongs to a Redis Cluster, which cannot keep sessions (${code}); name a single server, or sentinels in session.redis.high_availability`;
  }
  if (/unknown command/i.test(error.message)) {
    return `session.redis.host: sessions need Redis 6.2 or later, or Valkey (${error.message.trim()})`;
  }
  if (/DB index is out of range/.test(error.message)) {
    return `session.redis.database_index: Redis has no database ${config.database_index}; see \`databases\` in its configuration`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `session.redis.tls.server_name: the certificate of ${who} is for other names (${error.message})`;
  }
  if (
    /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_SSL_|ERR_OSSL_|EPROTO)/.test(
      code,
    )
  ) {
    return `session.redis.tls: no TLS connection to ${who} (${code}); check the certificate, the versions and the authorities that are trusted`;
  }
  return null;
}

/** Says what loses sessions in the server's own configuration, when it is reached for the first time. */
async function inspectServer(link: RedisLink, { logger }: DriverDeps): Promise<void> {
  await link.firstConnection;
  const ask = async (...command: RedisCommand): Promise<RedisReply> =>
    (await link.send('write', [command]))[0] ?? null;
  const setting = async (name: string): Promise<unknown> => {
    const reply = await ask('CONFIG', 'GET', name);
    return reply !== null && typeof reply === 'object' && name in reply ? reply[name as never] : null;
  };
  try {
    const version = /^redis_version:((\d+)\.(\d+)\S*)/m.exec(String(await ask('INFO', 'server')));
    if (version && Number(version[2]) * 100 + Number(version[3]) < 602) {
      logger.warn({ version: version[1] }, 'Redis is too old for sessions: 6.2 or later is needed');
    }
    const policy = await setting('maxmemory-policy');
    if ((await setting('maxmemory')) !== '0' && policy !== 'noeviction') {
      logger.warn(
        { 'maxmemory-policy': policy },
        'Redis throws sessions away when its memory is full: set maxmemory-policy to noeviction',
      );
    }
    if ((await setting('save')) === '' && (await setting('appendonly')) === 'no') {
      logger.warn({}, 'Redis keeps nothing on disk: when it restarts all sessions are gone; see appendonly');
    }
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    logger.debug({ cause }, 'Redis does not tell its settings: what could lose sessions was not looked for');
  }
}

// --- records --------------------------------------------------------------------------------------------------------

const FORMAT = 1;
/** Format, version, createdAt, expiresAt, lastActivity; the numbers as doubles, so that none is cut. */
const HEAD = 1 + 4 * 8;
const NO_TEXT = 0xffff;

/**
 * A record: the head, user id, public id and sid (each with its length in two bytes before it; 0xffff: null), and the
 * sealed bytes. The scripts read it too.
 */
function encode(session: StoredSession): Buffer {
  const texts = [session.userId, session.publicId, session.sid].map((text) =>
    text === null ? null : Buffer.from(text),
  );
  const size = texts.reduce((sum, text) => sum + 2 + (text?.length ?? 0), HEAD + session.sealed.length);
  const record = Buffer.allocUnsafe(size);
  record[0] = FORMAT;
  record.writeDoubleBE(session.version, 1);
  record.writeDoubleBE(session.createdAt, 9);
  record.writeDoubleBE(session.expiresAt, 17);
  record.writeDoubleBE(session.lastActivity, 25);
  let at = HEAD;
  for (const text of texts) {
    if (text !== null && text.length >= NO_TEXT)
      throw new RangeError('an id of a session is too long for Redis');
    at = record.writeUInt16BE(text?.length ?? NO_TEXT, at);
    if (text !== null) at += text.copy(record, at);
  }
  session.sealed.copy(record, at);
  return record;
}

/** Null when it is no record of ours. */
function decode(key: string, record: Buffer): StoredSession | null {
  if (record[0] !== FORMAT) return null;
  let at = HEAD;
  const text = (): string | null => {
    const length = record.readUInt16BE(at);
    at += 2;
    if (length === NO_TEXT) return null;
    if (at + length > record.length) throw new RangeError('cut off');
    const value = record.toString('utf8', at, at + length);
    at += length;
    return value;
  };
  try {
    const [userId, publicId, sid] = [text(), text(), text()];
    if (userId === null || publicId === null) return null;
    return {
      key,
      version: record.readDoubleBE(1),
      publicId,
      userId,
      sid,
      createdAt: record.readDoubleBE(9),
      expiresAt: record.readDoubleBE(17),
      lastActivity: record.readDoubleBE(25),
      sealed: record.subarray(at),
    };
  } catch {
    return null;
  }
}

/** What the members of `expiry` and `users` begin with: user id with its length, so that none is the beginning of another. */
function userPart(userId: string): Buffer {
  const text = Buffer.from(userId);
  const part = Buffer.allocUnsafe(2 + text.length);
  part.writeUInt16BE(text.length, 0);
  text.copy(part, 2);
  return part;
}

/** The key that stands behind the user in a member. */
const keyOfMember = (member: Buffer): string => member.toString('utf8', 2 + member.readUInt16BE(0));

// --- scripts --------------------------------------------------------------------------------------------------------

/** Offsets of `encode`, counted from 1. */
const prelude = `
local function get(name)
  local record = redis.call('GET', name)
  if record and #record >= ${HEAD + 6} and string.byte(record) == ${FORMAT} then return record end
  return false
end
local function userPart(record)
  local high, low = string.byte(record, ${HEAD + 1}, ${HEAD + 2})
  return string.sub(record, ${HEAD + 1}, ${HEAD + 2} + high * 256 + low)
end
local function publicId(record)
  local at = ${HEAD + 1} + #userPart(record)
  local high, low = string.byte(record, at, at + 1)
  return string.sub(record, at + 2, at + 1 + high * 256 + low)
end
`;

interface Script {
  readonly source: string;
  readonly sha: string;
}

function script(body: string): Script {
  const source = prelude + body;
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}

/** Keys: record, activity, expiry, users. Arguments: key, record, lifetime in ms, lastActivity, expiresAt. */
const insertScript = script(`
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
local member = userPart(ARGV[2]) .. ARGV[1]
redis.call('ZADD', KEYS[3], ARGV[5], member)
redis.call('ZADD', KEYS[4], 0, member)
return 1`);

/** Keys: old record, activity, expiry, users, new record. Arguments: those of insert, old key, its version as in the record. */
const replaceScript = script(`
local old = get(KEYS[1])
if not old or string.sub(old, 2, 9) ~= ARGV[7] then return 0 end
if KEYS[1] ~= KEYS[5] and redis.call('EXISTS', KEYS[5]) == 1 then return 0 end
local seen = redis.call('ZSCORE', KEYS[2], ARGV[6])
local gone, member = userPart(old) .. ARGV[6], userPart(ARGV[2]) .. ARGV[1]
redis.call('SET', KEYS[5], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
if seen then redis.call('ZADD', KEYS[2], 'GT', seen, ARGV[1]) end
if KEYS[1] ~= KEYS[5] then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[6])
end
if gone ~= member then
  redis.call('ZREM', KEYS[3], gone)
  redis.call('ZREM', KEYS[4], gone)
end
redis.call('ZADD', KEYS[3], ARGV[5], member)
redis.call('ZADD', KEYS[4], 0, member)
return 1`);

/**
 * Keys: record, activity, expiry, users, mark. Arguments: key, lifetime of the mark or empty. The mark is written when
 * nothing else is, so that WAIT has something to wait for that came after an earlier delete.
 */
const deleteScript = script(`
local record = get(KEYS[1])
local changes = redis.call('DEL', KEYS[1]) + redis.call('ZREM', KEYS[2], ARGV[1])
if record then
  local member = userPart(record) .. ARGV[1]
  changes = changes + redis.call('ZREM', KEYS[3], member) + redis.call('ZREM', KEYS[4], member)
end
if changes == 0 and ARGV[2] ~= '' then redis.call('SET', KEYS[5], '1', 'PX', ARGV[2]) end
return record and publicId(record)`);

/**
 * Keys: users, activity, expiry, mark, records. Arguments: limits of the user's members, user part, '=' and the public id
 * to spare (or empty), lifetime of the mark or empty, keys. False when the user has not exactly these keys (any more).
 */
const deleteByUserScript = script(`
if redis.call('ZLEXCOUNT', KEYS[1], ARGV[1], ARGV[2]) ~= #KEYS - 4 then return false end
for i = 5, #KEYS do
  if not redis.call('ZSCORE', KEYS[1], ARGV[3] .. ARGV[i + 1]) then return false end
end
local ended, changes = {}, 0
for i = 5, #KEYS do
  local key, record = ARGV[i + 1], get(KEYS[i])
  local isOwn = record and userPart(record) == ARGV[3]
  if not isOwn or '=' .. publicId(record) ~= ARGV[4] then
    if isOwn then
      ended[#ended + 1] = publicId(record)
      redis.call('DEL', KEYS[i])
      redis.call('ZREM', KEYS[2], key)
    end
    redis.call('ZREM', KEYS[3], ARGV[3] .. key)
    redis.call('ZREM', KEYS[1], ARGV[3] .. key)
    changes = changes + 1
  end
end
if changes == 0 and ARGV[5] ~= '' then redis.call('SET', KEYS[4], '1', 'PX', ARGV[5]) end
return ended`);

/** Keys: expiry, activity, users, records. Arguments: now, and of each record its member and its key. */
const sweepScript = script(`
local swept = 0
for i = 4, #KEYS do
  local member, key = ARGV[(i - 3) * 2], ARGV[(i - 3) * 2 + 1]
  local ends = redis.call('ZSCORE', KEYS[1], member)
  if ends and tonumber(ends) < tonumber(ARGV[1]) then
    redis.call('ZREM', KEYS[1], member)
    redis.call('ZREM', KEYS[3], member)
    local record = get(KEYS[i])
    if not record or userPart(record) .. key == member then
      redis.call('ZREM', KEYS[2], key)
      swept = swept + redis.call('DEL', KEYS[i])
    end
  end
end
return swept`);

// --- store ----------------------------------------------------------------------------------------------------------

/** Milliseconds for which Redis keeps a record beyond its end, should nobody sweep it. */
const LEFTOVER = 86_400_000;
/** Milliseconds. */
const MARK_LIFETIME = '10000';
/** Sessions for one command: others wait while it runs. */
const BATCH = 200;
/** How often what a user has is read again because it changed meanwhile. */
const MOST_READINGS = 10;

const asBuffers = { asBuffers: true };

function openRedisStore(
  link: RedisLink,
  keyPrefix: string,
  { realm, clock, logger }: DriverDeps,
  release: () => void,
): SessionStore {
  const name = (rest: string): string => `${keyPrefix}${realm}:${rest}`;
  const records = name('s:');
  const [activity, expiry, users, mark] = [name('activity'), name('expiry'), name('users'), name('mark')];
  let closed = false;
  let foreign = 0;

  /** Whatever goes wrong, nothing may be concluded. */
  const guarded = async <T>(run: () => Promise<T>): Promise<T> => {
    if (closed) throw new StoreUnavailable('the Redis session store is closed');
    try {
      return await run();
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      const cause = error instanceof Error ? error.message || redisErrorCode(error) : String(error);
      throw new StoreUnavailable(`the Redis session store failed: ${cause}`, { cause: error });
    }
  };

  /** Scripts go by their digest; a server that does not know it (any more) gets the text. */
  const run = async (
    send: (commands: readonly RedisCommand[]) => Promise<RedisReply[]>,
    { sha, source }: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<RedisReply> => {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return (await send([['EVALSHA', sha, ...rest]]))[0] ?? null;
    } catch (error) {
      if (redisErrorCode(error) !== 'NOSCRIPT') throw error;
      return (await send([['EVAL', source, ...rest]]))[0] ?? null;
    }
  };
  const write = (commands: readonly RedisCommand[]): Promise<RedisReply[]> => link.send('write', commands);
  const settle = (commands: readonly RedisCommand[]): Promise<RedisReply[]> => link.settle(commands);
  const markLifetime = (): string => (link.mayBeReplaced() ? MARK_LIFETIME : '');

  const find = async (keys: readonly string[]): Promise<(StoredSession | null)[]> => {
    if (keys.length === 0) return [];
    const names = keys.map((key) => records + key);
    const [found] = (await link.send('read', [['MGET', ...names]], asBuffers)) as [(Buffer | null)[]];
    return keys.map((key, i) => {
      const record = found[i];
      if (!record) return null;
      const session = decode(key, record);
      if (session === null && foreign++ === 0) {
        logger.warn({ key_prefix: keyPrefix }, 'Redis holds a value that is no session where one should be');
      }
      return session;
    });
  };
  const activityOf = async (keys: readonly string[]): Promise<readonly (number | null)[]> => {
    if (keys.length === 0) return [];
    const [seen] = (await link.send('read', [['ZMSCORE', activity, ...keys]])) as [(number | null)[]];
    return seen;
  };

  const rangeOf = (part: Buffer): [Buffer, Buffer] => [
    Buffer.concat([Buffer.from('['), part]),
    // No UTF-8 text has this byte.
    Buffer.concat([Buffer.from('('), part, Buffer.from([0xff])]),
  ];
  const keysIn = async (range: readonly Buffer[]): Promise<string[]> => {
    const [members] = (await link.send('read', [['ZRANGEBYLEX', users, ...range]], asBuffers)) as [Buffer[]];
    return members.map(keyOfMember);
  };

  const fieldsOf = (session: StoredSession): (string | Buffer)[] => [
    session.key,
    encode(session),
    String(Math.max(0, session.expiresAt - clock.now()) + LEFTOVER),
    String(session.lastActivity),
    String(session.expiresAt),
  ];

  return {
    findMany: (keys) => guarded(() => find(keys)),

    activityOf: (key) =>
      guarded(async () => {
        const [[session], [seen]] = await Promise.all([find([key]), activityOf([key])]);
        return session ? Math.max(session.lastActivity, seen ?? 0) : null;
      }),

    insert: (session) =>
      guarded(async () => {
        const keys = [records + session.key, activity, expiry, users];
        return (await run(write, insertScript, keys, fieldsOf(session))) === 1;
      }),

    replace: (key, version, next) =>
      guarded(async () => {
        const keys = [records + key, activity, expiry, users, records + next.key];
        const expected = Buffer.allocUnsafe(8);
        expected.writeDoubleBE(version);
        return (await run(write, replaceScript, keys, [...fieldsOf(next), key, expected])) === 1;
      }),

    touchMany: (touches) =>
      guarded(async () => {
        const commands = inBatches(touches, BATCH).map((batch) => [
          'ZADD',
          activity,
          'XX',
          'GT',
          ...batch.flatMap(({ key, at }) => [String(at), key]),
        ]);
        await link.send('write', commands);
      }),

    delete: (key) =>
      guarded(async () => {
        const keys = [records + key, activity, expiry, users, mark];
        const ended = await run(settle, deleteScript, keys, [key, markLifetime()]);
        return typeof ended === 'string' ? ended : null;
      }),

    listByUser: (userId) =>
      guarded(async () => {
        const range = rangeOf(userPart(userId));
        for (let readings = 1; ; readings++) {
          const keys = await keysIn(range);
          const found = await find(keys);
          // One that is listed and gone has ended or was rotated meanwhile, or Redis threw it away.
          if (readings === 3 || !found.includes(null)) {
            const own = found.filter((session) => session?.userId === userId) as StoredSession[];
            const seen = await activityOf(own.map(({ key }) => key));
            return own.map((session, i) => ({
              ...session,
              lastActivity: Math.max(session.lastActivity, seen[i] ?? 0),
            }));
          }
        }
      }),

    deleteByUser: (userId, except) =>
      guarded(async () => {
        const part = userPart(userId);
        const range = rangeOf(part);
        const spared = except === undefined ? '' : `=${except}`;
        for (let readings = 0; readings < MOST_READINGS; readings++) {
          const own = await keysIn(range);
          const keys = [users, activity, expiry, mark, ...own.map((key) => records + key)];
          const args = [...range, part, spared, markLifetime(), ...own];
          const ended = await run(settle, deleteByUserScript, keys, args);
          if (Array.isArray(ended)) return ended.map(String);
        }
        throw new StoreUnavailable('the sessions of the user change too fast to end them all');
      }),

    sweep: (now, limit) =>
      guarded(async () => {
        const range = ['ZRANGEBYSCORE', expiry, '-inf', `(${now}`, 'LIMIT', '0', String(limit)];
        const [members] = (await link.send('write', [range], asBuffers)) as [Buffer[]];
        let swept = 0;
        for (const batch of inBatches(members, BATCH)) {
          const owners = batch.map((member) => ({ member, key: keyOfMember(member) }));
          const keys = [expiry, activity, users, ...owners.map(({ key }) => records + key)];
          const args = owners.flatMap(({ member, key }) => [member, key]);
          swept += Number(await run(write, sweepScript, keys, [String(now), ...args]));
        }
        return swept;
      }),

    ping: () =>
      guarded(async () => {
        await link.send('read', [['PING']]).catch(acceptRefusedPing);
      }),

    async close() {
      closed = true;
      release();
    },
  };
}

function inBatches<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

/** Why Redis can never do what sessions need, found by asking for something that changes nothing. */
async function refusalOf(store: SessionStore): Promise<Error | null> {
  const nobody = { publicId: '', userId: '', sid: null, sealed: Buffer.alloc(0) };
  const never = { key: '', version: 0, createdAt: 0, expiresAt: 0, lastActivity: 0, ...nobody };
  try {
    await store.activityOf('');
    await store.replace('', 0, never);
    return null;
  } catch (error) {
    const cause = error instanceof StoreUnavailable ? error.cause : null;
    return cause instanceof Error ? cause : null;
  }
}
