import type { Timers } from './timers.ts';

/** Work that nobody waits for: it begins after the answer that caused it, and is finished before the process ends. */
export interface BackgroundJobs {
  /** Begins the job `delay` milliseconds from now. False, and nothing happens, when too many are under way already. */
  start(delay: number, job: () => Promise<void>): boolean;
  /** Begins at once what still waits, takes up nothing more, and resolves when everything has ended. */
  close(): Promise<void>;
}

interface BackgroundJobsDeps {
  readonly timers: Timers;
  /** A job has thrown. */
  readonly onFailure: (error: unknown) => void;
  /** How many may be waiting or running; default 200. */
  readonly limit?: number;
}

export function createBackgroundJobs({ timers, onFailure, limit = 200 }: BackgroundJobsDeps): BackgroundJobs {
  const waiting = new Set<() => void>();
  const running = new Set<Promise<void>>();
  let isClosed = false;

  const run = (job: () => Promise<void>): void => {
    const task = job()
      .catch(onFailure)
      .finally(() => running.delete(task));
    running.add(task);
  };

  return {
    start(delay, job) {
      if (isClosed || waiting.size + running.size >= limit) return false;
      const begin = (): void => {
        cancel();
        if (waiting.delete(begin)) run(job);
      };
      waiting.add(begin);
      const cancel = timers.after(delay, begin);
      return true;
    },

    async close() {
      isClosed = true;
      for (const begin of waiting) begin();
      await Promise.all(running);
    },
  };
}
