import { parse, stringify } from 'yaml';

import type { StoredTotpCredential } from '../storage/totp-credentials.ts';

/**
 * Authenticators as a YAML file, in the form in which Authelia exports and imports its own: a list `totp_configurations`,
 * times as RFC 3339, secrets in Base64.
 */
export function formatTotpExport(credentials: readonly StoredTotpCredential[]): string {
  return stringify({
    totp_configurations: credentials.map((one) => ({
      created_at: new Date(one.createdAt).toISOString(),
      last_used_at: one.lastUsedAt === null ? null : new Date(one.lastUsedAt).toISOString(),
      username: one.username,
      issuer: one.issuer,
      algorithm: one.algorithm,
      digits: one.digits,
      period: one.period,
      secret: Buffer.from(one.secret).toString('base64'),
    })),
  });
}

/** Throws an Error that names the entry and what is wrong with it, without its secret. */
export function readTotpExport(text: string): readonly StoredTotpCredential[] {
  let document: unknown;
  try {
    document = parse(text, { schema: 'core' });
  } catch {
    // The message of the library shows lines of the file.
    throw new Error('it is no YAML');
  }
  const list: unknown = isMap(document) ? document['totp_configurations'] : undefined;
  if (!Array.isArray(list)) throw new Error('it has no list totp_configurations');
  const credentials = list.map(readEntry);
  const twice = credentials.find(({ username }, index) =>
    credentials.slice(0, index).some((other) => other.username === username),
  );
  if (twice) throw new Error(`${twice.username} stands in it twice`);
  return credentials;
}

function readEntry(entry: unknown, index: number): StoredTotpCredential {
  const at = `totp_configurations[${index}]`;
  if (!isMap(entry)) throw new Error(`${at} must be a map`);
  const take = <T>(key: string, read: (value: unknown) => T | undefined, allowed: string): T => {
    const value = read(entry[key]);
    if (value === undefined) throw new Error(`${at}.${key} must be ${allowed}`);
    return value;
  };
  return {
    username: take('username', asText, 'a name'),
    issuer: take('issuer', asText, 'a name'),
    algorithm: take('algorithm', (value) => algorithms.find((one) => one === value), algorithms.join(', ')),
    digits: take('digits', (value) => digits.find((one) => one === value), digits.join(' or ')),
    period: take(
      'period',
      (value) => (Number.isInteger(value) && Number(value) > 0 ? Number(value) : undefined),
      'a whole number of seconds',
    ),
    createdAt: take('created_at', asTime, 'a time such as 2026-01-31T12:00:00Z'),
    lastUsedAt: take(
      'last_used_at',
      (value) => (value === null || value === undefined ? null : asTime(value)),
      'a time, or null',
    ),
    secret: take('secret', asSecret, 'the secret in Base64'),
  };
}

const algorithms = ['SHA1', 'SHA256', 'SHA512'] as const;
const digits = [6, 8] as const;

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const asText = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

function asTime(value: unknown): number | undefined {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function asSecret(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]{16,}={0,2}$/.test(value)) return undefined;
  return Buffer.from(value, 'base64');
}
