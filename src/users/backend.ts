import type { MaybePromise } from '../lib/maybe-promise.ts';

/** What is known of a person. `username` is the backend's spelling, never the typed one. */
export interface UserProfile {
  readonly username: string;
  readonly displayName: string;
  readonly emails: readonly string[];
  readonly groups: readonly string[];
}

/** The outcome of a password check. A failure never says why: unknown, disabled and wrong look the same. */
export type PasswordCheck =
  | { readonly status: 'success'; readonly user: UserProfile }
  | { readonly status: 'failure' };

/** The outcome of setting a password. */
export type PasswordChange =
  | { readonly status: 'changed' }
  /** Nobody of this name, or somebody who is disabled. */
  | { readonly status: 'unknown' }
  /** The backend takes no such password; the reason is a sentence for the person, without the password. */
  | { readonly status: 'refused'; readonly reason: string };

/**
 * The seam of user backends.
 *
 * `client` says who asks, so that one who asks much does not make others wait.
 * `find` answers null for unknown and for disabled people. `checkPassword` costs about the same whether the person
 * exists or not. Both throw `BackendUnavailable` when the backend cannot answer (which is never "wrong password"); so
 * does every call after `close`.
 * Names are looked up as typed; the backend decides about letter case and mail addresses. Passwords are compared as
 * typed, never trimmed nor normalised; one that cannot be anybody's (`isPossiblePassword`) fails without being tried.
 */
export interface UserBackend {
  find(name: string): MaybePromise<UserProfile | null>;
  checkPassword(name: string, password: string, client?: string): Promise<PasswordCheck>;
  /**
   * Gives the person a new password; absent where a backend cannot write. `username` is the backend's own spelling.
   * After 'changed' it is written for good: this process answers by it at once, and the old password fails. Several
   * writers, in other processes too, lose nothing of each other. Whether the old password is known and the new one good
   * enough is asked before. Throws `BackendUnavailable`, naming the mend, when it cannot be written; nothing has changed then.
   */
  readonly setPassword?: (username: string, password: string, client?: string) => Promise<PasswordChange>;
  /**
   * A text that is another one once the person's password is another; null for nobody. For comparing only: whoever
   * remembers that a password was right asks whether it still may be. What `setPassword` of this process has written is
   * told at once, what another has, within two seconds, or at once where `as` is 'now'. Absent where a backend cannot tell.
   */
  readonly passwordMark?: (username: string, as?: 'lately' | 'now') => MaybePromise<string | null>;
  /** Reads its source again; keeps the last good state and throws when the source is bad. */
  reload(): Promise<void>;
  /** Lets go of everything it holds. May be called twice. */
  close(): Promise<void>;
}

/** The backend (or the queue in front of its work) cannot answer now: 503, try again. */
export class BackendUnavailable extends Error {
  override name = 'BackendUnavailable';
}

/** The longest password that is tried, in bytes of UTF-8: room for 256 characters of any script. */
export const MAX_PASSWORD_BYTES = 1024;

/**
 * Whether a text can be somebody's password at all: not empty, at most `MAX_PASSWORD_BYTES`, and well-formed Unicode
 * (a lone surrogate has no UTF-8 form of its own, so two different texts would become one password).
 */
export function isPossiblePassword(password: string): boolean {
  return password !== '' && password.isWellFormed() && Buffer.byteLength(password) <= MAX_PASSWORD_BYTES;
}
