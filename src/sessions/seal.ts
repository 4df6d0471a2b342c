import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

import type { Random } from '../lib/random.ts';

/**
 * Seals session records with AES-256-GCM. Layout: format (1 byte), key id (4), nonce (12), ciphertext, tag (16).
 * Additional data: realm, store key and format, so that a record copied to another key or realm does not open.
 * Not covered: putting back an older record of the same session.
 */
export interface Sealer {
  seal(storeKey: string, text: string): Buffer;
  /** 'unknown-key': sealed with a secret that is not configured here. 'broken': altered, torn or foreign. */
  open(storeKey: string, sealed: Buffer): { readonly text: string } | 'unknown-key' | 'broken';
}

const FORMAT = 1;
const HEAD = 1 + 4 + 12;
const TAG = 16;

interface SealKey {
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** The first secret seals, each of them opens. */
export function createSealer(
  realm: string,
  secrets: readonly [string, ...string[]],
  deps: { readonly random: Random },
): Sealer {
  const keys = secrets.map(deriveKey) as [SealKey, ...SealKey[]];
  const current = keys[0];
  const aad = (storeKey: string): Buffer => Buffer.from(`${realm}\0${storeKey}\0${FORMAT}`);

  return {
    seal(storeKey, text) {
      const nonce = deps.random.bytes(12);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
      cipher.setAAD(aad(storeKey));
      const body = cipher.update(text, 'utf8');
      return Buffer.concat([Buffer.of(FORMAT), current.id, nonce, body, cipher.final(), cipher.getAuthTag()]);
    },

    open(storeKey, sealed) {
      if (sealed.length < HEAD + TAG || sealed[0] !== FORMAT) return 'broken';
      const id = sealed.subarray(1, 5);
      const key = keys.find((candidate) => candidate.id.equals(id));
      if (!key) return 'unknown-key';
      const decipher = createDecipheriv('aes-256-gcm', key.key, sealed.subarray(5, HEAD));
      decipher.setAAD(aad(storeKey));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      try {
        const text = decipher.update(sealed.subarray(HEAD, sealed.length - TAG), undefined, 'utf8');
        return { text: text + decipher.final('utf8') };
      } catch {
        return 'broken';
      }
    },
  };
}

function deriveKey(secret: string): SealKey {
  const raw = Buffer.from(hkdfSync('sha256', secret, '', 'sallyport session record v1', 32));
  const id = createHmac('sha256', createSecretKey(raw)).update('id').digest().subarray(0, 4);
  return { id, key: createSecretKey(raw) };
}
