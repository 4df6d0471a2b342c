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
