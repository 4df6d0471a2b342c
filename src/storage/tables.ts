import type { ColumnType, Generated } from 'kysely';

/**
 * The tables as the code sees them. They stand beside those of Authelia in one database, so each begins with `sallyport_`.
 * Times are milliseconds since 1970, given by the caller. Users are named as their backend spells them.
 */
export interface Tables {
  readonly sallyport_totp_credentials: {
    username: string;
    created_at: number;
    last_used_at: number | null;
    issuer: string;
    algorithm: string;
    digits: number;
    period: number;
    /** Encrypted. */
    secret: Bytes;
  };
  readonly sallyport_totp_history: { username: string; step: number; used_at: number };
  readonly sallyport_recovery_codes: {
    username: string;
    /** Base64url. */
    digest: string;
    salt: string;
    created_at: number;
    used_at: number | null;
  };
  readonly sallyport_preferences: { username: string; second_factor_method: string };
  readonly sallyport_used_once: { purpose: string; id_hash: string; expires_at: number };
  readonly sallyport_one_time_codes: {
    id: string;
    username: string;
    purpose: string;
    session_id: string;
    /** Encrypted. */
    code: Bytes;
    ip: string;
    created_at: number;
    expires_at: number;
    attempts_left: number;
    consumed_at: number | null;
    revoked_at: number | null;
  };
  readonly sallyport_reset_links: {
    id: string;
    username: string;
    ip: string;
    created_at: number;
    expires_at: number;
    consumed_at: number | null;
    revoked_at: number | null;
  };
  readonly sallyport_attempts: {
    id: Generated<number>;
    at: number;
    username: string;
    ip: string;
    kind: string;
    outcome: string;
    method: string;
    url: string;
  };
  /** `subject` and `against` are SHA-256. */
  readonly sallyport_throttle: {
    id: string;
    kind: string;
    subject: string;
    against: string;
    at: number;
    /** 1: the secret was wrong. */
    failed: number;
  };
  readonly sallyport_rate_buckets: { route: string; address: string; bucket: number; full_at: number };
  readonly sallyport_bans: {
    id: Generated<number>;
    kind: string;
    subject: string;
    created_at: number;
    expires_at: number | null;
    revoked_at: number | null;
    source: string;
    reason: string | null;
  };
  readonly sallyport_mail_queue: {
    id: string;
    /** Encrypted. */
    payload: Bytes;
    next_attempt_at: number;
    expires_at: number;
    attempts: number;
    lease_token: string | null;
    lease_until: number;
  };
  readonly sallyport_known_devices: {
    username: string;
    fingerprint: string;
    first_seen_at: number;
    last_seen_at: number;
  };
  readonly sallyport_audit: {
    id: Generated<number>;
    at: number;
    event: string;
    username: string | null;
    ip: string | null;
    /** JSON. */
    details: string;
  };
  readonly sallyport_encryption: { name: string; value: Bytes };
  readonly sallyport_leases: { name: string; owner: string; held_until: number };
  readonly sallyport_migrations: {
    id: Generated<number>;
    /** The schema's version from then on, once it is finished. */
    version: number;
    version_before: number;
    name: string;
    started_at: number;
    finished_at: number | null;
    /** Statements that are done, where the engine has no transactions for them. */
    steps_done: number;
    application: string;
  };
}

type Bytes = ColumnType<Uint8Array, Uint8Array, Uint8Array>;

/** Columns that `encrypt` wrote; the row's additional data is the value of its key column. */
export const encryptedColumns = [
  { table: 'sallyport_totp_credentials', key: 'username', column: 'secret' },
  { table: 'sallyport_one_time_codes', key: 'id', column: 'code' },
  { table: 'sallyport_mail_queue', key: 'id', column: 'payload' },
  { table: 'sallyport_encryption', key: 'name', column: 'value' },
] as const;
