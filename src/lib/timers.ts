/** Timers as an input, so that whatever waits can be tested without waiting. */
export interface Timers {
  /** Calls `run` once after `ms` milliseconds, unless the function that it returns was called before. */
  after(ms: number, run: () => void): () => void;
}

/** The real ones. A timer that is pending does not keep the process alive. */
export const systemTimers: Timers = {
  after(ms, run) {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
