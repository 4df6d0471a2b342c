import { setTimeout as pause } from 'node:timers/promises';

const STEP_MS = 15;

/**
 * Tries until something other than undefined comes out. Errors of an attempt count as "not yet"; the last one is the
 * cause when `deadlineMs` has passed.
 */
export async function eventually<T>(
  what: string,
  deadlineMs: number,
  attempt: () => Promise<T | undefined> | T | undefined,
  stepMs = STEP_MS,
): Promise<T> {
  const start = performance.now();
  let cause: unknown;
  do {
    try {
      const result = await attempt();
      if (result !== undefined) return result;
    } catch (error) {
      cause = error;
    }
    await pause(stepMs);
  } while (performance.now() - start < deadlineMs);
  throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause });
}
