import type { SessionStore, StoredSession } from './store.ts';

/**
 * All look-ups of one turn of the event loop as one read of the store. Every look-up still sees the store as it is now: what
 * is shared is the question, not an old answer. The same key is asked for once.
 */
export type FindOne = (key: string) => Promise<StoredSession | null>;

/** Keys in one read; more become another read at the same time. */
const BATCH = 256;

interface Waiting {
  readonly resolve: (session: StoredSession | null) => void;
  readonly reject: (error: unknown) => void;
}

export function coalesceReads(store: Pick<SessionStore, 'findMany'>): FindOne {
  let batch: Map<string, Waiting[]> | null = null;

  const flush = (current: ReadonlyMap<string, readonly Waiting[]>): void => {
    const keys = [...current.keys()];
    const settle = (sessions: readonly (StoredSession | null)[]): void => {
      let i = 0;
      for (const waiting of current.values()) {
        const session = sessions[i++] ?? null;
        for (const { resolve } of waiting) resolve(session);
      }
    };
    const fail = (error: unknown): void => {
      for (const waiting of current.values()) for (const { reject } of waiting) reject(error);
    };
    try {
      const sessions = store.findMany(keys);
      if (sessions instanceof Promise) sessions.then(settle, fail);
      else settle(sessions);
    } catch (error) {
      fail(error);
    }
  };

  return (key) =>
    new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      if (batch === null || batch.size >= BATCH) {
        const opened = new Map<string, Waiting[]>();
        batch = opened;
        // After the requests that arrived together have been read, before anything that came later.
        setImmediate(() => {
          if (batch === opened) batch = null;
          flush(opened);
        });
      }
      const same = batch.get(key);
      if (same) same.push(waiting);
      else batch.set(key, [waiting]);
    });
}
