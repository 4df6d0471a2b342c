import { Worker } from 'node:worker_threads';
import { threadUrl } from '../lib/thread.ts';
import type { Timers } from '../lib/timers.ts';

/**
 * How hard a password is to guess, by zxcvbn: 0 (guessed at once) to 4 (strong). The estimate runs on one thread of its
 * own, which starts at first need and ends when it has not been needed for a minute: its dictionaries hold tens of
 * megabytes. One estimate at a time, in the order in which they came.
 */
export interface PasswordStrength {
  /**
   * The score. `about` are texts that somebody who knows the person would try first: names, mail addresses.
   * Throws `StrengthUnavailable` when too many wait or it took too long.
   */
  score(password: string, about: readonly string[]): Promise<number>;
  close(): Promise<void>;
}

/** No estimate now: 503, try again. A password is never taken without one. */
export class StrengthUnavailable extends Error {
  override name = 'StrengthUnavailable';
}

/** What the thread is asked. */
export interface StrengthJob {
  readonly password: string;
  readonly about: readonly string[];
}

interface Waiting extends StrengthJob {
  readonly resolve: (score: number) => void;
  readonly reject: (cause: Error) => void;
}

/** So many wait at most, the one under way included. */
const MAX_WAITING = 50;

/** For one estimate, the start of the thread included, in milliseconds. */
const DEADLINE = 10_000;

/** Milliseconds. */
const IDLE_TIME = 60_000;

export interface PasswordStrengthDeps {
  readonly timers: Timers;
  /** Default: a worker thread of `password-strength-thread.ts`. */
  readonly startThread?: () => StrengthThread;
}

/** What is needed of a `Worker`. */
export interface StrengthThread {
  postMessage(job: StrengthJob, transfer: readonly []): void;
  on(event: 'message', listener: (score: number) => void): unknown;
  on(event: 'error', listener: (cause: unknown) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
  ref(): void;
  unref(): void;
  terminate(): Promise<unknown>;
}

export function openPasswordStrength({
  timers,
  startThread = startWorker,
}: PasswordStrengthDeps): PasswordStrength {
  const waiting: Waiting[] = [];
  let thread: StrengthThread | undefined;
  let cancelTimer: () => void = () => undefined;
  let closed = false;

  /** Lets the thread go; whoever is being answered hears of it. */
  const drop = (cause?: StrengthUnavailable): Promise<unknown> => {
    const dropped = thread;
    thread = undefined;
    cancelTimer();
    if (cause) waiting.shift()?.reject(cause);
    return dropped?.terminate() ?? Promise.resolve();
  };

  const fail = (message: string, cause?: unknown): void => {
    void drop(new StrengthUnavailable(message, { cause }));
    next();
  };

  const start = (): StrengthThread => {
    const started = startThread();
    started.on('message', (score) => {
      if (thread !== started) return;
      cancelTimer();
      waiting.shift()?.resolve(score);
      next();
    });
    started.on('error', (cause) => {
      if (thread === started) fail('the thread that estimates passwords has failed', cause);
    });
    started.on('exit', () => {
      if (thread === started) fail('the thread that estimates passwords has ended');
    });
    return started;
  };

  /** Begins with the first of those who wait; without any, the thread's idle time begins. */
  const next = (): void => {
    const [job] = waiting;
    if (!job) {
      thread?.unref();
      if (thread) cancelTimer = timers.after(IDLE_TIME, () => void drop());
      return;
    }
    thread ??= start();
    thread.ref();
    cancelTimer = timers.after(DEADLINE, () => {
      fail(`a password could not be estimated within ${DEADLINE} ms`);
    });
    thread.postMessage({ password: job.password, about: job.about }, []);
  };

  return {
    score(password, about) {
      if (closed) return Promise.reject(new StrengthUnavailable('the estimate of passwords has been closed'));
      if (waiting.length >= MAX_WAITING) {
        return Promise.reject(
          new StrengthUnavailable(
            `${waiting.length} passwords wait to be estimated already; try again later`,
          ),
        );
      }
      return new Promise((resolve, reject) => {
        waiting.push({ password, about, resolve, reject });
        if (waiting.length === 1) {
          cancelTimer();
          next();
        }
      });
    },

    async close() {
      closed = true;
      const left = waiting.splice(0);
      for (const { reject } of left)
        reject(new StrengthUnavailable('the estimate of passwords has been closed'));
      await drop();
    },
  };
}

function startWorker(): StrengthThread {
  return new Worker(threadUrl('password-strength-thread', import.meta.url));
}
