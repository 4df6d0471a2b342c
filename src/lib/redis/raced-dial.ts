import { type RedisConnection, RedisTimeout } from '../redis.ts';
import type { Timers } from '../timers.ts';
import { asError } from './waiting.ts';

/** A dial that hangs for this long gets company: a packet that was lost costs seconds otherwise. */
const IMPATIENT_AFTER = 1000;
const BESIDE_AGAIN_AFTER = 200;

/** A dial that may take `limit`; while it hangs, short ones are tried beside it, one at a time. The first to succeed counts. */
export function racedDial(
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
      dial(Math.min(IMPATIENT_AFTER, limit)).then(succeed, () => timers.after(BESIDE_AGAIN_AFTER, tryBeside));
  };
  timers.after(IMPATIENT_AFTER, tryBeside);
  dial(limit).then(succeed, fail);
  return { connection: promise, giveUp: () => fail(new RedisTimeout('the dial was given up')) };
}
