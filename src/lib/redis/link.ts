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
import { asError, type Bell, createBell, within } from './waiting.ts';

/**
 * The connections of this process to one Redis server, wherever it moves: a few lanes, each dialed again by itself
 * whenever it falls. A lane is `ready` or not; what is asked for while none is ready fails at once with the reason.
 *
 * Every half second each lane is asked for a sign of life (and behind Sentinels for its role). What does not answer within
 * a second is dropped, so that a server that is cut off without a word holds nobody up when it is back.
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
   * Sends writes that must outlive this server. Where it may be replaced it rejects unless a replica has them within
   * 300 ms and no other server is becoming master; they may be done all the same. They must write something.
   */
  settle(commands: readonly RedisCommand[]): Promise<RedisReply[]>;
  /** Resolves when the first attempt of each lane has ended: null when they succeeded, else why one did not. */
  readonly firstAttempt: Promise<Error | null>;
  /** Resolves when the server is reached for the first time; never, when `close` comes before. */
  readonly firstConnection: Promise<void>;
  /** Drops all connections at once; what is under way is rejected. */
  close(): void;
}

export type Purpose = 'read' | 'write';

/** `under way`: what is written now may be lost, even when a replica has confirmed it. */
export type Replacement = 'none' | 'possible' | 'under way';

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
}

export interface RedisLinkDeps {
  readonly timers: Timers;
  readonly random: Random;
  readonly logger: Logger;
}

/** Where the server is. */
export interface RedisSource {
  /** Null while nobody knows. */
  address(): RedisAddress | null;
  /** Why there is no address. */
  readonly trouble: Error | null;
  /** Whether the server's role must be asked, as it may change. */
  readonly hasRoles: boolean;
  replacement(): Replacement;
  /** Learns what is true now of address and replacement. False when somebody who should know does not answer at once. */
  askNow(): Promise<boolean>;
  /** Calls `onChange` whenever the address or the trouble changes. */
  open(onChange: () => void): void;
  /** The address is (not) in doubt. */
  setDoubt(isDoubtful: boolean): void;
  close(): void;
}

/** A server that stays where it is. */
export function fixedSource(address: RedisAddress): RedisSource {
  return {
    address: () => address,
    trouble: null,
    hasRoles: false,
    replacement: () => 'none',
    askNow: async () => true,
    open() {},
    setDoubt() {},
    close() {},
  };
}

/** The server at this address is not the master (any more). */
export class NotMaster extends Error {
  override name = 'NotMaster';
}

/** For one replica, and for so many milliseconds. */
const WAIT = ['WAIT', '1', '300'];
const SIGN_OF_LIFE_EVERY = 500;
const SIGN_OF_LIFE_WITHIN = 1000;
/** For repeating a read, from its first failure on. */
const REPEAT_WITHIN = 400;
const BACKOFF_FIRST = 40;
const BACKOFF_MOST = 800;
/** A dial that hangs for this long gets company: a packet that was lost costs seconds otherwise. */
const IMPATIENT_AFTER = 1000;

interface Lane {
  /** Null while not ready. */
  connection: RedisConnection | null;
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
    if (purpose === 'settle') return [three];
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
    const [, reply] = await within(SIGN_OF_LIFE_WITHIN, timers, Promise.all([ping, role]));
    if (reply === null) return;
    const name = Array.isArray(reply) ? reply[0] : null;
    if (name !== 'master') throw new NotMaster(`the server has the role ${String(name)}`);
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
    const { connection, giveUp } = raced(attempt, options.timeout, timers);
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
    async settle(commands) {
      if (source.replacement() === 'none') return attempt('write', commands, undefined);
      const master = source.address();
      const replies = await attempt('settle', [...commands, WAIT], undefined);
      const replicas = replies.pop();
      if (typeof replicas !== 'number' || replicas < 1) throw new Error('no replica has confirmed the write');
      // A replica that is being promoted has left this master, and it may have been another one that confirmed.
      if (!(await source.askNow())) throw new Error('a Sentinel does not say whether the master stays');
      if (source.replacement() === 'under way' || !isSameRedisAddress(source.address(), master))
        throw new Error('another server is becoming master, which may not know the write');
      return replies;
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

/** A dial that may take `limit`; while it hangs, short ones are tried beside it, one at a time. The first to succeed counts. */
function raced(
  dial: (limit: number) => Promise<RedisConnection>,
  limit: number,
  timers: Timers,
): { readonly connection: Promise<RedisConnection>; giveUp(): void } {
  const { promise, resolve, reject } = Promise.withResolvers<RedisConnection>();
  let isOver = false;
  const succeed = (connection: RedisConnection): void => {
    if (isOver) connection.close();
    else resolve(connection);
    isOver = true;
  };
  const fail = (error: unknown): void => {
    isOver = true;
    reject(asError(error));
  };
  const tryBeside = (): void => {
    if (!isOver)
      dial(Math.min(IMPATIENT_AFTER, limit)).then(succeed, () => timers.after(BACKOFF_MOST / 4, tryBeside));
  };
  timers.after(IMPATIENT_AFTER, tryBeside);
  dial(limit).then(succeed, fail);
  return { connection: promise, giveUp: () => fail(new RedisTimeout('the dial was given up')) };
}
