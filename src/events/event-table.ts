import type { Events, PersonEvent, Proof } from '../events.ts';
import type { LogLevel } from '../lib/logger.ts';
import type { Cell } from '../lib/metrics.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';

/** What is made of an event: a line of the log, additions to counters, states, and a record for the audit log. */
export interface Told {
  readonly log: readonly [level: LogLevel, fields: Readonly<Record<string, unknown>>, message: string];
  readonly count?: readonly (Cell | readonly [Cell, number])[];
  readonly set?: readonly (readonly [Cell, number])[];
  readonly audit?: AuditEntry;
}

/** No secrets, and nothing that anybody can write in any number without being banned for it. */
export interface AuditEntry {
  readonly event: AuditEvent;
  readonly username?: string | null;
  readonly ip?: string | null;
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
}

export type AuditEvent =
  | 'login.succeeded'
  | 'proof.succeeded'
  | 'proof.failed'
  | 'ban.added'
  | 'ban.revoked'
  | 'factor.added'
  | 'factor.removed'
  | 'recovery-codes.made'
  | 'recovery-code.used'
  | 'password.changed'
  | 'reset.requested'
  | 'elevation.granted'
  | 'session.ended'
  | 'sessions.revoked'
  | 'configuration.reloaded'
  | 'configuration.refused';

/** Events of which nothing but this table is told. */
export type TableEvents = Omit<Events, 'accessDecided' | 'accessAllowed'>;

type Table = { readonly [E in keyof TableEvents]: (...args: Parameters<TableEvents[E]>) => Told };

/** Characters. A name comes from anybody. */
const NAME_LIMIT = 250;

export function createEventTable(metrics: GatewayMetrics): Table {
  const changed = (change: string): Cell => metrics.accountChanges.of({ change });

  /** Authelia's counters know passwords and second factors only. */
  const tried = (proof: Proof, success: boolean, banned = false): readonly Cell[] => {
    const labels = { success: String(success), banned: String(banned) };
    if (proof === 'password' || proof === 'basic') return [metrics.authn.of(labels)];
    if (proof === 'totp' || proof === 'recovery-code')
      return [metrics.secondFactors.of({ ...labels, type: proof })];
    return [];
  };

  const shown = (proof: Proof, success: boolean): readonly Cell[] => [
    metrics.proofs.of({ proof, success: String(success) }),
    ...tried(proof, success),
  ];

  /** What a person did with the account. */
  const deed = (
    { username, ip }: PersonEvent,
    event: AuditEvent,
    change: string,
    message: string,
    details: NonNullable<AuditEntry['details']> = {},
  ): Told => ({
    log: ['info', { username: shortened(username), remote_ip: ip, ...details }, message],
    count: [changed(change)],
    audit: { event, username, ip, details },
  });

  return {
    passwordChecked({
      username: typed,
      ip,
      success,
      proof = 'password',
      isUnknown = false,
      isRepeated = false,
    }) {
      const username = shortened(typed);
      const fields = { username, remote_ip: ip };
      const count = shown(proof, success);
      // A success of Basic comes with each request; sessions that begin are records of their own.
      if (success)
        return {
          log: ['info', fields, `Successful 1FA authentication attempt made by user '${username}'`],
          count,
        };
      return {
        log: ['error', fields, `Unsuccessful 1FA authentication attempt by user '${username}'`],
        count,
        ...(!isRepeated && {
          audit: { event: 'proof.failed', username: isUnknown ? null : username, ip, details: { proof } },
        }),
      };
    },

    proofChecked({ username, ip, proof, success, reason }) {
      const details = { proof, ...(reason !== undefined && { reason }) };
      return {
        log: [
          success ? 'info' : 'error',
          { username: shortened(username), remote_ip: ip, ...details },
          success ? 'a proof held' : 'a proof did not hold',
        ],
        count: shown(proof, success),
        ...(!(success && proof === 'basic') && {
          audit: { event: success ? 'proof.succeeded' : 'proof.failed', username, ip, details },
        }),
      };
    },

    attemptRefused: ({ username, ip, proof, why }) => ({
      log: [
        'warn',
        { username: shortened(username), remote_ip: ip, proof, why },
        'an attempt was refused unseen',
      ],
      count: [metrics.refusals.of({ proof, why }), ...(why === 'banned' ? tried(proof, false, true) : [])],
    }),

    banned: ({ kind, subject, until }) => ({
      log: ['warn', { kind, subject: shortened(subject), until }, 'too many attempts: banned'],
      count: [metrics.bans.of({ kind })],
      audit: {
        event: 'ban.added',
        ...(kind === 'user' ? { username: subject } : { ip: subject }),
        details: { kind, until },
      },
    }),

    factorAdded: ({ factor, ...person }) =>
      deed(person, 'factor.added', 'factor-added', 'a factor was added', { factor }),

    factorRemoved: ({ factor, ...person }) =>
      deed(person, 'factor.removed', 'factor-removed', 'a factor was removed', { factor }),

    recoveryCodesMade: (person) =>
      deed(person, 'recovery-codes.made', 'recovery-codes-made', 'new recovery codes were made'),

    recoveryCodeUsed: ({ left, ...person }) =>
      deed(person, 'recovery-code.used', 'recovery-code-used', 'a recovery code was used', { left }),

    passwordChanged: ({ how, ...person }) =>
      deed(
        person,
        'password.changed',
        how === 'reset' ? 'password-reset' : 'password-changed',
        'a password was changed',
        { how },
      ),

    resetRequested: (person) =>
      deed(person, 'reset.requested', 'reset-requested', 'a password reset was asked for'),

    elevated: (person) => deed(person, 'elevation.granted', 'elevated', 'a session was elevated'),

    signedIn: ({ username, ip, session, device }) => ({
      log: ['info', { username, remote_ip: ip, session, device }, 'signed in'],
      count: [metrics.signIns.of({ device: device ?? 'unknown' })],
      audit: { event: 'login.succeeded', username, ip, details: { session, device } },
    }),

    sessionEnded: ({ publicId, userId, reason }) => ({
      log: ['info', { session: publicId, username: userId, reason }, 'session ended'],
      count: [metrics.sessionsEnded.of({ reason })],
      audit: { event: 'session.ended', username: userId, details: { session: publicId, reason } },
    }),

    sessionsRevoked: ({ username, ip, count, by }) => ({
      log: ['info', { username, remote_ip: ip, count, by }, 'sessions were revoked'],
      audit: { event: 'sessions.revoked', username, ip, details: { count, by } },
    }),

    sessionBroken: (storeKey) => ({
      log: ['error', { record: storeKey }, 'a session record is corrupt; its cookie counts as anonymous'],
      count: [metrics.sessionsBroken.of({})],
    }),

    mailSent: ({ id, kind, attempts }) => ({
      log: ['info', { mail: id, kind, attempts }, 'a mail was sent'],
      count: [metrics.mailSent.of({ kind })],
      set: [[metrics.mailServerUp.of({}), 1]],
    }),

    mailPostponed: ({ id, kind, attempts }, error) => ({
      log: ['warn', { mail: id, kind, attempts, error }, 'a mail could not be sent yet'],
      count: [metrics.mailPostponed.of({})],
    }),

    mailDropped(facts, reason, error) {
      const kind = 'kind' in facts ? facts.kind : null;
      return {
        log: ['error', { mail: facts.id, kind, reason, error }, 'a mail was dropped'],
        count: [metrics.mailDropped.of({ reason })],
      };
    },

    mailServerIs: (state, cause) => ({
      log:
        state === 'down'
          ? ['error', { error: cause }, 'the notifier does not take mail; it waits in the queue']
          : ['info', {}, 'the notifier takes mail again'],
      set: [[metrics.mailServerUp.of({}), state === 'up' ? 1 : 0]],
    }),

    mailQueueFailed: (error) => ({
      log: ['error', { error }, 'the queue of mail cannot be read; what is in it is sent later'],
      count: [metrics.mailQueueFailures.of({})],
    }),

    noticeLost: (kind, error) => ({
      log: ['error', { kind, error }, 'a notice could not be stored; the person is not told'],
      count: [metrics.noticesLost.of({})],
    }),

    storeIs: (state, cause) => ({
      log:
        state === 'down'
          ? ['error', { error: cause }, 'the session store is down; visitors are told to come again']
          : ['info', {}, 'the session store answers again'],
      set: [[metrics.storeUp.of({}), state === 'up' ? 1 : 0]],
    }),

    profileNotRefreshed: (error) => ({
      log: ['warn', { error }, 'a profile could not be read again; the session goes on with what is known'],
      count: [metrics.profilesNotRefreshed.of({})],
    }),

    auditLost: (records, why, error) => ({
      log: ['error', { records, why, error }, 'audit records could not be written'],
      count: [[metrics.auditLost.of({ reason: why }), records]],
    }),

    reloaded: ({ rules, waiting }) => ({
      log:
        waiting.length === 0
          ? ['info', { rules }, 'reloaded']
          : [
              'warn',
              { rules, keys: waiting.join(', ') },
              'reloaded; these keys changed and wait for a restart',
            ],
      count: [metrics.reloads.of({ success: 'true' })],
      audit: {
        event: 'configuration.reloaded',
        details: { rules, ...(waiting.length > 0 && { waiting: waiting.join(', ') }) },
      },
    }),

    reloadRefused: (reason, error) => ({
      log: ['error', { reason, error }, 'the new configuration is not used; the last good one stays'],
      count: [metrics.reloads.of({ success: 'false' })],
      audit: { event: 'configuration.refused' },
    }),
  };
}

export function shortened(name: string): string {
  return name.length > NAME_LIMIT ? `${name.slice(0, NAME_LIMIT)}…` : name;
}
