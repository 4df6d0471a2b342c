/** Serialises work: jobs that share a key run one after another in the order in which they were asked for, others at once. */
export interface Turns {
  /** Runs the job when all earlier ones with any of these keys are done, failed ones too; answers what it answers. */
  take<T>(keys: readonly string[], job: () => Promise<T>): Promise<T>;
  /** Resolves when the jobs that were asked for so far are done. */
  settled(): Promise<void>;
}

export function createTurns(): Turns {
  /** By key: the end of the last job that was asked for. Such a promise never rejects. */
  const last = new Map<string, Promise<void>>();
  return {
    async take(keys, job) {
      const earlier = keys.map((key) => last.get(key)).filter((promise) => promise !== undefined);
      const { promise, resolve } = Promise.withResolvers<void>();
      for (const key of keys) last.set(key, promise);
      try {
        await Promise.all(earlier);
        return await job();
      } finally {
        for (const key of keys) if (last.get(key) === promise) last.delete(key);
        resolve();
      }
    },

    async settled() {
      await Promise.all(last.values());
    },
  };
}
