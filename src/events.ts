/**
 * One function for each thing that happens; what becomes of it (a line of the log, a metric, an audit record) stands in
 * `events/event-table.ts`. Nothing here waits for anything, and nothing fails.
 */
import type { TargetRequest } from './decision/target.ts';
import {
  type AuditEntry,
  createEventTable,
  shortened,
  type TableEvents,
  type Told,
} from './events/event-table.ts';
import { createGatewayMetrics, type GatewayMetrics } from './events/gateway-metrics.ts';
import type { Logger } from './lib/logger.ts';
import type { Cell } from './lib/metrics.ts';
import type { MailQueueEvents } from './notifier/mail-queue.ts';
import type { AuditWriter, LostWhy } from './storage/audit-writer.ts';

export interface Events extends MailQueueEvents {
  /** A request passes, and nothing stood in the way: only counted. On the hot path. */
  accessAllowed(isDegraded: boolean): void;
  accessDecided(event: AccessDecided): void;
  passwordChecked(event: {
    readonly username: string;
    readonly ip: string;
    readonly success: boolean;
    /** Default: by form. */
    readonly proof?: 'password' | 'basic';
    /** Nobody has this name: what was typed may be a password. The log has it, for ban tools; the audit log has not. */
    readonly isUnknown?: boolean;
    /** One like it has been recorded lately: the audit log leaves it out. */
    readonly isRepeated?: boolean;
  }): void;
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
  /** Somebody ended sessions of this person; each is told of by `sessionEnded` besides. */
  sessionsRevoked(event: PersonEvent & { readonly count: number; readonly by: 'person' | 'operator' }): void;
  /** A record that was altered, torn or foreign: its cookie is anonymous, the others are untouched. */
  sessionBroken(storeKey: string): void;
  profileNotRefreshed(error: unknown): void;
  /** The session store stopped answering, or answers again. */
  storeIs(state: 'down' | 'up', cause?: unknown): void;
  /** A notice to a person could not be put into the queue of mail. */
  noticeLost(kind: string, error?: unknown): void;
  auditLost(records: number, why: LostWhy, error?: unknown): void;
  /** A new configuration is in force, but for the keys that wait for a restart. */
  reloaded(event: { readonly rules: number; readonly waiting: readonly string[] }): void;
  /** A new configuration is bad; the reasons have been told. */
  reloadRefused(reason: string, error?: unknown): void;
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

/** Outages repeat with every request; one line a second says as much. */
const OUTAGE_STEP = 1000;

export interface EventDeps {
  readonly now: () => number;
  readonly metrics?: GatewayMetrics;
  /** Null, which is the default, where there is no storage. */
  readonly audit?: Pick<AuditWriter, 'write'> | null;
}

export function createEvents(
  logger: Logger,
  { now, metrics = createGatewayMetrics(), audit = null }: EventDeps,
): Events {
  let lastOutage = Number.NEGATIVE_INFINITY;
  const debug = logger.isEnabled('debug');
  const allowed = metrics.decisions.of({ outcome: 'allow' });
  const allowedDegraded = metrics.degradedDecisions.of({});
  const decided = new Map<string, Cell>([['allow', allowed]]);

  const tell = ({ log: [level, fields, message], count = [], set = [], audit: entry }: Told): void => {
    for (const one of count) {
      if ('value' in one) one.value++;
      else one[0].value += one[1];
    }
    for (const [cell, value] of set) cell.value = value;
    logger[level](fields, message);
    if (entry) audit?.write(recordOf(entry, now()));
  };

  const told = Object.fromEntries(
    Object.entries(createEventTable(metrics)).map(([name, describe]) => [
      name,
      (...args: readonly unknown[]) => tell((describe as (...given: readonly unknown[]) => Told)(...args)),
    ]),
    // The table has exactly these names, and each function the parameters of its event.
  ) as unknown as TableEvents;

  return {
    ...told,

    accessAllowed(isDegraded) {
      allowed.value++;
      if (isDegraded) allowedDegraded.value++;
    },

    accessDecided({ outcome, target, peer, reason, error }) {
      let cell = decided.get(outcome);
      if (!cell) decided.set(outcome, (cell = metrics.decisions.of({ outcome })));
      cell.value++;
      if (outcome === 'unavailable') {
        const at = now();
        if (at - lastOutage < OUTAGE_STEP) return;
        lastOutage = at;
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
  };
}

/** As the database takes it: names come from anybody, and may hold what is no text there. */
function recordOf({ event, username = null, ip = null, details = {} }: AuditEntry, at: number) {
  return { at, event, username: username === null ? null : shortened(plain(username)), ip, details };
}

function plain(name: string): string {
  return name.toWellFormed().replaceAll(/\p{Cc}/gu, '\ufffd');
}
