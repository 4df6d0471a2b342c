import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';

import type { Random } from '../lib/random.ts';
import type { encryptedColumns } from './tables.ts';

/** Where a value stands. It opens nowhere else. */
export interface CipherPlace {
  readonly table: (typeof encryptedColumns)[number]['table'];
  readonly column: (typeof encryptedColumns)[number]['column'];
  /** The row's key. */
  readonly row: string;
}

/**
 * Encrypts single values of the database with AES-256-GCM. Layout: format (1 byte), key id (4), nonce (12), ciphertext,
 * tag (16). Additional data: format, table, column and row, so that a value copied elsewhere does not open. Keys come from
 * `storage.encryption_key` and its predecessors by HKDF-SHA-256.
 * Not covered: putting back an older value of the same place.
 */
export interface ColumnCipher {
  encrypt(place: CipherPlace, plain: Uint8Array): Buffer;
  /** Throws UndecipherableValue. */
  decrypt(place: CipherPlace, sealed: Uint8Array): Buffer;
  /** Whether the value was encrypted with the first key. */
  isCurrent(sealed: Uint8Array): boolean;
}

/** A value that does not open: of a key that is not configured, altered, or from another place. */
export class UndecipherableValue extends Error {
  override name = 'UndecipherableValue';
  readonly reason: 'unknown-key' | 'broken';

  constructor(reason: 'unknown-key' | 'broken', { table, column, row }: CipherPlace) {
    const why =
      reason === 'unknown-key'
        ? 'was encrypted with a key that is neither storage.encryption_key nor in storage.accepted_encryption_keys'
        : 'was altered, or belongs to another row';
    super(`${column} of ${JSON.stringify(row)} in ${table} ${why}`);
    this.reason = reason;
  }
}

const FORMAT = 1;
const HEAD = 1 + 4 + 12;
const TAG = 16;

interface CipherKey {
  readonly id: Buffer;
  readonly key: KeyObject;
}

/** The first secret encrypts, each of them decrypts. */
export function createColumnCipher(
  secrets: readonly [string, ...string[]],
  { random }: { readonly random: Random },
): ColumnCipher {
  const keys = secrets.map(deriveKey) as [CipherKey, ...CipherKey[]];
  const current = keys[0];
  return {
    encrypt(place, plain) {
      const nonce = random.bytes(12);
      const cipher = createCipheriv('aes-256-gcm', current.key, nonce);
      cipher.setAAD(additionalData(place));
      const body = cipher.update(plain);
      return Buffer.concat([Buffer.of(FORMAT), current.id, nonce, body, cipher.final(), cipher.getAuthTag()]);
    },

    decrypt(place, bytes) {
      const sealed = Buffer.from(bytes);
      if (sealed.length < HEAD + TAG || sealed[0] !== FORMAT) throw new UndecipherableValue('broken', place);
      const key = keys.find(({ id }) => id.equals(sealed.subarray(1, 5)));
      if (!key) throw new UndecipherableValue('unknown-key', place);
      const decipher = createDecipheriv('aes-256-gcm', key.key, sealed.subarray(5, HEAD));
      decipher.setAAD(additionalData(place));
      decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
      try {
        const body = decipher.update(sealed.subarray(HEAD, sealed.length - TAG));
        return Buffer.concat([body, decipher.final()]);
      } catch {
        throw new UndecipherableValue('broken', place);
      }
    },

    isCurrent: (sealed) => current.id.equals(Buffer.from(sealed.subarray(1, 5))),
  };
}

function additionalData({ table, column, row }: CipherPlace): Buffer {
  return Buffer.from(JSON.stringify([FORMAT, table, column, row]));
}

function deriveKey(secret: string): CipherKey {
  const raw = Buffer.from(hkdfSync('sha256', secret, '', 'sallyport storage column v1', 32));
  const id = createHmac('sha256', createSecretKey(raw)).update('id').digest().subarray(0, 4);
  return { id, key: createSecretKey(raw) };
}
