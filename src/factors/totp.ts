import { timingSafeEqual } from 'node:crypto';
import { HOTP, Secret, TOTP } from 'otpauth';

import type { Random } from '../lib/random.ts';

/**
 * Time-based one-time passwords, RFC 6238. Pure: keys, codes and times in, steps out. A match is answered as the step
 * that it matched, which the caller must record as used before he believes it (section 5.2): a code is good once.
 */
export interface TotpParameters {
  readonly algorithm: 'SHA1' | 'SHA256' | 'SHA512';
  readonly digits: 6 | 8;
  /** Seconds. */
  readonly period: number;
}

/** What an authenticator app and this service share. */
export interface TotpKey extends TotpParameters {
  readonly secret: Uint8Array;
}

/** A secret that was typed in and cannot be used; the message says why, without repeating it. */
export class InvalidTotpSecret extends Error {
  override name = 'InvalidTotpSecret';
}

/** RFC 4226, section 4, R6: at least 128 bits. */
const LEAST_SECRET_BYTES = 16;

/** `size` random bytes: `totp.secret_size` of the configuration. */
export function createTotpSecret(size: number, random: Random): Uint8Array {
  return random.bytes(size);
}

/** Reads Base32 (RFC 4648, section 6) of either case, with or without spaces and padding. Throws `InvalidTotpSecret`. */
export function parseTotpSecret(text: string): Uint8Array {
  const bare = text.replaceAll(/\s/g, '').replace(/=+$/, '').toUpperCase();
  // 1, 3 and 6 characters more than whole groups of 8 stand for no whole number of bytes.
  if (!/^[A-Z2-7]*$/.test(bare) || [1, 3, 6].includes(bare.length % 8)) {
    throw new InvalidTotpSecret('the secret must be Base32: letters A to Z and digits 2 to 7');
  }
  const { bytes } = Secret.fromBase32(bare);
  if (bytes.length < LEAST_SECRET_BYTES) {
    throw new InvalidTotpSecret(
      `the secret must have at least ${LEAST_SECRET_BYTES} bytes, which are 26 characters of Base32; it has ${bytes.length}`,
    );
  }
  return bytes;
}

/** Base32 without padding, for who types it into an app. */
export function formatTotpSecret(secret: Uint8Array): string {
  return secretOf(secret).base32;
}

/** The `otpauth:` URL that apps read from a QR code, labelled `issuer:username`. It contains the secret. */
export function totpUrl(key: TotpKey, issuer: string, username: string): string {
  const { algorithm, digits, period } = key;
  return new TOTP({
    issuer,
    label: username,
    algorithm,
    digits,
    period,
    secret: secretOf(key.secret),
  }).toString();
}

/** The number of the period in which `now` (milliseconds since the epoch) lies. */
export function totpStep({ period }: TotpParameters, now: number): number {
  return Math.floor(now / 1000 / period);
}

/** The code of a step. */
export function totpCode({ algorithm, digits, secret }: TotpKey, step: number): string {
  return HOTP.generate({ secret: secretOf(secret), algorithm, digits, counter: step });
}

/**
 * The step whose code this is, up to `skew` steps before and after the present one; null when it is none of them. Spaces
 * in the code do not count. Where several steps have the same code, the one nearest to now, earlier before later.
 * Takes the same time wherever it matches.
 */
export function matchTotpCode(key: TotpKey, code: string, now: number, skew: number): number | null {
  const typed = Buffer.from(code.replaceAll(/\s/g, ''));
  if (typed.length !== key.digits) return null;
  const present = totpStep(key, now);
  let found: number | null = null;
  for (let distance = skew; distance >= 0; distance--) {
    for (const step of distance === 0 ? [present] : [present + distance, present - distance]) {
      // Before the epoch there is no step.
      if (step >= 0 && timingSafeEqual(typed, Buffer.from(totpCode(key, step)))) found = step;
    }
  }
  return found;
}

/** A copy: a Buffer is often a view of a larger pool, of which the library would take all. */
function secretOf(bytes: Uint8Array): Secret {
  return new Secret({ buffer: Uint8Array.from(bytes).buffer });
}
