import { createMetricRegistry } from '../lib/metrics.ts';

/**
 * Every metric of the gateway. Those that begin with `authelia_` are named, labelled and cut into buckets as dashboards made
 * for Authelia expect. No label tells of a person, an address, a host or a rule.
 */
export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

/** Seconds. */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 20, 30, 40, 50, 60];
const AUTHN_BUCKETS = [
  0.0005, 0.00075, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1, 5, 10,
  15, 30, 60,
];
const STORE_BUCKETS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

export function createGatewayMetrics() {
  const registry = createMetricRegistry();
  const { counter, gauge, histogram } = registry;
  const metrics = {
    registry,

    requests: counter({
      name: 'authelia_request',
      help: 'Requests that were answered.',
      labels: ['code', 'method'],
    }),
    authz: counter({
      name: 'authelia_authz',
      help: 'Answers of the authorization endpoints to proxies.',
      labels: ['code'],
    }),
    authn: counter({
      name: 'authelia_authn',
      help: 'Passwords that were tried, by form or Basic.',
      labels: ['success', 'banned'],
    }),
    secondFactors: counter({
      name: 'authelia_authn_second_factor',
      help: 'Second factors that were tried.',
      labels: ['success', 'banned', 'type'],
    }),
    authnSeconds: histogram({
      name: 'authelia_authn_duration',
      help: 'Seconds that the check of a password took.',
      labels: ['success'],
      buckets: AUTHN_BUCKETS,
    }),
    requestSeconds: histogram({
      name: 'authelia_request_duration',
      help: 'Seconds until a request was answered.',
      labels: ['code'],
      buckets: REQUEST_BUCKETS,
    }),

    decisions: counter({
      name: 'sallyport_decisions_total',
      help: 'Authorizations by outcome.',
      labels: ['outcome'],
    }),
    degradedDecisions: counter({
      name: 'sallyport_degraded_decisions_total',
      help: 'Requests let through on what was known before the session store went down.',
    }),
    proofs: counter({
      name: 'sallyport_proofs_total',
      help: 'Passwords, codes and links that were shown, and whether they held.',
      labels: ['proof', 'success'],
    }),
    refusals: counter({
      name: 'sallyport_attempts_refused_total',
      help: 'Attempts refused before their secret was looked at.',
      labels: ['proof', 'why'],
    }),
    bans: counter({ name: 'sallyport_bans_total', help: 'Bans that began.', labels: ['kind'] }),
    signIns: counter({
      name: 'sallyport_sign_ins_total',
      help: 'Sessions that people began, by what was known of the device.',
      labels: ['device'],
    }),
    accountChanges: counter({
      name: 'sallyport_account_changes_total',
      help: 'What people did with their passwords and factors.',
      labels: ['change'],
    }),

    sessionsEnded: counter({
      name: 'sallyport_sessions_ended_total',
      help: 'Sessions that were ended, by reason; those that ran out are not among them.',
      labels: ['reason'],
    }),
    sessionsBroken: counter({
      name: 'sallyport_session_records_broken_total',
      help: 'Session records that were altered, torn or foreign.',
    }),
    profilesNotRefreshed: counter({
      name: 'sallyport_profile_refresh_failures_total',
      help: 'Times a profile could not be read again from the user backend.',
    }),
    storeUp: gauge({
      name: 'sallyport_session_store_up',
      help: 'Whether the session store answers (1) or is left alone until it does (0).',
      joining: 'min',
    }),
    storeSeconds: histogram({
      name: 'sallyport_session_store_duration_seconds',
      help: 'Seconds until the session store answered; one reading serves all requests of a moment.',
      labels: ['operation'],
      buckets: STORE_BUCKETS,
    }),
    storeFailures: counter({
      name: 'sallyport_session_store_failures_total',
      help: 'Operations that the session store did not carry out.',
      labels: ['operation'],
    }),

    storageUp: gauge({
      name: 'sallyport_storage_up',
      help: 'Whether the database answers (1) or not (0).',
      joining: 'min',
    }),
    mailWaiting: gauge({
      name: 'sallyport_mail_waiting',
      help: 'Messages in the queue of all replicas.',
      joining: 'max',
    }),
    mailServerUp: gauge({
      name: 'sallyport_mail_server_up',
      help: 'Whether the notifier took the last message (1) or not (0).',
      joining: 'min',
    }),
    mailSent: counter({ name: 'sallyport_mail_sent_total', help: 'Messages sent.', labels: ['kind'] }),
    mailPostponed: counter({
      name: 'sallyport_mail_postponed_total',
      help: 'Attempts to send a message that failed and will be repeated.',
    }),
    mailDropped: counter({
      name: 'sallyport_mail_dropped_total',
      help: 'Messages given up.',
      labels: ['reason'],
    }),
    mailQueueFailures: counter({
      name: 'sallyport_mail_queue_failures_total',
      help: 'Times the queue could not be read or written.',
    }),
    noticesLost: counter({
      name: 'sallyport_notices_lost_total',
      help: 'Notices to people that could not be put into the queue.',
    }),

    auditWaiting: gauge({
      name: 'sallyport_audit_waiting',
      help: 'Audit records that are not written yet.',
      joining: 'sum',
    }),
    auditLost: counter({
      name: 'sallyport_audit_lost_total',
      help: 'Audit records that were not written, by reason.',
      labels: ['reason'],
    }),
    reloads: counter({
      name: 'sallyport_reloads_total',
      help: 'Times the configuration was read again.',
      labels: ['success'],
    }),

    build: gauge({
      name: 'sallyport_build_info',
      help: 'Versions of Sallyport and Node.js; always 1.',
      labels: ['version', 'node'],
      joining: 'max',
    }),
    cpuSeconds: counter({ name: 'process_cpu_seconds_total', help: 'Seconds of processor time used.' }),
    memory: gauge({ name: 'process_resident_memory_bytes', help: 'Bytes of memory in use.', joining: 'sum' }),
    startTime: gauge({
      name: 'process_start_time_seconds',
      help: 'When the process started, in seconds since 1970.',
      joining: 'min',
    }),
    busy: gauge({
      name: 'sallyport_event_loop_utilization',
      help: 'Part of the time since the last reading in which the event loop was busy, from 0 to 1.',
      joining: 'max',
    }),
  };
  beginAtZero(metrics);
  return metrics;
}

const OUTCOMES = [
  'allow',
  'deny',
  'login',
  'credentials',
  'bad-request',
  'untrusted-peer',
  'unavailable',
] as const;

/** What is rare, and looked at when it happens: a series that begins with 1 shows no increase. */
function beginAtZero(
  metrics: Pick<GatewayMetrics, 'authn' | 'decisions' | 'auditLost' | 'bans' | 'reloads'>,
): void {
  for (const success of ['true', 'false']) {
    metrics.authn.of({ success, banned: 'false' });
    metrics.reloads.of({ success });
  }
  metrics.authn.of({ success: 'false', banned: 'true' });
  for (const outcome of OUTCOMES) metrics.decisions.of({ outcome });
  for (const reason of ['full', 'refused', 'closed']) metrics.auditLost.of({ reason });
  for (const kind of ['user', 'ip']) metrics.bans.of({ kind });
}
