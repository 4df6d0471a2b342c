import type { Migration } from '../migrations.ts';
import type { TableDefinition } from './schema-writer.ts';

const username = 'text(255)';
const ip = 'text(64)';
/** Whatever is random or a hash. */
const token = 'text(64)';
const word = 'text(64)';

const tables: readonly TableDefinition[] = [
  {
    name: 'sallyport_totp_credentials',
    columns: {
      username,
      created_at: 'time',
      last_used_at: 'time?',
      issuer: 'text(255)',
      algorithm: word,
      digits: 'integer',
      period: 'integer',
      secret: 'bytes',
    },
    primaryKey: ['username'],
  },
  {
    name: 'sallyport_totp_history',
    columns: { username, step: 'time', used_at: 'time' },
    primaryKey: ['username', 'step'],
    indexes: [['used_at']],
  },
  {
    name: 'sallyport_recovery_codes',
    columns: { username, digest: token, salt: token, created_at: 'time', used_at: 'time?' },
    primaryKey: ['username', 'digest'],
  },
  {
    name: 'sallyport_preferences',
    columns: { username, second_factor_method: word },
    primaryKey: ['username'],
  },
  {
    name: 'sallyport_used_once',
    columns: { purpose: word, id_hash: token, expires_at: 'time' },
    primaryKey: ['purpose', 'id_hash'],
    indexes: [['expires_at']],
  },
  {
    name: 'sallyport_one_time_codes',
    columns: {
      id: token,
      username,
      purpose: word,
      session_id: token,
      code: 'bytes',
      ip,
      created_at: 'time',
      expires_at: 'time',
      attempts_left: 'integer',
      consumed_at: 'time?',
      revoked_at: 'time?',
    },
    primaryKey: ['id'],
    indexes: [['username', 'purpose'], ['expires_at']],
  },
  {
    name: 'sallyport_reset_links',
    columns: {
      id: token,
      username,
      ip,
      created_at: 'time',
      expires_at: 'time',
      consumed_at: 'time?',
      revoked_at: 'time?',
    },
    primaryKey: ['id'],
    indexes: [['username'], ['expires_at']],
  },
  {
    name: 'sallyport_attempts',
    columns: {
      id: 'id',
      at: 'time',
      username,
      ip,
      kind: word,
      outcome: word,
      method: word,
      url: 'text(1000)',
    },
    indexes: [['at'], ['username', 'at'], ['ip', 'at']],
  },
  {
    name: 'sallyport_throttle',
    columns: { id: token, kind: word, subject: token, against: token, at: 'time', failed: 'integer' },
    primaryKey: ['id'],
    indexes: [['kind', 'subject', 'at'], ['at']],
  },
  {
    name: 'sallyport_rate_buckets',
    columns: { route: word, address: ip, bucket: 'integer', full_at: 'time' },
    primaryKey: ['route', 'address', 'bucket'],
    indexes: [['full_at']],
  },
  {
    name: 'sallyport_bans',
    columns: {
      id: 'id',
      kind: word,
      subject: 'text(255)',
      created_at: 'time',
      expires_at: 'time?',
      revoked_at: 'time?',
      source: word,
      reason: 'text(255)?',
    },
    indexes: [['kind', 'subject'], ['expires_at']],
  },
  {
    name: 'sallyport_mail_queue',
    columns: {
      id: token,
      payload: 'bytes',
      next_attempt_at: 'time',
      expires_at: 'time',
      attempts: 'integer',
      lease_token: 'text(64)?',
      lease_until: 'time',
    },
    primaryKey: ['id'],
    indexes: [['next_attempt_at'], ['lease_token']],
  },
  {
    name: 'sallyport_known_devices',
    columns: { username, fingerprint: token, first_seen_at: 'time', last_seen_at: 'time' },
    primaryKey: ['username', 'fingerprint'],
    indexes: [['last_seen_at']],
  },
  {
    name: 'sallyport_audit',
    columns: {
      id: 'id',
      at: 'time',
      event: word,
      username: 'text(255)?',
      ip: 'text(64)?',
      details: 'long text',
    },
    indexes: [['at'], ['username', 'at']],
  },
  {
    name: 'sallyport_encryption',
    columns: { name: word, value: 'bytes' },
    primaryKey: ['name'],
  },
  {
    name: 'sallyport_leases',
    columns: { name: word, owner: token, held_until: 'time' },
    primaryKey: ['name'],
  },
];

/** All that the second factors, the accounts and the mail need. */
export const beginning: Migration = {
  version: 1,
  name: 'beginning',
  up: (writer) => tables.flatMap((table) => writer.createTable(table)),
  down: (writer) => tables.toReversed().flatMap(({ name }) => writer.dropTable(name)),
};
