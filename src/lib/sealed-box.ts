import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

import type { Random } from './random.ts';

/**
 * Bytes sealed with AES-256-GCM under one of several secrets. Layout: format (1 byte), key id (4), nonce (12), ciphertext,
 * tag (16). Additional data is the caller's: it says where the bytes belong, so that they open nowhere else.
 * Not covered: putting back older bytes of the same place.
 */
export interface SealedBox {
  seal(place: string, plain: string | Uint8Array): Buffer;
  /** 'unknown-key': sealed with a secret that is not configured here. 'broken': altered, torn or of another place. */
  open(place: string, sealed: Buffer): Buffer | 'unknown-key' | 'broken';
  /** Whether the bytes were sealed with the first secret. */
  isCurrent(sealed: Uint8Array): boolean;
}

/** Goes into every `place`, too: what is sealed in one format does not open in another. */
export const FORMAT = 1;
const HEAD = 1 + 4 + 12;
const TAG = 16;

interface BoxKey {
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** The first secret seals, each of them opens. `use` keeps the keys of different uses of a secret apart (HKDF-SHA-256). */
export function createSealedBox(
  secrets: readonly [string, ...string[]],
  use: string,
  { random }: { readonly random: Random },
): SealedBox {
  const keys = secrets.map((secret) => deriveKey(secret, use)) as [BoxKey, ...BoxKey[]];
  const current = keys[0];
  return {
    seal(place, plain) {
      const nonce = random.bytes(12);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
      cipher.setAAD(Buffer.from(place));
      const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain);
      return Buffer.concat([Buffer.of(FORMAT), current.id, nonce, body, cipher.final(), cipher.getAuthTag()]);
    },

    open(place, sealed) {
      if (sealed.length < HEAD + TAG || sealed[0] !== FORMAT) return 'broken';
      const id = sealed.subarray(1, 5);
      const key = keys.find((candidate) => candidate.id.equals(id));
      if (!key) return 'unknown-key';
      const decipher = createDecipheriv('aes-256-gcm', key.key, sealed.subarray(5, HEAD));
      decipher.setAAD(Buffer.from(place));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      try {
        const body = decipher.update(sealed.subarray(HEAD, sealed.length - TAG));
        return Buffer.concat([body, decipher.final()]);
      } catch {
        return 'broken';
      }
    },

    isCurrent: (sealed) => current.id.equals(Buffer.from(sealed.subarray(1, 5))),
  };
}

function deriveKey(secret: string, use: string): BoxKey {
  const raw = Buffer.from(hkdfSync('sha256', secret, '', use, 32));
  const id = createHmac('sha256', createSecretKey(raw)).update('id').digest().subarray(0, 4);
  return { id, key: createSecretKey(raw) };
}
