import { sql as raw } from 'kysely';

import { type ColumnCipher, UndecipherableValue } from './column-cipher.ts';
import type { Database } from './database.ts';
import { encryptedColumns } from './tables.ts';
import { literal } from './upsert.ts';

/** What is encrypted, counted. */
export interface EncryptionReport {
  readonly table: string;
  readonly column: string;
  readonly values: number;
  /** Those that no configured key opens, by the keys of their rows. */
  readonly undecipherable: readonly string[];
  /** Those that another than the current key encrypted. */
  readonly previous: number;
}

const BATCH = 100;

/** Opens every encrypted value; changes nothing. */
export function checkValues(database: Database, cipher: ColumnCipher): Promise<readonly EncryptionReport[]> {
  return walk(database, cipher, async () => false);
}

/**
 * Encrypts every value anew that another than the current key encrypted. It may be stopped and begun again, and gateways may
 * go on working that have both keys. What cannot be opened stays as it is and is reported. The reports count what is left.
 */
export function changeKey(database: Database, cipher: ColumnCipher): Promise<readonly EncryptionReport[]> {
  return walk(database, cipher, async ({ table, key, column }, row, sealed, plain) => {
    const value = cipher.encrypt({ table, column, row }, plain);
    // Only in the place of the very value that was read: somebody may have written a newer one.
    const { numAffectedRows } = await raw`update ${tableOf(database, table)} set ${raw.ref(column)} = ${value}
      where ${raw.ref(key)} = ${row} and ${raw.ref(column)} = ${Buffer.from(sealed)}`.execute(database.sql);
    return numAffectedRows === 1n;
  });
}

type EncryptedColumn = (typeof encryptedColumns)[number];

/** Calls `renew` for values of other keys; true when it has renewed one. */
async function walk(
  database: Database,
  cipher: ColumnCipher,
  renew: (place: EncryptedColumn, row: string, sealed: Uint8Array, plain: Buffer) => Promise<boolean>,
): Promise<readonly EncryptionReport[]> {
  const reports: EncryptionReport[] = [];
  for (const place of encryptedColumns) {
    const undecipherable: string[] = [];
    let values = 0;
    let previous = 0;
    let after = '';
    for (;;) {
      const rows = await readBatch(database, place, after);
      for (const { row, sealed } of rows) {
        values++;
        try {
          const plain = cipher.decrypt({ ...place, row }, sealed);
          if (!cipher.isCurrent(sealed) && !(await renew(place, row, sealed, plain))) previous++;
        } catch (error) {
          if (!(error instanceof UndecipherableValue)) throw error;
          undecipherable.push(row);
        }
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < BATCH) break;
      after = last.row;
    }
    reports.push({ table: place.table, column: place.column, values, undecipherable, previous });
  }
  return reports;
}

async function readBatch(
  database: Database,
  { table, key, column }: EncryptedColumn,
  after: string,
): Promise<readonly { readonly row: string; readonly sealed: Uint8Array }[]> {
  const { rows } = await raw<{ row_key: string; sealed: Uint8Array }>`
    select ${raw.ref(key)} as row_key, ${raw.ref(column)} as sealed from ${tableOf(database, table)}
    where ${raw.ref(key)} > ${after} order by ${raw.ref(key)} limit ${literal(BATCH)}`.execute(database.sql);
  return rows.map(({ row_key, sealed }) => ({ row: row_key, sealed }));
}

/** kysely puts the schema before tables of its own statements only. */
function tableOf({ schema }: Database, table: string) {
  return schema === undefined ? raw.id(table) : raw.id(schema, table);
}
