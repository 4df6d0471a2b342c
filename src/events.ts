import type { TargetRequest } from './decision/target.ts';
import type { Logger } from './lib/logger.ts';
import type { MailQueueEvents } from './notifier/mail-queue.ts';

/** One function for each thing that happens: what is logged of it, in one place. */
export interface Events extends MailQueueEvents {
  accessDecided(event: AccessDecided): void;
  passwordChecked(event: { readonly username: string; readonly ip: string; readonly success: boolean }): void;
  /** A proof other than the password at sign-in was given: a second factor, a code, the old password. */
  proofChecked(
    event: PersonEvent & { readonly proof: Proof; readonly success: boolean; readonly reason?: string },
  ): void;
  /** An attempt was refused before its secret was looked at. */
  attemptRefused(event: PersonEvent & { readonly proof: Proof; readonly why: 'banned' | 'rate-limit' }): void;
  banned(event: {
    readonly kind: 'user' | 'ip';
    readonly subject: string;
    readonly until: number | null;
  }): void;
  factorAdded(event: PersonEvent & { readonly factor: 'totp' }): void;
  factorRemoved(event: PersonEvent & { readonly factor: 'totp' }): void;
  recoveryCodesMade(event: PersonEvent): void;
  recoveryCodeUsed(event: PersonEvent & { readonly left: number }): void;
  passwordChanged(event: PersonEvent & { readonly how: 'change' | 'reset' }): void;
  /** The link was asked for; not whether it was sent. */
  resetRequested(event: PersonEvent): void;
  elevated(event: PersonEvent): void;
  signedIn(
    event: PersonEvent & { readonly session: string; readonly device: 'first' | 'new' | 'known' | null },
  ): void;
  sessionEnded(event: { readonly publicId: string; readonly userId: string; readonly reason: string }): void;
  /** A record that was altered, torn or foreign: its cookie is anonymous, the others are untouched. */
  sessionBroken(storeKey: string): void;
  profileNotRefreshed(error: unknown): void;
  /** The session store stopped answering, or answers again. */
  storeIs(state: 'down' | 'up', cause?: unknown): void;
}

/** Somebody, and the address from which he came; null where nobody came over the network. */
export interface PersonEvent {
  /** The backend's spelling where the person is known, what was typed where not. */
  readonly username: string;
  readonly ip: string | null;
}

/** What a person shows to prove who he is. */
export type Proof =
  | 'password'
  | 'basic'
  | 'totp'
  | 'recovery-code'
  | 'elevation-code'
  | 'old-password'
  | 'reset-link';

export interface AccessDecided {
  readonly outcome: string;
  readonly target: TargetRequest | null;
  readonly peer: string;
  readonly reason?: string;
  readonly error?: unknown;
}

/** Characters. A name comes from anybody. */
const NAME_LIMIT = 256;
/** Outages repeat with every request; one line a second says as much. */
const OUTAGE_STEP = 1000;

export function createEvents(logger: Logger, deps: { readonly now: () => number }): Events {
  let lastOutage = Number.NEGATIVE_INFINITY;
  const debug = logger.isEnabled('debug');

  return {
    accessDecided({ outcome, target, peer, reason, error }) {
      if (outcome === 'unavailable') {
        const now = deps.now();
        if (now - lastOutage < OUTAGE_STEP) return;
        lastOutage = now;
        logger.error(
          { error, peer },
          'authorization is unavailable: a store or user backend does not answer',
        );
      } else if (outcome === 'untrusted-peer') {
        logger.warn(
          { peer },
          'a peer that is no trusted proxy asked for an authorization (server.trusted_proxies)',
        );
      } else if (debug && outcome !== 'allow') {
        const { method, ip, url } = target ?? {};
        // The query may hold secrets of the application.
        const asked = url && `${url.scheme}://${url.host}${url.readings[0]}`;
        logger.debug({ outcome, reason, method, url: asked, remote_ip: ip, peer }, 'access decided');
      }
    },

    passwordChecked({ username: typed, ip, success }) {
      const username = shortened(typed);
      if (success) {
        logger.info(
          { username, remote_ip: ip },
          `Successful 1FA authentication attempt made by user '${username}'`,
        );
      } else {
        logger.error(
          { username, remote_ip: ip },
          `Unsuccessful 1FA authentication attempt by user '${username}'`,
        );
      }
    },

    proofChecked({ username, ip, proof, success, reason }) {
      const fields = { username: shortened(username), remote_ip: ip, proof, ...(reason && { reason }) };
      if (success) logger.info(fields, 'a proof held');
      else logger.error(fields, 'a proof did not hold');
    },

    attemptRefused({ username, ip, proof, why }) {
      logger.warn(
        { username: shortened(username), remote_ip: ip, proof, why },
        'an attempt was refused unseen',
      );
    },

    banned({ kind, subject, until }) {
      logger.warn({ kind, subject: shortened(subject), until }, 'too many attempts: banned');
    },

    factorAdded({ username, ip, factor }) {
      logger.info({ username, remote_ip: ip, factor }, 'a factor was added');
    },

    factorRemoved({ username, ip, factor }) {
      logger.info({ username, remote_ip: ip, factor }, 'a factor was removed');
    },

    recoveryCodesMade({ username, ip }) {
      logger.info({ username, remote_ip: ip }, 'new recovery codes were made');
    },

    recoveryCodeUsed({ username, ip, left }) {
      logger.info({ username, remote_ip: ip, left }, 'a recovery code was used');
    },

    passwordChanged({ username, ip, how }) {
      logger.info({ username, remote_ip: ip, how }, 'a password was changed');
    },

    resetRequested({ username, ip }) {
      logger.info({ username: shortened(username), remote_ip: ip }, 'a password reset was asked for');
    },

    elevated({ username, ip }) {
      logger.info({ username, remote_ip: ip }, 'a session was elevated');
    },

    signedIn({ username, ip, session, device }) {
      logger.info({ username, remote_ip: ip, session, device }, 'signed in');
    },

    sessionEnded({ publicId, userId, reason }) {
      logger.info({ session: publicId, username: userId, reason }, 'session ended');
    },

    sessionBroken(storeKey) {
      logger.error({ record: storeKey }, 'a session record is corrupt; its cookie counts as anonymous');
    },

    mailSent({ id, kind, attempts }) {
      logger.info({ mail: id, kind, attempts }, 'a mail was sent');
    },

    mailPostponed({ id, kind, attempts }, error) {
      logger.warn({ mail: id, kind, attempts, error }, 'a mail could not be sent yet');
    },

    mailDropped(facts, reason, error) {
      const { id, ...rest } = facts;
      const kind = 'kind' in rest ? rest.kind : null;
      logger.error({ mail: id, kind, reason, error }, 'a mail was dropped');
    },

    mailServerIs(state, cause) {
      if (state === 'down')
        logger.error({ error: cause }, 'the notifier does not take mail; it waits in the queue');
      else logger.info({}, 'the notifier takes mail again');
    },

    mailQueueFailed(error) {
      logger.error({ error }, 'the queue of mail cannot be read; what is in it is sent later');
    },

    storeIs(state, cause) {
      if (state === 'down')
        logger.error({ error: cause }, 'the session store is down; visitors are told to come again');
      else logger.info({}, 'the session store answers again');
    },

    profileNotRefreshed(error) {
      logger.warn({ error }, 'a profile could not be read again; the session goes on with what is known');
    },
  };
}

function shortened(name: string): string {
  return name.length > NAME_LIMIT ? `${name.slice(0, NAME_LIMIT)}…` : name;
}
