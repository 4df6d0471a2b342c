import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Timers } from '../lib/timers.ts';

/**
 * Attempts that failed are answered alike in time, so that none of it tells whether somebody is there, disabled or banned.
 * A failure is never answered before `FAILURE_FLOOR` and up to `JITTER` more have passed since the attempt came; one whose
 * secret was not looked at takes as long as one of the last that were, drawn at random. Successes do not wait: what they
 * tell is no secret.
 */
export interface EqualTime {
  begin(): TimedAttempt;
}

/** One of these is called when the attempt is decided. */
export interface TimedAttempt {
  succeeded(): void;
  /** Resolves when a failure may be answered whose secret was looked at. */
  failed(): Promise<void>;
  /** Resolves when a failure may be answered whose secret was not looked at. */
  refused(): Promise<void>;
}

/** Milliseconds, more than a password of common cost takes to be checked. */
export const FAILURE_FLOOR = 250;
/** Milliseconds. */
const JITTER = 85;
/** How many of the last attempts are remembered. */
const SAMPLES = 32;
/** Milliseconds; also what a clock that is set forward can do at most. */
const LONGEST = 10_000;

export function createEqualTime(deps: {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}): EqualTime {
  const { clock, timers, random } = deps;
  const samples: number[] = [];
  let next = 0;

  const pause = (ms: number): Promise<void> =>
    ms > 0 ? new Promise((done) => void timers.after(ms, done)) : Promise.resolve();
  const floor = (): number => FAILURE_FLOOR + ((random.bytes(1)[0] ?? 0) % (JITTER + 1));

  return {
    begin() {
      const start = clock.now();
      const passed = (): number => Math.min(Math.max(clock.now() - start, 0), LONGEST);
      const learn = (): number => {
        const took = passed();
        samples[next++ % SAMPLES] = took;
        return took;
      };
      return {
        succeeded: () => void learn(),
        failed: () => pause(floor() - learn()),
        refused() {
          const sample = samples[(random.bytes(1)[0] ?? 0) % Math.max(samples.length, 1)] ?? 0;
          return pause(Math.max(floor(), sample) - passed());
        },
      };
    },
  };
}
