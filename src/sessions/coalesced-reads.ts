import type { SessionStore, StoredSession } from './store.ts';

/**
 * All look-ups of one turn of the event loop as one read of the store. Every look-up still sees the store as it is now: what
 * is shared is the question, not an old answer. The same key is asked for once.
 */
export type FindOne = (key: string) => Promise<StoredSession | null>;

/** Keys in one read; more become another read at the same time. */
const BATCH = 256;

interface Batch {
  /** The place of each key in the answer. */
  readonly places: Map<string, number>;
  readonly answer: Promise<readonly (StoredSession | null)[]>;
}

export function coalesceReads(store: Pick<SessionStore, 'findMany'>): FindOne {
  let batch: Batch | null = null;

  const open = (): Batch => {
    const places = new Map<string, number>();
    const answer = new Promise<readonly (StoredSession | null)[]>((resolve, reject) => {
      // After the requests that arrived together have been read, before anything that came later.
      setImmediate(() => {
        if (batch === opened) batch = null;
        try {
          resolve(store.findMany([...places.keys()]));
        } catch (error) {
          reject(error);
        }
      });
    });
    const opened = { places, answer };
    return opened;
  };

  return (key) => {
    if (batch === null || batch.places.size >= BATCH) batch = open();
    const { places, answer } = batch;
    const place = places.get(key) ?? places.size;
    places.set(key, place);
    return answer.then((sessions) => sessions[place] ?? null);
  };
}
