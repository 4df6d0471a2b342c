import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

/**
 * Values that travel with a person (in a cookie, in a hidden field) instead of being kept here: nobody but this service
 * can read, make or change one, and it opens only for the purpose and the bindings for which it was sealed, until it
 * expires. It can be presented again and again before that: what may happen once needs a record of its own.
 *
 * AES-256-GCM. Layout, in base64url: format (1 byte), key id (4), salt (16), nonce (12), ciphertext, tag (16). Each token
 * has a key of its own, derived from the salt, so that any number of them may be sealed with one secret (random nonces
 * alone are safe for 2^32). Sealed inside: the time of expiry (8 bytes), then the text. Additional data: format, purpose,
 * bindings.
 */
export interface TokenSealer {
  /**
   * The token of `text`, good for `lifetime` milliseconds. `bindings` are what it belongs to besides its purpose, such as a
   * user name and the public id of a session; their order counts.
   */
  seal(purpose: string, bindings: readonly string[], text: string, lifetime: number): string;
  /**
   * 'expired': genuine, but too old. 'invalid': altered, of another purpose or binding, of a secret that is not configured
   * here (any more), no token at all.
   */
  open(
    purpose: string,
    bindings: readonly string[],
    token: string,
  ): { readonly text: string } | 'expired' | 'invalid';
}

const FORMAT = 1;
const SALT = 5;
const NONCE = SALT + 16;
const HEAD = NONCE + 12;
const EXPIRY = 8;
const TAG = 16;

interface SealKey {
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** The first secret seals, each of them opens. */
export function createTokenSealer(
  secrets: readonly [string, ...string[]],
  deps: { readonly random: Random; readonly clock: Clock },
): TokenSealer {
  const keys = secrets.map(deriveKey) as [SealKey, ...SealKey[]];
  const current = keys[0];

  return {
    seal(purpose, bindings, text, lifetime) {
      const fresh = deps.random.bytes(HEAD - SALT);
      const head = Buffer.concat([Buffer.of(FORMAT), current.id, fresh]);
      const cipher = createCipheriv('aes-256-gcm', keyOfToken(current, head), head.subarray(NONCE));
      cipher.setAAD(additionalData(purpose, bindings));
      const expiry = Buffer.alloc(EXPIRY);
      expiry.writeDoubleBE(deps.clock.now() + lifetime);
      const body = Buffer.concat([cipher.update(expiry), cipher.update(text, 'utf8'), cipher.final()]);
      return Buffer.concat([head, body, cipher.getAuthTag()]).toString('base64url');
    },

    open(purpose, bindings, token) {
      const sealed = Buffer.from(token, 'base64url');
      // Node's decoder skips what is no base64url: only the one spelling that was handed out counts.
      if (sealed.toString('base64url') !== token) return 'invalid';
      if (sealed.length < HEAD + EXPIRY + TAG || sealed[0] !== FORMAT) return 'invalid';
      const id = sealed.subarray(1, SALT);
      const key = keys.find((candidate) => candidate.id.equals(id));
      if (!key) return 'invalid';
      const decipher = createDecipheriv('aes-256-gcm', keyOfToken(key, sealed), sealed.subarray(NONCE, HEAD));
      decipher.setAAD(additionalData(purpose, bindings));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      let body;
      try {
        body = Buffer.concat([decipher.update(sealed.subarray(HEAD, sealed.length - TAG)), decipher.final()]);
      } catch {
        return 'invalid';
      }
      if (deps.clock.now() >= body.readDoubleBE()) return 'expired';
      return { text: body.toString('utf8', EXPIRY) };
    },
  };
}

function keyOfToken({ key }: SealKey, sealed: Buffer): Buffer {
  return createHmac('sha256', key).update(sealed.subarray(SALT, NONCE)).digest();
}

/** Unambiguous, whatever stands in the parts. */
function additionalData(purpose: string, bindings: readonly string[]): Buffer {
  return Buffer.from(JSON.stringify([FORMAT, purpose, ...bindings]));
}

function deriveKey(secret: string): SealKey {
  const key = createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'sallyport sealed token v1', 32)));
  // 'id' is shorter than a salt, so that no token's key tells it.
  const id = createHmac('sha256', key).update('id').digest().subarray(0, 4);
  return { id, key };
}
