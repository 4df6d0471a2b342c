import { UndecipherableValue, type ColumnCipher } from './column-cipher.ts';
import { type Database, insertOnce } from './database.ts';
import { StorageUnfit } from './errors.ts';

const place = { table: 'sallyport_encryption', column: 'value', row: 'canary' } as const;
const CANARY = 'sallyport';

/**
 * Whether the key is the one with which this database was encrypted, by a value that was written with it at the first start.
 * 'previous': it is one of `storage.accepted_encryption_keys`, so a change of the key is under way. Throws StorageUnfit when
 * it is none of them.
 */
export async function checkCanary(database: Database, cipher: ColumnCipher): Promise<'current' | 'previous'> {
  const read = async (): Promise<Uint8Array | undefined> => {
    const row = await database.sql
      .selectFrom('sallyport_encryption')
      .select('value')
      .where('name', '=', place.row)
      .executeTakeFirst();
    return row?.value;
  };
  let value = await read();
  if (value === undefined) {
    // Of two that start at once, the second finds what the first has written.
    await insertOnce(database, place.table, {
      name: place.row,
      value: cipher.encrypt(place, Buffer.from(CANARY)),
    });
    value = await read();
  }
  try {
    if (value === undefined || cipher.decrypt(place, value).toString() !== CANARY) {
      throw new UndecipherableValue('broken', place);
    }
  } catch (error) {
    if (!(error instanceof UndecipherableValue)) throw error;
    throw new StorageUnfit(
      'storage.encryption_key is not the key with which this database was encrypted. Set the former key again; if it is to be changed, list the former one in storage.accepted_encryption_keys and run: sallyport storage encryption change-key',
      { cause: error },
    );
  }
  return cipher.isCurrent(value) ? 'current' : 'previous';
}
