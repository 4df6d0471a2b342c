import { createHmac, timingSafeEqual } from 'node:crypto';

import type { Random } from '../lib/random.ts';

/**
 * Recovery codes: what stands for the second factor once, when the authenticator is lost. Shown when they are made and
 * never again; a new set takes the place of the old one.
 *
 * A code has 80 random bits, so a fast hash is enough to store it: a slow one protects what people choose, and even at
 * 10^12 guesses a second the codes of one person take thousands of years. The salt keeps one guess from being tried
 * against everybody. Guessing here is bounded by the throttle, which is the caller's.
 */
export interface RecoveryCodes {
  /** Makes a new set for the person and answers the codes, as they are to be shown. */
  renew(username: string): Promise<readonly string[]>;
  /** Whether this was one of the codes, unused until now; from now on it is used. Exactly one of several callers gets true. */
  use(username: string, typed: string): Promise<boolean>;
  /** How many are left. */
  count(username: string): Promise<number>;
  /** Takes all of them away. */
  remove(username: string): Promise<void>;
}

/** What is stored of a person's codes. */
export interface RecoveryCodeSet {
  readonly salt: Uint8Array;
  /** Of the codes that are still unused, 32 bytes each. */
  readonly digests: readonly Uint8Array[];
}

/** Where they are kept. Throws when it cannot answer, which is never "no such code". */
export interface RecoveryCodeStore {
  /** Null for who never had any. */
  find(username: string): Promise<RecoveryCodeSet | null>;
  /** Puts the set in the place of every earlier one, in one transaction. */
  replace(username: string, set: RecoveryCodeSet): Promise<void>;
  /** Takes the digest away; true for the one caller whose statement did it. */
  consume(username: string, digest: Uint8Array): Promise<boolean>;
  /** Whether there were any to remove. */
  remove(username: string): Promise<boolean>;
}

export const RECOVERY_CODES = 10;

/** Crockford's Base32: no I, L, O and U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const LENGTH = 16;
const SALT_BYTES = 16;

/** Longer texts are no codes; nothing else is done with them. */
const LONGEST_TYPED = 100;

export function createRecoveryCodes(
  store: RecoveryCodeStore,
  { random }: { readonly random: Random },
): RecoveryCodes {
  return {
    async renew(username) {
      const codes = Array.from({ length: RECOVERY_CODES }, () => createCode(random));
      const salt = random.bytes(SALT_BYTES);
      await store.replace(username, { salt, digests: codes.map((code) => digestOf(salt, code)) });
      return codes.map((code) => code.replaceAll(/.{4}(?!$)/g, '$&-'));
    },

    async use(username, typed) {
      const code = normalise(typed);
      if (code === null) return false;
      const set = await store.find(username);
      if (!set) return false;
      const digest = digestOf(set.salt, code);
      let isKnown = false;
      for (const candidate of set.digests) {
        if (candidate.length === digest.length && timingSafeEqual(candidate, digest)) isKnown = true;
      }
      return isKnown && (await store.consume(username, digest));
    },

    async count(username) {
      return (await store.find(username))?.digests.length ?? 0;
    },

    async remove(username) {
      await store.remove(username);
    },
  };
}

/** 32 characters divide the values of a byte evenly: none is likelier than another. */
function createCode(random: Random): string {
  return Array.from(random.bytes(LENGTH), (byte) => ALPHABET.charAt(byte % ALPHABET.length)).join('');
}

/** The code that was meant, or null: case, spaces, dashes and full-width forms do not count, O is 0, I and L are 1. */
function normalise(typed: string): string | null {
  if (typed.length > LONGEST_TYPED) return null;
  const code = typed
    .normalize('NFKC')
    .toUpperCase()
    .replaceAll(/[\s\p{Dash}]/gu, '')
    .replaceAll('O', '0')
    .replaceAll(/[IL]/g, '1');
  return code.length === LENGTH && [...code].every((character) => ALPHABET.includes(character)) ? code : null;
}

function digestOf(salt: Uint8Array, code: string): Buffer {
  return createHmac('sha256', salt).update(code).digest();
}
