import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { Random } from '../lib/random.ts';
import type { Timers } from '../lib/timers.ts';
import { type SessionStore, StoreUnavailable } from './store.ts';

/**
 * A store that answers in time or not at all: every operation has a deadline, so many may be under way, and after several
 * failures in a row nothing is sent any more until a probe has come back (a circuit breaker). What answers at once, such
 * as memory, passes untouched.
 *
 * A write that is past its deadline is unknown, not failed: it may still happen. Its caller must not count on either.
 */
export interface GuardOptions {
  /** Milliseconds; default 500. */
  readonly deadline?: number;
  /** Operations under way at one time; default 256. One read is a batch of many look-ups. */
  readonly maxUnderWay?: number;
  /** Reads in a row that failed and so open the breaker; default 3. Writes do not count: a full store can still be read. */
  readonly tolerance?: number;
  /** Milliseconds between probes while the breaker is open, plus up to half of it at random; default 300. */
  readonly probeInterval?: number;
}

export interface GuardDeps {
  readonly timers: Timers;
  readonly random: Random;
  /** The breaker opened (with the failure that opened it) or closed. */
  readonly onState: (state: 'down' | 'up', cause?: unknown) => void;
}

export function guardStore(store: SessionStore, options: GuardOptions, deps: GuardDeps): SessionStore {
  const { deadline = 500, maxUnderWay = 256, tolerance = 3, probeInterval = 300 } = options;
  const { timers, random, onState } = deps;
  const { stillHolds } = store;
  let underWay = 0;
  let failures = 0;
  let broken: unknown;
  let closed = false;
  let cancelProbe: (() => void) | null = null;

  const fail = (cause: unknown): void => {
    failures++;
    if (failures < tolerance || broken !== undefined || closed) return;
    broken = cause;
    onState('down', cause);
    scheduleProbe();
  };

  const scheduleProbe = (): void => {
    const jitter = (random.bytes(1).readUInt8() / 512) * probeInterval;
    cancelProbe = timers.after(probeInterval + jitter, () => void probe());
  };

  const probe = async (): Promise<void> => {
    cancelProbe = null;
    try {
      await withDeadline(store.ping());
      broken = undefined;
      failures = 0;
      onState('up');
    } catch {
      if (!closed) scheduleProbe();
    }
  };

  const withDeadline = <T>(operation: MaybePromise<T>): MaybePromise<T> => {
    if (!(operation instanceof Promise)) return operation;
    return new Promise<T>((resolve, reject) => {
      const cancel = timers.after(deadline, () =>
        reject(new StoreUnavailable(`the session store did not answer within ${deadline} ms`)),
      );
      void operation.then(resolve, reject).finally(cancel);
    });
  };

  const run = <T>(operation: () => MaybePromise<T>, isRead = false): MaybePromise<T> => {
    if (broken !== undefined) {
      throw new StoreUnavailable('the session store is down; it is asked again as soon as it answers', {
        cause: broken,
      });
    }
    if (underWay >= maxUnderWay) throw new StoreUnavailable('too much is waiting for the session store');
    let result: MaybePromise<T>;
    try {
      result = operation();
    } catch (error) {
      if (isRead && error instanceof StoreUnavailable) fail(error);
      throw error;
    }
    if (!(result instanceof Promise)) return result;
    underWay++;
    const guarded = withDeadline(result) as Promise<T>;
    return guarded.then(
      (value) => {
        underWay--;
        if (isRead) failures = 0;
        return value;
      },
      (error: unknown) => {
        underWay--;
        if (isRead && error instanceof StoreUnavailable) fail(error);
        throw error;
      },
    );
  };

  return {
    findMany: (keys) => run(() => store.findMany(keys), true),
    ...(stillHolds && { stillHolds: (known) => run(() => stillHolds(known), true) }),
    activityOf: (key) => run(() => store.activityOf(key), true),
    insert: (session) => run(() => store.insert(session)),
    replace: (key, version, next) => run(() => store.replace(key, version, next)),
    touchMany: (touches) => run(() => store.touchMany(touches)),
    delete: (key) => run(() => store.delete(key)),
    listByUser: (userId) => run(() => store.listByUser(userId), true),
    deleteByUser: (userId, except) => run(() => store.deleteByUser(userId, except)),
    sweep: (now, limit) => run(() => store.sweep(now, limit)),
    ping: () => run(() => store.ping(), true),
    close() {
      closed = true;
      cancelProbe?.();
      return store.close();
    },
  };
}
