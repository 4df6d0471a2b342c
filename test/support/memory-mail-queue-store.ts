import type { MailQueueStore, StoredMail } from '../../src/notifier/mail-queue-store.ts';

interface Row extends StoredMail {
  nextAttempt: number;
  attempts: number;
  lease: { token: string; until: number } | null;
}

/** A store for tests, for any number of queues of one process. */
export interface MemoryMailQueueStore extends MailQueueStore {
  readonly rows: ReadonlyMap<string, Readonly<Row>>;
  /** From now on every call throws this. */
  failure: Error | null;
}

export function memoryMailQueueStore(): MemoryMailQueueStore {
  const rows = new Map<string, Row>();
  const held = (id: string, token: string): Row | null => {
    if (store.failure !== null) throw store.failure;
    const row = rows.get(id);
    return row?.lease?.token === token ? row : null;
  };
  const store: MemoryMailQueueStore = {
    rows,
    failure: null,
    async insert(mail, limit, lease) {
      if (store.failure !== null) throw store.failure;
      if (rows.size >= limit) return false;
      rows.set(mail.id, { ...mail, attempts: lease === undefined ? 0 : 1, lease: lease ?? null });
      return true;
    },
    async claim(lease, now, count) {
      if (store.failure !== null) throw store.failure;
      const due = [...rows.values()]
        .filter((row) => row.nextAttempt <= now && (row.lease === null || row.lease.until <= now))
        .sort((a, b) => a.nextAttempt - b.nextAttempt)
        .slice(0, count);
      return due.map((row) => {
        row.lease = { ...lease };
        row.attempts += 1;
        return { id: row.id, payload: row.payload, expiresAt: row.expiresAt, attempts: row.attempts };
      });
    },
    async postpone(id, token, nextAttempt) {
      const row = held(id, token);
      if (row === null) return false;
      row.nextAttempt = nextAttempt;
      row.lease = null;
      return true;
    },
    async delete(id, token) {
      return held(id, token) !== null && rows.delete(id);
    },
  };
  return store;
}
