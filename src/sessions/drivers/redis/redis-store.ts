import type { RedisLink } from '../../../lib/redis/link.ts';
import { acceptRefusedPing, type RedisCommand, redisErrorCode, type RedisReply } from '../../../lib/redis.ts';
import type { DriverDeps } from '../../driver.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../../store.ts';
import { decode, encode, keyOfMember, userPart } from './record.ts';
import {
  deleteByUserScript,
  deleteScript,
  insertScript,
  replaceScript,
  type Script,
  sweepScript,
} from './scripts.ts';

/** Milliseconds for which Redis keeps a record beyond its end, should nobody sweep it. */
const LEFTOVER = 86_400_000;
/** Milliseconds. */
const MARK_LIFETIME = '10000';
/** Sessions for one command: others wait while it runs. */
const BATCH = 200;
/** How often what a user has is read again because it changed meanwhile. */
const MOST_READINGS = 10;

const asBuffers = { asBuffers: true };

/** `release` is called when the store is closed. */
export function openRedisStore(
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
    send: (command: RedisCommand) => Promise<RedisReply>,
    { sha, source }: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<RedisReply> => {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await send(['EVALSHA', sha, ...rest]);
    } catch (error) {
      if (redisErrorCode(error) !== 'NOSCRIPT') throw error;
      return send(['EVAL', source, ...rest]);
    }
  };
  /** For what may be lost with the server. */
  const write = async (command: RedisCommand): Promise<RedisReply> =>
    (await link.send('write', [command]))[0] ?? null;
  /** For what somebody is told: it must outlive the server. */
  const settle = (command: RedisCommand): Promise<RedisReply> => link.settle(command);
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
        return (await run(settle, insertScript, keys, fieldsOf(session))) === 1;
      }),

    replace: (key, version, next) =>
      guarded(async () => {
        const keys = [records + key, activity, expiry, users, records + next.key];
        const expected = Buffer.allocUnsafe(8);
        expected.writeDoubleBE(version);
        return (await run(settle, replaceScript, keys, [...fieldsOf(next), key, expected])) === 1;
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
