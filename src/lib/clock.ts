/** The only place that reads the clocks of the machine. Everything else takes a Clock or a Stopwatch. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** For how long something takes. */
export interface Stopwatch {
  /** Milliseconds since some moment, with fractions; never goes back. */
  now(): number;
}

export const systemStopwatch: Stopwatch = { now: () => performance.now() };
