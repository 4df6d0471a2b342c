import type { Storage } from './storage.ts';
import { literal } from './upsert.ts';

/** One business event. */
export interface AuditRecord {
  readonly at: number;
  /** `login.succeeded`; at most 64 characters. */
  readonly event: string;
  readonly username: string | null;
  readonly ip: string | null;
  /** No secrets. */
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** What happened, for whoever has to account for it. Records are added and read; only their age removes them. */
export interface AuditLog {
  insert(record: AuditRecord): Promise<void>;
  /** Adds them in this order, all or none. */
  insertAll(records: readonly AuditRecord[]): Promise<void>;
  /** The newest first, before the given id if there is one. */
  list(filter: AuditFilter): Promise<readonly (AuditRecord & { readonly id: number })[]>;
}

export interface AuditFilter {
  readonly username?: string;
  readonly event?: string;
  readonly since?: number;
  readonly before?: number;
  readonly limit: number;
}

const table = 'sallyport_audit';

export function createAuditLog({ database: { sql } }: Pick<Storage, 'database'>): AuditLog {
  const insertAll: AuditLog['insertAll'] = async (records) => {
    if (records.length === 0) return;
    const rows = records.map((record) => ({ ...record, details: JSON.stringify(record.details) }));
    await sql.insertInto(table).values(rows).execute();
  };

  return {
    insert: (record) => insertAll([record]),
    insertAll,
    async list({ username, event, since, before, limit }) {
      const rows = await sql
        .selectFrom(table)
        .selectAll()
        .$if(username !== undefined, (query) => query.where('username', '=', username ?? ''))
        .$if(event !== undefined, (query) => query.where('event', '=', event ?? ''))
        .$if(since !== undefined, (query) => query.where('at', '>=', since ?? 0))
        .$if(before !== undefined, (query) => query.where('id', '<', before ?? 0))
        .orderBy('id', 'desc')
        .limit(literal(limit))
        .execute();
      return rows.map(({ id, at, event, username, ip, details }) => ({
        id,
        at,
        event,
        username,
        ip,
        details: JSON.parse(details) as AuditRecord['details'],
      }));
    },
  };
}
