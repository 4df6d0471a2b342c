/** How long sessions live: pure, and the only judge. A store's own expiry is only cleaning up. */

/** Milliseconds. */
export interface Lifetimes {
  /** Absolute, from the first factor; neither activity nor a second factor prolongs it. */
  readonly expiration: number;
  /** Slides with activity; not asked of a remembered session. */
  readonly inactivity: number;
  /** Absolute, in the place of `expiration`, for people who asked to be remembered. Negative: switched off. */
  readonly rememberMe: number;
}

export interface SessionTimes {
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastActivity: number;
  readonly remembered: boolean;
}

/** The absolute end of a session that begins now. */
export function absoluteEnd(lifetimes: Lifetimes, createdAt: number, remembered: boolean): number {
  return createdAt + (remembered && lifetimes.rememberMe >= 0 ? lifetimes.rememberMe : lifetimes.expiration);
}

/**
 * Whether a session is alive at `now`. Lifetimes that were shortened since it began hold at once, and with "remember me"
 * switched off a remembered session counts as an ordinary one.
 */
export function isAlive(times: SessionTimes, lifetimes: Lifetimes, now: number): boolean {
  const remembered = times.remembered && lifetimes.rememberMe >= 0;
  if (now >= Math.min(times.expiresAt, absoluteEnd(lifetimes, times.createdAt, remembered))) return false;
  return remembered || now - times.lastActivity <= lifetimes.inactivity;
}
