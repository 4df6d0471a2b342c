import { expect, test } from 'vitest';

import { createEvents, type Events } from '../../src/events.ts';
import { createGatewayMetrics } from '../../src/events/gateway-metrics.ts';
import { parseCanonicalUrl } from '../../src/lib/canonical-url.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { formatMetrics } from '../../src/lib/metrics.ts';
import type { AuditRecord } from '../../src/storage/audit-log.ts';
import { fakeClock } from '../support/fake-clock.ts';

function setUp(debug = false) {
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const at = (level: string) => (fields: Record<string, unknown>, message: string) =>
    void lines.push({ level, message, fields });
  const logger: Logger = {
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
    isEnabled: (level) => debug || level !== 'debug',
  };
  const clock = fakeClock();
  const metrics = createGatewayMetrics();
  const records: AuditRecord[] = [];
  const audit = { write: (record: AuditRecord) => void records.push(record) };
  const events = createEvents(logger, { now: () => clock.now(), metrics, audit });
  /** The series that are not zero. */
  const counted = async (): Promise<string[]> =>
    formatMetrics(await metrics.registry.read())
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && !line.endsWith(' 0'));
  return { lines, clock, events, records, counted };
}

const url = parseCanonicalUrl('https', 'app.example.com', '/a?token=secret');
if ('invalid' in url) throw new Error(url.invalid);
const target = { url, method: 'GET', ip: '203.0.113.5' };

test('nothing is logged of what passes, nor of what is turned away, unless one debugs', () => {
  const quiet = setUp();
  for (const outcome of ['allow', 'deny', 'login', 'bad-request'])
    quiet.events.accessDecided({ outcome, target, peer: '10.0.0.1' });
  expect(quiet.lines).toEqual([]);
  const debugging = setUp(true);
  debugging.events.accessDecided({ outcome: 'allow', target, peer: '10.0.0.1' });
  debugging.events.accessDecided({ outcome: 'deny', target, peer: '10.0.0.1' });
  debugging.events.accessDecided({ outcome: 'bad-request', target: null, peer: '10.0.0.1', reason: 'why' });
  expect(debugging.lines).toHaveLength(2);
  expect(debugging.lines[0]).toMatchObject({
    level: 'debug',
    fields: { outcome: 'deny', url: 'https://app.example.com/a', remote_ip: '203.0.113.5' },
  });
  expect(JSON.stringify(debugging.lines)).not.toContain('secret');
  expect(debugging.lines[1]?.fields.reason).toBe('why');
});

test('an outage is one line a second', () => {
  const { events, lines, clock } = setUp();
  const error = new Error('down');
  for (let i = 0; i < 100; i++) {
    events.accessDecided({ outcome: 'unavailable', target, peer: '10.0.0.1', error });
    clock.advance(30);
  }
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatchObject({ level: 'error', fields: { error } });
});

test('a stranger among the proxies is named, with the key that decides', () => {
  const { events, lines } = setUp();
  events.accessDecided({ outcome: 'untrusted-peer', target: null, peer: '8.8.8.8' });
  expect(lines).toMatchObject([{ level: 'warn', fields: { peer: '8.8.8.8' } }]);
  expect(lines[0]?.message).toContain('server.trusted_proxies');
});

test('attempts are told in the words that ban tools look for', () => {
  const { events, lines } = setUp();
  events.passwordChecked({ username: 'john', ip: '203.0.113.5', success: true });
  events.passwordChecked({ username: 'john', ip: '203.0.113.5', success: false, isUnknown: true });
  expect(lines).toMatchObject([
    {
      level: 'info',
      message: "Successful 1FA authentication attempt made by user 'john'",
      fields: { remote_ip: '203.0.113.5' },
    },
    {
      level: 'error',
      message: "Unsuccessful 1FA authentication attempt by user 'john'",
      fields: { remote_ip: '203.0.113.5' },
    },
  ]);
});

test('decisions are counted by outcome', async () => {
  const { events, counted } = setUp();
  events.accessAllowed(false);
  events.accessAllowed(true);
  events.accessDecided({ outcome: 'allow', target, peer: '10.0.0.1', error: new Error('down') });
  for (let i = 0; i < 2; i++) events.accessDecided({ outcome: 'login', target, peer: '10.0.0.1' });
  expect(await counted()).toEqual([
    'sallyport_decisions_total{outcome="allow"} 3',
    'sallyport_decisions_total{outcome="login"} 2',
    'sallyport_degraded_decisions_total 1',
  ]);
});

const john = { username: 'john', ip: '203.0.113.5' };
const mail = { id: 'mail1', kind: 'new-sign-in', recipient: 'john@example.com', attempts: 1 } as const;

/** What each event makes of the metrics and of the audit log. */
const rows: readonly {
  readonly happens: (events: Events) => void;
  readonly counts: readonly string[];
  readonly audit: Partial<AuditRecord> | null;
}[] = [
  {
    happens: (events) => events.passwordChecked({ ...john, success: true }),
    counts: [
      'authelia_authn{success="true",banned="false"} 1',
      'sallyport_proofs_total{proof="password",success="true"} 1',
    ],
    audit: null,
  },
  {
    happens: (events) => events.passwordChecked({ ...john, success: false, proof: 'basic' }),
    counts: [
      'authelia_authn{success="false",banned="false"} 1',
      'sallyport_proofs_total{proof="basic",success="false"} 1',
    ],
    audit: { event: 'proof.failed', ...john, details: { proof: 'basic' } },
  },
  {
    // What was typed may be a password.
    happens: (events) => events.passwordChecked({ ...john, success: false, isUnknown: true }),
    counts: [
      'authelia_authn{success="false",banned="false"} 1',
      'sallyport_proofs_total{proof="password",success="false"} 1',
    ],
    audit: { event: 'proof.failed', username: null, ip: john.ip, details: { proof: 'password' } },
  },
  {
    happens: (events) => events.passwordChecked({ ...john, success: false, isRepeated: true }),
    counts: [
      'authelia_authn{success="false",banned="false"} 1',
      'sallyport_proofs_total{proof="password",success="false"} 1',
    ],
    audit: null,
  },
  {
    happens: (events) => events.proofChecked({ ...john, proof: 'totp', success: false, reason: 'used' }),
    counts: [
      'authelia_authn_second_factor{success="false",banned="false",type="totp"} 1',
      'sallyport_proofs_total{proof="totp",success="false"} 1',
    ],
    audit: { event: 'proof.failed', ...john, details: { proof: 'totp', reason: 'used' } },
  },
  {
    happens: (events) => events.proofChecked({ ...john, proof: 'elevation-code', success: true }),
    counts: ['sallyport_proofs_total{proof="elevation-code",success="true"} 1'],
    audit: { event: 'proof.succeeded', ...john, details: { proof: 'elevation-code' } },
  },
  {
    happens: (events) => events.attemptRefused({ ...john, proof: 'password', why: 'banned' }),
    counts: [
      'authelia_authn{success="false",banned="true"} 1',
      'sallyport_attempts_refused_total{proof="password",why="banned"} 1',
    ],
    audit: null,
  },
  {
    happens: (events) => events.attemptRefused({ ...john, proof: 'totp', why: 'rate-limit' }),
    counts: ['sallyport_attempts_refused_total{proof="totp",why="rate-limit"} 1'],
    audit: null,
  },
  {
    happens: (events) => events.banned({ kind: 'user', subject: 'john', until: 5 }),
    counts: ['sallyport_bans_total{kind="user"} 1'],
    audit: { event: 'ban.added', username: 'john', ip: null, details: { kind: 'user', until: 5 } },
  },
  {
    happens: (events) => events.banned({ kind: 'ip', subject: '203.0.113.5', until: null }),
    counts: ['sallyport_bans_total{kind="ip"} 1'],
    audit: { event: 'ban.added', username: null, ip: '203.0.113.5', details: { kind: 'ip', until: null } },
  },
  {
    happens: (events) => events.factorAdded({ ...john, factor: 'totp' }),
    counts: ['sallyport_account_changes_total{change="factor-added"} 1'],
    audit: { event: 'factor.added', ...john, details: { factor: 'totp' } },
  },
  {
    happens: (events) => events.factorRemoved({ ...john, factor: 'totp' }),
    counts: ['sallyport_account_changes_total{change="factor-removed"} 1'],
    audit: { event: 'factor.removed', ...john, details: { factor: 'totp' } },
  },
  {
    happens: (events) => events.recoveryCodesMade(john),
    counts: ['sallyport_account_changes_total{change="recovery-codes-made"} 1'],
    audit: { event: 'recovery-codes.made', ...john, details: {} },
  },
  {
    happens: (events) => events.recoveryCodeUsed({ ...john, left: 4 }),
    counts: ['sallyport_account_changes_total{change="recovery-code-used"} 1'],
    audit: { event: 'recovery-code.used', ...john, details: { left: 4 } },
  },
  {
    happens: (events) => events.passwordChanged({ ...john, how: 'reset' }),
    counts: ['sallyport_account_changes_total{change="password-reset"} 1'],
    audit: { event: 'password.changed', ...john, details: { how: 'reset' } },
  },
  {
    happens: (events) => events.resetRequested(john),
    counts: ['sallyport_account_changes_total{change="reset-requested"} 1'],
    audit: { event: 'reset.requested', ...john, details: {} },
  },
  {
    happens: (events) => events.elevated(john),
    counts: ['sallyport_account_changes_total{change="elevated"} 1'],
    audit: { event: 'elevation.granted', ...john, details: {} },
  },
  {
    happens: (events) => events.signedIn({ ...john, session: 'public', device: 'new' }),
    counts: ['sallyport_sign_ins_total{device="new"} 1'],
    audit: { event: 'login.succeeded', ...john, details: { session: 'public', device: 'new' } },
  },
  {
    happens: (events) => events.sessionEnded({ publicId: 'public', userId: 'john', reason: 'logout' }),
    counts: ['sallyport_sessions_ended_total{reason="logout"} 1'],
    audit: { event: 'session.ended', username: 'john', details: { session: 'public', reason: 'logout' } },
  },
  {
    happens: (events) => events.sessionsRevoked({ ...john, count: 2, by: 'person' }),
    counts: [],
    audit: { event: 'sessions.revoked', ...john, details: { count: 2, by: 'person' } },
  },
  {
    happens: (events) => events.sessionBroken('key'),
    counts: ['sallyport_session_records_broken_total 1'],
    audit: null,
  },
  {
    happens: (events) => events.mailSent(mail),
    counts: ['sallyport_mail_server_up 1', 'sallyport_mail_sent_total{kind="new-sign-in"} 1'],
    audit: null,
  },
  {
    happens: (events) => events.mailPostponed(mail, new Error('later')),
    counts: ['sallyport_mail_postponed_total 1'],
    audit: null,
  },
  {
    happens: (events) => events.mailDropped({ id: 'mail1' }, 'unreadable'),
    counts: ['sallyport_mail_dropped_total{reason="unreadable"} 1'],
    audit: null,
  },
  {
    happens(events) {
      events.mailServerIs('up');
      events.mailServerIs('down', new Error('refused'));
    },
    counts: [],
    audit: null,
  },
  {
    happens: (events) => events.mailQueueFailed(new Error('down')),
    counts: ['sallyport_mail_queue_failures_total 1'],
    audit: null,
  },
  {
    happens: (events) => events.noticeLost('factor-added', new Error('down')),
    counts: ['sallyport_notices_lost_total 1'],
    audit: null,
  },
  { happens: (events) => events.storeIs('up'), counts: ['sallyport_session_store_up 1'], audit: null },
  {
    happens: (events) => events.profileNotRefreshed(new Error('down')),
    counts: ['sallyport_profile_refresh_failures_total 1'],
    audit: null,
  },
  {
    happens: (events) => events.auditLost(7, 'full'),
    counts: ['sallyport_audit_lost_total{reason="full"} 7'],
    audit: null,
  },
  {
    happens: (events) => events.reloaded({ rules: 3, waiting: ['log', 'storage'] }),
    counts: ['sallyport_reloads_total{success="true"} 1'],
    audit: {
      event: 'configuration.reloaded',
      username: null,
      details: { rules: 3, waiting: 'log, storage' },
    },
  },
  {
    happens: (events) => events.reloadRefused('it has errors'),
    counts: ['sallyport_reloads_total{success="false"} 1'],
    audit: { event: 'configuration.refused', username: null, ip: null, details: {} },
  },
];

test.each(rows)('an event is a line, a count and a record: $happens', async ({ happens, counts, audit }) => {
  const { events, lines, records, counted } = setUp();
  happens(events);
  expect(lines.length).toBeGreaterThan(0);
  expect(await counted()).toEqual(counts);
  expect(records).toHaveLength(audit ? 1 : 0);
  if (audit) expect(records[0]).toMatchObject({ at: 1_800_000_000_000, ...audit });
});

test('Basic that holds is no record: it comes with each request', () => {
  const { events, records } = setUp();
  events.proofChecked({ ...john, proof: 'basic', success: true });
  expect(records).toEqual([]);
});

test('a name that anybody typed fits into the audit log, and is text there', () => {
  const { events, records, lines } = setUp();
  events.passwordChecked({ username: `a\0\u001b[31m\ud800${'x'.repeat(1000)}`, ip: '::1', success: false });
  const name = records[0]?.username ?? '';
  expect(name).toMatch(/^a\ufffd\ufffd\[31m\ufffdx+…$/);
  expect(name.length).toBeLessThanOrEqual(255);
  expect(String(lines[0]?.fields.username).length).toBeLessThanOrEqual(255);
});
