import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { Timers } from '../lib/timers.ts';

/** Questions in one read; more become another read at the same time. */
const BATCH = 256;
/** Reads under way for which the next one waits, so that a busy gateway asks for much at once. */
const UNDER_WAY = 1;
/** Milliseconds for which it waits at most: a read that hangs holds up nothing. */
const WAIT_AT_MOST = 3;

interface Batch<Q, A> {
  /** The place of each question's answer. */
  readonly places: Map<Q, number>;
  readonly answers: Promise<readonly A[]>;
  readonly send: () => void;
}

/**
 * All questions of one turn of the event loop as one read of the store, together with those that come while another read is
 * under way, as that one's answer may be older than they are. Every question still sees the store as it is now: what is
 * shared is the read, not an old answer. Equal questions are asked once. `read` answers them in their order. Goes on with
 * `use` in the same step, as each promise on the way costs every request.
 */
export function coalesce<Q, A>(
  read: (questions: readonly Q[]) => MaybePromise<readonly A[]>,
  timers: Timers,
): <T>(question: Q, use: (answer: A) => MaybePromise<T>) => Promise<T> {
  /** Takes further questions. */
  let open: Batch<Q, A> | null = null;
  /** Is open, has its turn behind it, and waits for a read that is under way. */
  let waiting: Batch<Q, A> | null = null;
  let underWay = 0;
  let stopWaiting = (): void => {};

  const start = (): Batch<Q, A> => {
    const places = new Map<Q, number>();
    const { promise, resolve } = Promise.withResolvers<readonly A[]>();
    const finish = (): void => {
      underWay--;
      waiting?.send();
    };
    const batch: Batch<Q, A> = {
      places,
      answers: promise,
      send() {
        if (open === batch) open = null;
        if (waiting === batch) {
          waiting = null;
          stopWaiting();
        }
        underWay++;
        const answers = Promise.try(() => read([...places.keys()]));
        resolve(answers);
        void answers.catch(nothing).then(finish);
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

  return (question, use) => {
    if (open !== null && open.places.size >= BATCH) {
      if (waiting === open) waiting.send();
      open = null;
    }
    open ??= start();
    const { places, answers } = open;
    const place = places.get(question) ?? places.size;
    places.set(question, place);
    return answers.then((all) => use(all[place] as A));
  };
}

function nothing(): void {}
