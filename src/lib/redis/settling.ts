import {
  isSameRedisAddress,
  type RedisAddress,
  type RedisCommand,
  type RedisConnection,
  redisErrorCode,
  type RedisReply,
} from '../redis.ts';
import type { RedisSource } from './source.ts';
import { asError } from './waiting.ts';

/**
 * Writes that must outlive the server that takes them. They go out in rounds on one connection: all that wait are sent
 * together with one WAIT for a replica behind them, and the Sentinels are asked once for all of them. While WAIT holds the
 * connection up the next round gathers; the Sentinels answer beside it. So a write waits for two rounds at most, however
 * many there are.
 */
export interface SettlingDeps {
  readonly source: Pick<RedisSource, 'address' | 'replacement' | 'askNow'>;
  /** The connection to write on and the server that it leads to; throws when there is none. */
  readonly findLane: () => { readonly connection: RedisConnection; readonly address: RedisAddress };
  /** The server has refused a write as it is a replica (by now). */
  readonly onReadOnly: () => void;
}

/** For one replica, and for so many milliseconds. */
export const WAIT: RedisCommand = ['WAIT', '1', '300'];

interface Write {
  readonly command: RedisCommand;
  readonly reply: PromiseWithResolvers<RedisReply>;
}

/** Each write must change something, or come after one on another connection that did: WAIT waits for what was last written. */
export function createSettling({ source, findLane, onReadOnly }: SettlingDeps): {
  settle(command: RedisCommand): Promise<RedisReply>;
} {
  let gathering: Write[] = [];
  let isHeldUp = false;

  /** Why what a replica has confirmed may be lost all the same, or null. */
  const findDoubt = async (master: RedisAddress): Promise<Error | null> => {
    // A replica that is being promoted has left this master, and it may have been another one that confirmed.
    if (!(await source.askNow())) return new Error('a Sentinel does not say whether the master stays');
    if (source.replacement() === 'under way' || !isSameRedisAddress(source.address(), master))
      return new Error('another server is becoming master, which may not know the write');
    return null;
  };

  /** Sends them and hands the connection on; what was taken, and how many replicas have it. */
  const send = async (
    writes: readonly Write[],
  ): Promise<{
    readonly taken: readonly (() => void)[];
    readonly replicas: RedisReply;
    readonly address: RedisAddress;
  }> => {
    try {
      const { connection, address } = findLane();
      const sent = writes.map(async ({ command, reply }): Promise<(() => void) | null> => {
        try {
          const answer = await connection.send(command);
          return () => reply.resolve(answer);
        } catch (error) {
          // A master that was demoted shows it here first.
          if (redisErrorCode(error) === 'READONLY') onReadOnly();
          reply.reject(error);
          return null;
        }
      });
      const replicas = await connection.send(WAIT);
      return { taken: (await Promise.all(sent)).filter((one) => one !== null), replicas, address };
    } finally {
      startRound();
    }
  };

  const run = async (writes: readonly Write[]): Promise<void> => {
    const { taken, replicas, address } = await send(writes);
    if (taken.length === 0) return;
    if (typeof replicas !== 'number' || replicas < 1) throw new Error('no replica has confirmed the write');
    const doubt = await findDoubt(address);
    if (doubt !== null) throw doubt;
    for (const confirm of taken) confirm();
  };

  const startRound = (): void => {
    isHeldUp = gathering.length > 0;
    if (!isHeldUp) return;
    const writes = gathering;
    gathering = [];
    // What was refused by itself already stays so.
    run(writes).catch((error: unknown) => {
      for (const { reply } of writes) reply.reject(asError(error));
    });
  };
  return {
    settle(command) {
      const reply = Promise.withResolvers<RedisReply>();
      gathering.push({ command, reply });
      if (!isHeldUp) {
        isHeldUp = true;
        queueMicrotask(startRound);
      }
      return reply.promise;
    },
  };
}
