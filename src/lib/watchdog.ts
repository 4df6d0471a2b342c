/**
 * Ends the process when its event loop stands still: whoever supervises it can only restart what is gone, and a proxy
 * denies quickly what does not answer at all.
 *
 * A thread counts its own ticks against the beats of the main loop. Both stand still while the process is stopped or
 * the machine sleeps, so that is no alarm; nor is a debugger, at whose breakpoints a loop may stand.
 */
import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import type { Logger } from './logger.ts';
import { threadUrl } from './thread.ts';

/** The exit code of a process that was ended for this: EX_SOFTWARE of sysexits.h. */
export const watchdogExitCode = 70;

const tickMs = 100;

/** What the thread is started with. */
export interface WatchdogData {
  /** How often the main loop turned, and whether a debugger is attached to it (1). */
  readonly beats: Int32Array;
  readonly tickMs: number;
  /** Ticks without a beat that are too many. */
  readonly limit: number;
  readonly exitCode: number;
}

export interface Watchdog {
  /** Resolves when the thread has ended. */
  stop(): Promise<void>;
}

/**
 * Watches the calling thread's event loop, which must be that of the main thread. After `limitMs` without a turn it
 * writes one line to standard error and ends the process with exit code 70; where even that is not possible, by SIGKILL
 * 1.5 seconds later. Keeps no process alive.
 */
export function startWatchdog({ limitMs }: { limitMs: number }, { logger }: { logger: Logger }): Watchdog {
  const beats = new Int32Array(new SharedArrayBuffer(8));
  const beat = (): void => {
    Atomics.store(beats, 1, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(beats, 0, 1);
  };
  beat();
  const timer = setInterval(beat, tickMs).unref();
  const workerData: WatchdogData = {
    beats,
    tickMs,
    limit: Math.max(1, Math.ceil(limitMs / tickMs)),
    exitCode: watchdogExitCode,
  };
  const thread = new Worker(threadUrl('watchdog-thread', import.meta.url), {
    workerData,
    name: 'watchdog',
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
  });
  thread.unref();
  thread.on('error', (error) =>
    logger.error({ error }, 'The watchdog has failed: a standstill will go unnoticed'),
  );
  return {
    async stop() {
      clearInterval(timer);
      await thread.terminate();
    },
  };
}
