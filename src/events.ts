import type { TargetRequest } from './decision/target.ts';
import type { Logger } from './lib/logger.ts';

/** One function for each thing that happens: what is logged of it, in one place. */
export interface Events {
  accessDecided(event: AccessDecided): void;
  passwordChecked(event: { readonly username: string; readonly ip: string; readonly success: boolean }): void;
  sessionEnded(event: { readonly publicId: string; readonly userId: string; readonly reason: string }): void;
  /** A record that was altered, torn or foreign: its cookie is anonymous, the others are untouched. */
  sessionBroken(storeKey: string): void;
  profileNotRefreshed(error: unknown): void;
  /** The session store stopped answering, or answers again. */
  storeIs(state: 'down' | 'up', cause?: unknown): void;
}

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
      const username = typed.length > NAME_LIMIT ? `${typed.slice(0, NAME_LIMIT)}…` : typed;
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

    sessionEnded({ publicId, userId, reason }) {
      logger.info({ session: publicId, username: userId, reason }, 'session ended');
    },

    sessionBroken(storeKey) {
      logger.error({ record: storeKey }, 'a session record is corrupt; its cookie counts as anonymous');
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
