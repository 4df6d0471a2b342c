import type { Logger } from '../logger.ts';
import type { Random } from '../random.ts';
import {
  acceptRefusedPing,
  dialRedis,
  formatRedisAddress,
  isSameRedisAddress,
  type RedisAddress,
  type RedisCommand,
  type RedisConnection,
  redisErrorCode,
  type RedisLogin,
  type RedisReply,
  RedisTimeout,
} from '../redis.ts';
import type { Timers } from '../timers.ts';
import { racedDial } from './raced-dial.ts';
import { createSettling, WAIT } from './settling.ts';
import type { RedisSource } from './source.ts';
import { asError, type Bell, createBell, within } from './waiting.ts';

/**
 * The connections of this process to one Redis server, wherever it moves: a few lanes, each dialed again by itself
 * whenever it falls. A lane is `ready` or not; what is asked for while none is ready fails at once with the reason.
 *
 * Every half second each lane is asked for a sign of life (and behind Sentinels for its role). What does not answer within
 * a second is dropped, so that a server that is cut off without a word holds nobody up when it is back. While most
 * Sentinels are out of reach a replica must follow the server, or it is not believed to be the master.
 */
export interface RedisLink {
  /**
   * Sends the commands together. A read that failed because its connection fell is repeated on another connection; a write
   * never is: whether it was carried out is unknown then.
   */
  send(purpose: Purpose, commands: readonly RedisCommand[], options?: SendOptions): Promise<RedisReply[]>;
  /** Whether a server that has not seen the latest writes may take the place of this one. */
  mayBeReplaced(): boolean;
  /**
   * Sends a write that must outlive this server. Where it may be replaced it rejects unless a replica has the write within
   * 300 ms and no other server is becoming master; it may be done all the same. Where nobody could take the master's place
   * it waits for nothing.
   */
  settle(command: RedisCommand): Promise<RedisReply>;
  /** Resolves when the first attempt of each lane has ended: null when they succeeded, else why one did not. */
  readonly firstAttempt: Promise<Error | null>;
  /** Resolves when the server is reached for the first time; never, when `close` comes before. */
  readonly firstConnection: Promise<void>;
  /** Drops all connections at once; what is under way is rejected. */
  close(): void;
}

export type Purpose = 'read' | 'write';

interface SendOptions {
  readonly asBuffers?: boolean;
}

export interface RedisLinkOptions {
  readonly login: RedisLogin;
  /** Milliseconds for one dial. */
  readonly timeout: number;
  /** Number of lanes, at least 1. */
  readonly connections: number;
  /** How often a read is repeated. */
  readonly retries: number;
  /** A write without consequence, to see whether replicas follow. */
  readonly mark: RedisCommand;
}

export interface RedisLinkDeps {
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** It may be that another server has become master and nobody could say so. */
class Unwatched extends Error {
  override name = 'Unwatched';
}

/** The server at this address is not the master (any more). */
class NotMaster extends Error {
  override name = 'NotMaster';
}

const SIGN_OF_LIFE_EVERY = 500;
const SIGN_OF_LIFE_WITHIN = 1000;
/** For repeating a read, from its first failure on. */
const REPEAT_WITHIN = 400;
const BACKOFF_FIRST = 40;
const BACKOFF_MOST = 800;

interface Lane {
  /** Null while not ready. */
  connection: RedisConnection | null;
  /** Where the connection leads, or the last one did. */
  address: RedisAddress | null;
  /** Why it is not ready. */
  trouble: Error;
  /** The first dial after a fall, for as long as it may soon succeed; resolves however it ends. */
  redial: PromiseWithResolvers<void> | null;
  readonly bell: Bell;
  /** Gives up the dial under way. */
  giveUp: () => void;
  /** Resolves when its first attempt has ended. */
  readonly tried: PromiseWithResolvers<Error | null>;
}

export function openRedisLink(
  source: RedisSource,
  options: RedisLinkOptions,
  deps: RedisLinkDeps,
): RedisLink {
  const { timers, logger } = deps;
  const connected = Promise.withResolvers<void>();
  const state = { closed: false };
  /** Why there is no connection, since when there was one last; each is logged once. */
  const causes = new Set<string>();

  const lanes = Array.from({ length: Math.max(1, options.connections) }, (): Lane => ({
    connection: null,
    address: null,
    trouble: new Error('not connected yet'),
    redial: null,
    bell: createBell(timers),
    giveUp: () => {},
    tried: Promise.withResolvers<Error | null>(),
  }));
  const ringAll = (): void => {
    for (const lane of lanes) lane.bell.ring();
  };

  /**
   * Lanes by preference. WAIT holds its connection up, so writes to be settled have one of their own where there are three
   * lanes; with two they share with other writes, with one all share.
   */
  const lanesOf = (purpose: Purpose | 'settle'): readonly Lane[] => {
    const [one, two, three, ...spare] = lanes;
    if (one === undefined || two === undefined) return lanes;
    if (three === undefined) return purpose === 'read' ? [one, two] : [two, one];
    if (purpose === 'settle') return [three, two];
    return purpose === 'read' ? [one, ...spare, two] : [two, ...spare, one];
  };
  const preferences = {
    read: lanesOf('read'),
    write: lanesOf('write'),
    settle: lanesOf('settle'),
  };
  const readyLane = (purpose: Purpose | 'settle'): Lane | undefined =>
    preferences[purpose].find(({ connection }) => connection !== null);
  const endRedial = (lane: Lane): void => {
    lane.redial?.resolve();
    lane.redial = null;
  };
  const hasFallen = (lane: Lane): void => {
    const fault = lane.connection?.fault ?? null;
    if (fault !== null) {
      lane.connection = null;
      lane.trouble = fault;
      source.setDoubt(true);
      // One that fell silent will hardly answer the next call.
      if (!(fault instanceof RedisTimeout)) {
        const redial = Promise.withResolvers<void>();
        lane.redial = redial;
        timers.after(REPEAT_WITHIN, () => {
          if (lane.redial === redial) endRedial(lane);
        });
      }
    }
    lane.bell.ring();
  };
  const troubleOf = (purpose: Purpose | 'settle'): Error =>
    preferences[purpose][0]?.trouble ?? new Error('not connected');

  const noteTrouble = (): void => {
    if (state.closed || readyLane('read') !== undefined) return;
    const cause = troubleOf('read');
    const name = redisErrorCode(cause) ?? cause.message;
    if (!causes.has(name)) logger.warn({ cause }, 'Redis is out of reach');
    causes.add(name);
  };
  const noteReady = (): void => {
    if (readyLane('read') === undefined) return;
    if (causes.size > 0) logger.info({}, 'Redis is within reach again');
    causes.clear();
    connected.resolve();
    source.setDoubt(false);
  };

  const backoff = (failures: number): number => {
    const most = Math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ** failures);
    return most * (0.5 + (deps.random.bytes(1)[0] ?? 0) / 512);
  };

  /** Rejects unless the server answers and is what it should be. */
  const probe = async (connection: RedisConnection): Promise<void> => {
    const ping = connection.send(['PING']).catch(acceptRefusedPing);
    const role = source.hasRoles ? connection.send(['ROLE']) : null;
    // A master that is cut off from Sentinels and replicas does not know that it has been replaced.
    const isInDoubt = !source.isWatched() && source.replacement() !== 'none';
    const followers = isInDoubt
      ? Promise.all([connection.send(options.mark), connection.send(WAIT)]).then(([, count]) => Number(count))
      : null;
    const [, reply, count] = await within(SIGN_OF_LIFE_WITHIN, timers, Promise.all([ping, role, followers]));
    if (reply === null) return;
    const name = Array.isArray(reply) ? reply[0] : null;
    if (name !== 'master') throw new NotMaster(`the server has the role ${String(name)}`);
    if (count !== null && count < 1)
      throw new Unwatched('no replica follows and few Sentinels answer: another server may be master');
  };

  const dial = (address: RedisAddress, lane: Lane): Promise<RedisConnection> => {
    const attempt = async (limit: number): Promise<RedisConnection> => {
      const connection = await dialRedis(address, options.login, limit, {
        timers,
        onLost: () => hasFallen(lane),
      });
      try {
        await probe(connection);
        return connection;
      } catch (error) {
        connection.close();
        throw error;
      }
    };
    const { connection, giveUp } = racedDial(attempt, options.timeout, timers);
    lane.giveUp = giveUp;
    return connection;
  };

  /** Returns when the connection has fallen: whether it had stood for a while. */
  const watch = async (lane: Lane, connection: RedisConnection, address: RedisAddress): Promise<boolean> => {
    for (let signs = 0; ; signs++) {
      await lane.bell.wait(SIGN_OF_LIFE_EVERY);
      if (connection.fault !== null || state.closed) return signs > 0;
      if (!isSameRedisAddress(source.address(), address)) {
        connection.close(new NotMaster(`${formatRedisAddress(address)} is not the master any more`));
        return true;
      }
      try {
        await probe(connection);
      } catch (error) {
        connection.close(asError(error));
        if (error instanceof NotMaster) ringAll();
        return true;
      }
    }
  };

  const fail = (lane: Lane, trouble: Error): void => {
    lane.trouble = trouble;
    endRedial(lane);
    lane.tried.resolve(trouble);
    source.setDoubt(true);
    noteTrouble();
  };

  const keep = async (lane: Lane): Promise<void> => {
    let failures = 0;
    let last: RedisAddress | null = null;
    while (!state.closed) {
      const address = source.address();
      if (address === null) {
        if (source.trouble !== null) fail(lane, source.trouble);
        await lane.bell.wait(BACKOFF_MOST);
        continue;
      }
      if (!isSameRedisAddress(address, last)) failures = 0;
      last = address;
      try {
        const connection = await dial(address, lane);
        if (state.closed || !isSameRedisAddress(address, source.address())) {
          connection.close();
          continue;
        }
        if (connection.fault !== null) throw connection.fault;
        lane.connection = connection;
        lane.address = address;
        endRedial(lane);
        lane.tried.resolve(null);
        noteReady();
        if (await watch(lane, connection, address)) {
          failures = 0;
          continue;
        }
      } catch (error) {
        if (isSameRedisAddress(address, source.address())) fail(lane, asError(error));
      }
      // A new address is tried at once.
      if (isSameRedisAddress(address, source.address())) await lane.bell.wait(backoff(failures++));
    }
  };

  const attempt = async (
    purpose: Purpose | 'settle',
    commands: readonly RedisCommand[],
    sendOptions: SendOptions | undefined,
  ): Promise<RedisReply[]> => {
    const lane = readyLane(purpose);
    const connection = lane?.connection ?? null;
    if (lane === undefined || connection === null) {
      const [preferred] = preferences[purpose];
      const trouble = troubleOf(purpose);
      throw preferred?.redial ? new Fallen(trouble, preferred) : trouble;
    }
    try {
      return await Promise.all(commands.map((command) => connection.send(command, sendOptions)));
    } catch (error) {
      if (connection.fault !== null) throw new Fallen(connection.fault, lane);
      // A master that was demoted shows it here first.
      if (redisErrorCode(error) === 'READONLY') ringAll();
      throw error;
    }
  };

  const repeatRead = async (
    commands: readonly RedisCommand[],
    sendOptions: SendOptions | undefined,
    { lane }: Fallen,
  ): Promise<RedisReply[]> => {
    let late = false;
    const cancel = timers.after(REPEAT_WITHIN, () => (late = true));
    try {
      for (let repeats = 1; ; repeats++) {
        if (readyLane('read') === undefined) await lane.redial?.promise;
        try {
          return await attempt('read', commands, sendOptions);
        } catch (error) {
          if (!(error instanceof Fallen) || repeats >= options.retries || late || state.closed) throw error;
        }
      }
    } finally {
      cancel();
    }
  };

  const read = async (
    commands: readonly RedisCommand[],
    sendOptions: SendOptions | undefined,
  ): Promise<RedisReply[]> => {
    try {
      return await attempt('read', commands, sendOptions);
    } catch (error) {
      if (error instanceof Fallen && options.retries > 0) return repeatRead(commands, sendOptions, error);
      throw error;
    }
  };

  const settling = createSettling({
    source,
    findLane() {
      const { connection = null, address = null } = readyLane('settle') ?? {};
      if (connection === null || address === null) throw troubleOf('settle');
      return { connection, address };
    },
    onReadOnly: ringAll,
  });

  source.open(() => {
    for (const lane of lanes) lane.giveUp();
    ringAll();
  });
  for (const lane of lanes) void keep(lane);

  return {
    firstAttempt: Promise.all(lanes.map(({ tried }) => tried.promise)).then(
      (troubles) => troubles.find((trouble) => trouble !== null) ?? null,
    ),
    firstConnection: connected.promise,
    mayBeReplaced: () => source.replacement() !== 'none',
    async settle(command) {
      if (source.replacement() !== 'none') return settling.settle(command);
      return (await attempt('write', [command], undefined))[0] ?? null;
    },
    send(purpose, commands, sendOptions) {
      if (state.closed) return Promise.reject(new Error('the connections are closed'));
      return purpose === 'read' ? read(commands, sendOptions) : attempt(purpose, commands, sendOptions);
    },
    close() {
      state.closed = true;
      source.close();
      for (const lane of lanes) {
        lane.connection?.close();
        lane.giveUp();
        endRedial(lane);
        lane.tried.resolve(new Error('closed'));
      }
      ringAll();
    },
  };
}

/** A connection fell under a command. */
class Fallen extends Error {
  override name = 'Fallen';
  readonly lane: Lane;
  constructor(fault: Error, lane: Lane) {
    super(fault.message, { cause: fault });
    this.lane = lane;
  }
}
