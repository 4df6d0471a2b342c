import { createHash } from 'node:crypto';

import { insertOnce } from './database.ts';
import type { Storage } from './storage.ts';

/** 'first': the person had none before, so nobody needs to be told; 'new': the person had others; 'known'. */
export type DeviceSight = 'first' | 'new' | 'known';

/** From where people have logged in before. */
export interface KnownDevices {
  /** Notes that the person came with a device, told by whatever text makes it up; only its SHA-256 is kept. */
  see(username: string, fingerprint: string, now: number): Promise<DeviceSight>;
}

const table = 'sallyport_known_devices';

export function createKnownDevices({ database }: Pick<Storage, 'database'>): KnownDevices {
  const { sql } = database;
  return {
    async see(username, text, now) {
      const fingerprint = createHash('sha256').update(text).digest('base64url');
      const { numUpdatedRows } = await sql
        .updateTable(table)
        .set({ last_seen_at: now })
        .where('username', '=', username)
        .where('fingerprint', '=', fingerprint)
        .executeTakeFirst();
      if (numUpdatedRows > 0n) return 'known';
      const row = { username, fingerprint, first_seen_at: now, last_seen_at: now };
      if (!(await insertOnce(database, table, row))) return 'known';
      const other = await sql
        .selectFrom(table)
        .select('fingerprint')
        .where('username', '=', username)
        .where('fingerprint', '!=', fingerprint)
        .executeTakeFirst();
      return other ? 'new' : 'first';
    },
  };
}
