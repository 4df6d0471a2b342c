import type { Random } from '../lib/random.ts';
import { createSealedBox, FORMAT } from '../lib/sealed-box.ts';
import type { encryptedColumns } from './tables.ts';

/** Where a value stands. It opens nowhere else. */
export interface CipherPlace {
  readonly table: (typeof encryptedColumns)[number]['table'];
  readonly column: (typeof encryptedColumns)[number]['column'];
  /** The row's key. */
  readonly row: string;
}

/**
 * Encrypts single values of the database (lib/sealed-box.ts) under `storage.encryption_key`, and opens those of its
 * predecessors. Additional data: format, table, column and row, so that a value copied elsewhere does not open.
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

/** The first secret encrypts, each of them decrypts. */
export function createColumnCipher(
  secrets: readonly [string, ...string[]],
  deps: { readonly random: Random },
): ColumnCipher {
  const box = createSealedBox(secrets, 'sallyport storage column v1', deps);
  return {
    encrypt: (place, plain) => box.seal(additionalData(place), plain),
    decrypt(place, sealed) {
      const opened = box.open(additionalData(place), Buffer.from(sealed));
      if (typeof opened === 'string') throw new UndecipherableValue(opened, place);
      return opened;
    },
    isCurrent: (sealed) => box.isCurrent(sealed),
  };
}

function additionalData({ table, column, row }: CipherPlace): string {
  return JSON.stringify([FORMAT, table, column, row]);
}
