import type { AuditEntry } from '../events/event-table.ts';
import { messageOf } from '../lib/message-of.ts';
import { createAuditLog } from '../storage/audit-log.ts';
import type { Storage } from '../storage/storage.ts';
import type { CliIo } from './io.ts';

/** Writes what an operator did into the audit log. It is done already: what cannot be written is a warning. */
export async function recordDeed(
  storage: Storage,
  { event, username = null, ip = null, details = {} }: AuditEntry,
  io: CliIo,
): Promise<void> {
  const at = storage.clock.now();
  try {
    await createAuditLog(storage).insert({
      at,
      event,
      username,
      ip,
      details: { ...details, by: 'operator' },
    });
  } catch (error) {
    io.err(`warning: this is done, but not in the audit log: ${messageOf(error)}\n`);
  }
}
