import type { Timers } from '../lib/timers.ts';
import type { SessionStore, StoredSession } from './store.ts';

/**
 * All look-ups of one turn of the event loop as one read of the store, together with those that come while another read is
 * under way, as that one's answer may be older than they are. Every look-up still sees the store as it is now: what is
 * shared is the question, not an old answer. The same key is asked for once.
 */
export type FindOne = (key: string) => Promise<StoredSession | null>;

/** Keys in one read; more become another read at the same time. */
const BATCH = 256;
/** Reads under way for which the next one waits, so that a busy gateway asks for much at once. */
const UNDER_WAY = 1;
/** Milliseconds for which it waits at most: a read that hangs holds up nothing. */
const WAIT_AT_MOST = 3;

interface Batch {
  /** The place of each key in the answer. */
  readonly places: Map<string, number>;
  readonly answer: Promise<readonly (StoredSession | null)[]>;
  readonly send: () => void;
}

export function coalesceReads(store: Pick<SessionStore, 'findMany'>, timers: Timers): FindOne {
  /** Takes further keys. */
  let open: Batch | null = null;
  /** Is open, has its turn behind it, and waits for a read that is under way. */
  let waiting: Batch | null = null;
  let underWay = 0;
  let stopWaiting = (): void => {};

  const start = (): Batch => {
    const places = new Map<string, number>();
    const { promise, resolve } = Promise.withResolvers<readonly (StoredSession | null)[]>();
    const finish = (): void => {
      underWay--;
      waiting?.send();
    };
    const batch: Batch = {
      places,
      answer: promise,
      send() {
        if (open === batch) open = null;
        if (waiting === batch) {
          waiting = null;
          stopWaiting();
        }
        underWay++;
        const answer = Promise.try(() => store.findMany([...places.keys()]));
        resolve(answer);
        void answer.catch(nothing).then(finish);
      },
    };
    // After the requests that arrived together have been read, before anything that came later.
    setImmediate(() => {
      if (underWay < UNDER_WAY || open !== batch) return batch.send();
      waiting = batch;
      stopWaiting = timers.after(WAIT_AT_MOST, batch.send);
    });
    return batch;
  };

  return (key) => {
    if (open !== null && open.places.size >= BATCH) {
      if (waiting === open) waiting.send();
      open = null;
    }
    open ??= start();
    const { places, answer } = open;
    const place = places.get(key) ?? places.size;
    places.set(key, place);
    return answer.then((sessions) => sessions[place] ?? null);
  };
}

function nothing(): void {}
