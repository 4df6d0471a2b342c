import { createHash } from 'node:crypto';

import { insertOnce } from './database.ts';
import type { Storage } from './storage.ts';

/**
 * What may happen once: exactly one of all callers, on all replicas, is told true for an id of a purpose. One insert on the
 * unique (purpose, id) decides. `expiresAt` is when the id would be refused anyway: from then on it may be forgotten.
 * Only the SHA-256 of the id is kept. Rejects with StorageUnavailable: then nobody may go on.
 */
export type ConsumeOnce = (purpose: string, id: string, expiresAt: number) => Promise<boolean>;

export function createConsumeOnce({ database }: Pick<Storage, 'database'>): ConsumeOnce {
  return (purpose, id, expiresAt) =>
    insertOnce(database, 'sallyport_used_once', {
      purpose,
      id_hash: createHash('sha256').update(id).digest('base64url'),
      expires_at: expiresAt,
    });
}
