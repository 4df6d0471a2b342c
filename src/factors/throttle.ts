import type { Proof } from '../events.ts';

/**
 * The one throttle on every path that takes a secret: attempts are counted before the secret is looked at, so that bursts
 * at one time and many replicas change nothing. Throws `StorageUnavailable` when it cannot count: then nothing is tried.
 */
export interface Throttle {
  /** Counts an attempt. 'banned': the secret must not be looked at; to the person it looks like a wrong one. */
  begin(attempt: ThrottledAttempt): Promise<CountedAttempt | 'banned'>;
}

export interface ThrottledAttempt {
  /** The backend's spelling where the person is known, what was typed where not. */
  readonly username: string;
  readonly ip: string;
  readonly proof: Proof;
}

/** Exactly one of these ends an attempt. None of them throws. */
export interface CountedAttempt {
  succeeded(): Promise<void>;
  failed(): Promise<void>;
  /** The secret could not be checked, as a backend did not answer: as if nothing had been tried. */
  takeBack(): Promise<void>;
}

/** `server.endpoints.rate_limits`: how often an address may ask, in all replicas together. */
export interface RateLimits {
  /** Null when there is room, else the milliseconds until there is. Throws `StorageUnavailable`. */
  take(route: LimitedRoute, ip: string): Promise<number | null>;
}

export type LimitedRoute =
  | 'reset_password_start'
  | 'reset_password_finish'
  | 'second_factor_totp'
  | 'session_elevation_start'
  | 'session_elevation_finish';
