import { availableParallelism } from 'node:os';
import type { Timers } from '../lib/timers.ts';
import { BackendUnavailable } from './backend.ts';

/**
 * The queue in front of everything that hashes passwords. It bounds the memory that hashing takes at one time, however
 * many people sign in at once, and says so in time when it cannot keep up. The hashes themselves run on other threads
 * (libuv's pool, or those of `digest-threads.ts`); nothing here hashes.
 */
export interface HashQueue {
  /**
   * Runs `job`, which will hold `memory` bytes while it runs, when its turn comes. Owners take turns, each owner's jobs in
   * the order in which they came: somebody who sends many makes his own wait, not those of others.
   * Throws `BackendUnavailable` when the queue or the owner's share of it is full, or when the turn did not come before
   * the deadline; the job has then not been started. A started job is never given up.
   */
  run<T>(memory: number, job: () => Promise<T>, owner?: string): Promise<T>;
}

const MIB = 1024 * 1024;

/** What running hashes may hold together: 512 MiB, eight hashes of Argon2's default cost. */
export const HASH_MEMORY_BUDGET = 512 * MIB;

/** What one hash holds at the default parameters of Argon2: 64 MiB. */
export const DEFAULT_HASH_MEMORY = 64 * MIB;

/**
 * How many hashes run at a time: as many as there are cores, but no more than fit into the memory budget, at least one.
 * `bin/sallyport` gives libuv's pool this number of threads and 8 more.
 */
export function hashConcurrency(
  cores: number = availableParallelism(),
  memory: number = DEFAULT_HASH_MEMORY,
): number {
  return Math.max(1, Math.min(cores, Math.floor(HASH_MEMORY_BUDGET / memory)));
}

export interface HashQueueOptions {
  /** Hashes at a time; default `hashConcurrency()`. */
  readonly concurrency?: number;
  /** Bytes; default `HASH_MEMORY_BUDGET`. A job that needs more than all of it runs alone. */
  readonly budget?: number;
  /** How many may wait; default 1,000. */
  readonly maxWaiting?: number;
  /** How many of one owner may wait; default 250. */
  readonly maxWaitingEach?: number;
  /** How long one may wait for its turn, in milliseconds; default 5,000. */
  readonly deadline?: number;
}

interface Waiting {
  readonly memory: number;
  readonly start: () => void;
  readonly cancelDeadline: () => void;
}

export function openHashQueue(options: HashQueueOptions, deps: { readonly timers: Timers }): HashQueue {
  const { concurrency = hashConcurrency(), budget = HASH_MEMORY_BUDGET } = options;
  const { maxWaiting = 1_000, maxWaitingEach = 250, deadline = 5_000 } = options;
  // By owner, whoever is next first. Sets keep the order of arrival and let go of a job in the middle at no cost.
  const waiting = new Map<string, Set<Waiting>>();
  let waitingInAll = 0;
  let running = 0;
  let held = 0;

  const hasRoom = (memory: number): boolean =>
    running === 0 || (running < concurrency && held + memory <= budget);

  const add = (owner: string, entry: Waiting): void => {
    const own = waiting.get(owner);
    if (own) own.add(entry);
    else waiting.set(owner, new Set([entry]));
    waitingInAll += 1;
  };

  const remove = (owner: string, entry: Waiting): void => {
    const own = waiting.get(owner);
    if (!own?.delete(entry)) return;
    waitingInAll -= 1;
    if (own.size === 0) waiting.delete(owner);
  };

  const startNext = (): void => {
    for (const [owner, own] of waiting) {
      const [next] = own;
      if (!next || !hasRoom(next.memory)) return;
      remove(owner, next);
      // To the end of the line, behind everybody else who waits.
      if (own.size > 0) {
        waiting.delete(owner);
        waiting.set(owner, own);
      }
      next.cancelDeadline();
      next.start();
    }
  };

  const perform = async <T>(memory: number, job: () => Promise<T>): Promise<T> => {
    running += 1;
    held += memory;
    try {
      return await job();
    } finally {
      running -= 1;
      held -= memory;
      startNext();
    }
  };

  return {
    run<T>(memory: number, job: () => Promise<T>, owner = ''): Promise<T> {
      if (waitingInAll === 0 && hasRoom(memory)) return perform(memory, job);
      if (waitingInAll >= maxWaiting || (waiting.get(owner)?.size ?? 0) >= maxWaitingEach) {
        return Promise.reject(
          new BackendUnavailable(`${waitingInAll} password checks are waiting already; try again later`),
        );
      }
      return new Promise<T>((resolve, reject) => {
        const entry: Waiting = {
          memory,
          start: () => void perform(memory, job).then(resolve, reject),
          cancelDeadline: deps.timers.after(deadline, () => {
            remove(owner, entry);
            reject(
              new BackendUnavailable(`no turn to check a password within ${deadline} ms; try again later`),
            );
            // What stood behind a job too large for the room that is left may fit.
            startNext();
          }),
        };
        add(owner, entry);
      });
    },
  };
}
