import type { Clock } from '../clock.ts';
import type { Logger } from '../logger.ts';
import type { Random } from '../random.ts';
import {
  dialRedis,
  formatRedisAddress,
  isSameRedisAddress,
  redisAddress,
  type RedisAddress,
  type RedisConnection,
  redisErrorCode,
  type RedisLogin,
  type RedisReply,
} from '../redis.ts';
import type { Timers } from '../timers.ts';
import type { RedisSource, Replacement } from './source.ts';
import { asError, type Bell, createBell, within } from './waiting.ts';

/**
 * Where the master is, as Sentinels tell it. Each Sentinel is asked on its own connection, every second, and four times a
 * second while the master is in doubt; what it announces makes it be asked at once. Of several opinions the one with the
 * newest configuration epoch counts, as a Sentinel that is cut off from the others keeps an old one; among equal ones the
 * Sentinel that comes first in the order. While none can be reached, the last opinion stands.
 */
export interface SentinelOptions {
  readonly addresses: readonly RedisAddress[];
  readonly masterName: string;
  /** In which order they are asked: as they are listed, at random, or the one first that answers fastest. */
  readonly order: 'listed' | 'random' | 'latency';
  readonly login: RedisLogin;
  /** Milliseconds for one dial. */
  readonly timeout: number;
}

export interface SentinelDeps {
  readonly timers: Timers;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** No Sentinel could tell the master; `cause` is what the first one said. */
export class SentinelTrouble extends Error {
  override name = 'SentinelTrouble';
  /** They answer, but watch no master of this name. */
  readonly isUnknownMaster: boolean;
  constructor(message: string, options: { readonly cause?: Error; readonly isUnknownMaster: boolean }) {
    super(message, { cause: options.cause });
    this.isUnknownMaster = options.isUnknownMaster;
  }
}

const ASK_EVERY = 1000;
const ASK_IN_DOUBT_EVERY = 250;
const ANSWER_WITHIN = 500;
/** Where a sign-in or sign-out waits for it, which has half a second. */
const ASK_NOW_WITHIN = 400;
/** A Sentinel is dialed for no longer, as others can be asked. */
const DIAL_WITHIN = 1000;
/** Each Sentinel gets this lead before the next one in the order is asked at start. */
const LEAD = 30;
const BACKOFF = 400;

interface Opinion {
  readonly address: RedisAddress;
  readonly epoch: number;
  readonly replacement: Replacement;
  /** Whether a replica is known that could be master, be it out of reach for this Sentinel. */
  readonly hasReplicas: boolean;
}

interface Sentinel {
  readonly address: RedisAddress;
  readonly bell: Bell;
  connection: RedisConnection | null;
  opinion: Opinion | null;
  /** Since its last answer; null while there is none. */
  trouble: Error | null;
  /** Of its last answer, in milliseconds. */
  latency: number;
}

/** The events after which the master may be another one, or will be soon. */
const EVENTS = ['+try-failover', '+promoted-slave', '+failover-state-reconf-slaves', '+switch-master'];

export function openSentinels(options: SentinelOptions, deps: SentinelDeps): RedisSource {
  const { timers, clock, logger, random } = deps;
  const sentinels = options.addresses.map((address): Sentinel => ({
    address,
    bell: createBell(timers),
    connection: null,
    opinion: null,
    trouble: null,
    latency: Number.POSITIVE_INFINITY,
  }));
  if (options.order === 'random') shuffle(sentinels, random);
  const state = { closed: false };
  let inDoubt = true;
  let opinion: Opinion | null = null;
  let replacement: Replacement = 'possible';
  let trouble: Error | null = null;
  let wereReached = true;
  let onChange = (): void => {};

  const ringAll = (): void => {
    for (const { bell } of sentinels) bell.ring();
  };

  const conclude = (): void => {
    const order =
      options.order === 'latency' ? sentinels.toSorted((a, b) => a.latency - b.latency) : sentinels;
    const opinions = order.flatMap((sentinel) => sentinel.opinion ?? []);
    const [first, ...others] = opinions;
    noteReached(first !== undefined);
    if (first === undefined) {
      if (opinion !== null || sentinels.some((sentinel) => sentinel.trouble === null)) return;
      const cause = order.find(({ trouble }) => isRefusal(trouble))?.trouble ?? order[0]?.trouble;
      trouble = new SentinelTrouble(`no sentinel tells the master: ${cause?.message ?? 'none is known'}`, {
        ...(cause ? { cause } : {}),
        isUnknownMaster: sentinels.every((sentinel) => sentinel.trouble instanceof UnknownMaster),
      });
      onChange();
      return;
    }
    const newest = others.reduce((best, other) => (other.epoch > best.epoch ? other : best), first);
    const before = opinion;
    opinion = newest;
    const expected = new Set(
      opinions
        .filter(({ address }) => isSameRedisAddress(address, newest.address))
        .map(({ replacement }) => replacement),
    );
    replacement = (['under way', 'possible', 'none'] as const).find((one) => expected.has(one)) ?? 'possible';
    trouble = null;
    if (isSameRedisAddress(before?.address ?? null, newest.address)) return;
    const master = formatRedisAddress(newest.address);
    if (before) logger.warn({ master }, 'Redis has a new master');
    else logger.debug({ master }, 'The sentinels name the master');
    onChange();
  };

  const noteReached = (areReached: boolean): void => {
    if (state.closed || areReached === wereReached) return;
    if (!areReached && sentinels.some((sentinel) => sentinel.trouble === null)) return;
    wereReached = areReached;
    if (areReached) logger.info({}, 'Redis Sentinels are within reach again');
    else {
      logger.warn(
        { cause: sentinels[0]?.trouble },
        'No Redis Sentinel is within reach: a failover would go unnoticed, the last known master is used',
      );
    }
  };

  const ask = async (
    sentinel: Sentinel,
    connection: RedisConnection,
    limit = ANSWER_WITHIN,
  ): Promise<void> => {
    const start = clock.now();
    const name = options.masterName;
    const questions = Promise.allSettled([
      connection.send(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name]),
      connection.send(['SENTINEL', 'MASTER', name]),
      connection.send(['SENTINEL', 'REPLICAS', name]),
    ]);
    const [where, master, replicas] = await within(limit, timers, questions);
    if (where.status === 'rejected') throw asError(where.reason);
    const [host, port] = Array.isArray(where.value) ? where.value.map(String) : [];
    if (host === undefined || port === undefined)
      throw new UnknownMaster(`${formatRedisAddress(sentinel.address)} watches no master '${name}'`);
    sentinel.opinion = {
      address: redisAddress(host, Number(port)),
      epoch: Number((master.status === 'fulfilled' && fieldOf(master.value, 'config-epoch')) || 0),
      ...futureIn(
        port,
        master.status === 'fulfilled' ? master.value : null,
        replicas.status === 'fulfilled' ? replicas.value : null,
      ),
    };
    sentinel.trouble = null;
    sentinel.latency = clock.now() - start;
    conclude();
  };

  const follow = async (sentinel: Sentinel, lead: number): Promise<void> => {
    if (lead > 0) await sentinel.bell.wait(lead);
    while (!state.closed) {
      try {
        const connection = await dialRedis(
          sentinel.address,
          options.login,
          Math.min(DIAL_WITHIN, options.timeout),
          { timers, onLost: () => sentinel.bell.ring() },
        );
        sentinel.connection = connection;
        // One that may not subscribe is only asked.
        connection.subscribe(EVENTS, () => sentinel.bell.ring()).catch(() => {});
        while (!state.closed && connection.fault === null) {
          await ask(sentinel, connection);
          await sentinel.bell.wait(inDoubt ? ASK_IN_DOUBT_EVERY : ASK_EVERY);
        }
        sentinel.trouble = connection.fault ?? new Error('closed');
      } catch (error) {
        sentinel.trouble = asError(error);
      }
      sentinel.connection?.close();
      sentinel.connection = null;
      sentinel.opinion = null;
      sentinel.latency = Number.POSITIVE_INFINITY;
      conclude();
      if (!state.closed) await sentinel.bell.wait(BACKOFF);
    }
  };

  const isWatched = (): boolean =>
    sentinels.filter((sentinel) => sentinel.opinion !== null).length * 2 > sentinels.length;

  const askAll = async (): Promise<boolean> => {
    const answers = await Promise.allSettled(
      sentinels.map(async (sentinel) => {
        if (sentinel.connection === null) return;
        await ask(sentinel, sentinel.connection, ASK_NOW_WITHIN).catch((error: unknown) => {
          // It is asked again at once, and left out while it does not answer.
          sentinel.bell.ring();
          throw error;
        });
      }),
    );
    return answers.every(({ status }) => status === 'fulfilled');
  };
  let nextRound: Promise<boolean> | null = null;

  return {
    address: () => opinion?.address ?? null,
    get trouble() {
      return trouble;
    },
    hasRoles: true,
    // A few Sentinels that see no replica may be those that are cut off.
    replacement: () =>
      replacement === 'none' && opinion?.hasReplicas === true && !isWatched() ? 'possible' : replacement,
    isWatched,
    askNow() {
      // All who ask in one turn share a round, which begins after they asked.
      nextRound ??= Promise.resolve().then(() => {
        nextRound = null;
        return askAll();
      });
      return nextRound;
    },
    open(listener) {
      onChange = listener;
      sentinels.forEach((sentinel, place) => void follow(sentinel, place * LEAD));
    },
    setDoubt(isDoubtful) {
      const isNew = isDoubtful && !inDoubt;
      inDoubt = isDoubtful;
      if (isNew) ringAll();
    },
    close() {
      state.closed = true;
      ringAll();
    },
  };
}

class UnknownMaster extends Error {
  override name = 'UnknownMaster';
}

/** Not a matter of time. */
function isRefusal(trouble: Error | null): boolean {
  return (
    trouble instanceof UnknownMaster || /^(?:WRONGPASS|NOAUTH|NOPERM|ERR)/.test(redisErrorCode(trouble) ?? '')
  );
}

/** A field of a map, which RESP3 gives as an object, and older Sentinels as a list of names and values. */
function fieldOf(reply: RedisReply, name: string): string | null {
  if (Array.isArray(reply)) {
    const at = reply.indexOf(name);
    return at < 0 ? null : String(reply[at + 1]);
  }
  if (reply === null || typeof reply !== 'object' || Buffer.isBuffer(reply)) return null;
  return name in reply ? String(reply[name as never]) : null;
}

/**
 * Whether another server will be master soon. The Sentinel that leads a failover says so from its beginning, some time
 * before a replica is promoted, until it names the new master.
 */
function futureIn(
  port: string,
  master: RedisReply,
  replicas: RedisReply,
): Pick<Opinion, 'replacement' | 'hasReplicas'> {
  const isFailingOver = (fieldOf(master, 'flags') ?? '').includes('failover_in_progress');
  if (isFailingOver && fieldOf(master, 'port') === port)
    return { replacement: 'under way', hasReplicas: true };
  if (!Array.isArray(replicas)) return { replacement: 'possible', hasReplicas: true };
  const candidates = (replicas as readonly RedisReply[]).filter(
    (replica) => fieldOf(replica, 'slave-priority') !== '0',
  );
  const isUp = candidates.some((replica) => !/[so]_down/.test(fieldOf(replica, 'flags') ?? ''));
  return { replacement: isUp ? 'possible' : 'none', hasReplicas: candidates.length > 0 };
}

/** Fisher and Yates. */
function shuffle(items: unknown[], random: Random): void {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.bytes(4).readUInt32BE() % (last + 1);
    [items[last], items[other]] = [items[other], items[last]];
  }
}
