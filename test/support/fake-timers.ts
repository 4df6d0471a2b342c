import type { Timers } from '../../src/lib/timers.ts';

/** Timers that stand still until somebody turns them on. */
export function fakeTimers(): Timers & { advance(ms: number): void; readonly pending: number } {
  let now = 0;
  const waiting = new Set<{ at: number; run: () => void }>();
  return {
    after(ms, run) {
      const timer = { at: now + ms, run };
      waiting.add(timer);
      return () => waiting.delete(timer);
    },
    advance(ms) {
      now += ms;
      for (const timer of [...waiting].sort((a, b) => a.at - b.at)) {
        if (timer.at <= now && waiting.delete(timer)) timer.run();
      }
    },
    get pending() {
      return waiting.size;
    },
  };
}

/**
 * Timers that are up at once, in their order; `waits` notes for how long they were set. Those of `longest` milliseconds and
 * more are never up.
 */
export function immediateTimers(longest = Infinity): Timers & { readonly waits: readonly number[] } {
  const waits: number[] = [];
  return {
    waits,
    after(ms, run) {
      if (ms >= longest) return () => {};
      waits.push(ms);
      const timer = setImmediate(run);
      return () => clearImmediate(timer);
    },
  };
}
