/**
 * Where the queue keeps its messages, as narrow as it can be; implemented in `storage/`, which does not know this folder.
 *
 * Times are milliseconds since the epoch, by the clock of the caller. Every method is one atomic step, also between
 * processes, and throws when it cannot know that it succeeded. The payload is opaque and secret (a mail holds codes and
 * links), up to 1 MiB of text.
 */
export interface MailQueueStore {
  /**
   * Adds a message, due at `nextAttempt`; with a lease it is the caller's at once, and its first attempt counted. Answers
   * false, and adds nothing, when `limit` messages are there already (a few more may pass when many come in together).
   */
  insert(mail: StoredMail, limit: number, lease?: MailLease): Promise<boolean>;
  /**
   * Takes up to `count` messages that are due at `now` and under no lease that is in force at `now`, those due longest
   * first. Each is under the given lease then, one attempt is added to its count, and until the lease ends no other call
   * gets it.
   */
  claim(lease: MailLease, now: number, count: number): Promise<readonly ClaimedMail[]>;
  /** Lets a message go until `nextAttempt`. False, and nothing is changed, when it is not under a lease with this token. */
  postpone(id: string, token: string, nextAttempt: number): Promise<boolean>;
  /** Removes a message. False, and nothing is changed, when it is not under a lease with this token. */
  delete(id: string, token: string): Promise<boolean>;
}

export interface StoredMail {
  /** At most 64 letters, digits and dashes; never used twice. */
  readonly id: string;
  readonly payload: string;
  readonly nextAttempt: number;
  /** The end of its useful life. The store does not act on it; whoever claims the message does. */
  readonly expiresAt: number;
}

export interface ClaimedMail {
  readonly id: string;
  readonly payload: string;
  readonly expiresAt: number;
  /** How often it was claimed, this time included; from 1. */
  readonly attempts: number;
}

/** The right to work on a message for a while. */
export interface MailLease {
  /** At most 64 characters, never used for two claims. */
  readonly token: string;
  /** From then on others may have the message. */
  readonly until: number;
}
