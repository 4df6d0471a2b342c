import { RedisTimeout } from '../redis.ts';
import type { Timers } from '../timers.ts';

/** Somebody sleeps, somebody else may wake him. */
export interface Bell {
  /** Resolves after `ms` milliseconds, or when the bell rings. */
  wait(ms: number): Promise<void>;
  ring(): void;
}

export function createBell(timers: Timers): Bell {
  const waiting = new Set<() => void>();
  return {
    wait: (ms) =>
      new Promise((resolve) => {
        const wake = (): void => {
          cancel();
          waiting.delete(wake);
          resolve();
        };
        const cancel = timers.after(ms, wake);
        waiting.add(wake);
      }),
    ring() {
      for (const wake of waiting) wake();
    },
  };
}

/** Milliseconds for what has arrived while this process was busy, as timers run before sockets are read. */
const GRACE = 50;

/** The promise, or a `RedisTimeout` after `limit` milliseconds. */
export function within<T>(limit: number, timers: Timers, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let cancel = timers.after(limit, () => {
      cancel = timers.after(GRACE, () => reject(new RedisTimeout(`no answer within ${limit} ms`)));
    });
    promise.then(resolve, reject).finally(() => cancel());
  });
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
