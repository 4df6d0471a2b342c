import type { MaybePromise } from '../lib/maybe-promise.ts';

/** What is known of a person. `username` is the backend's spelling, never the typed one. */
export interface UserProfile {
  readonly username: string;
  readonly displayName: string;
  readonly emails: readonly string[];
  readonly groups: readonly string[];
}

/** The outcome of a password check. A failure never says why: unknown, disabled and wrong look the same. */
export type PasswordCheck = { readonly status: 'success'; readonly user: UserProfile } | { readonly status: 'failure' };

/**
 * The seam of user backends.
 *
 * `find` answers null for unknown and for disabled people. `checkPassword` costs about the same whether the person
 * exists or not. Both throw `BackendUnavailable` when the backend cannot answer (which is never "wrong password").
 * Names are looked up as typed; the backend decides about letter case and mail addresses.
 */
export interface UserBackend {
  find(name: string): MaybePromise<UserProfile | null>;
  checkPassword(name: string, password: string): Promise<PasswordCheck>;
  /** Reads its source again; keeps the last good state and throws when the source is bad. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

/** The backend (or the queue in front of its work) cannot answer now: 503, try again. */
export class BackendUnavailable extends Error {
  override name = 'BackendUnavailable';
}
