import type { Stopwatch } from '../lib/clock.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { SessionStore } from './store.ts';

/** Is told of each operation that a store did not answer at once. */
export type StoreMeter = (operation: StoreOperation, seconds: number, success: boolean) => void;

export type StoreOperation =
  | 'find'
  | 'compare'
  | 'activity'
  | 'insert'
  | 'replace'
  | 'touch'
  | 'delete'
  | 'list'
  | 'sweep'
  | 'ping';

/** The same store, measured. */
export function meterStore(store: SessionStore, meter: StoreMeter, stopwatch: Stopwatch): SessionStore {
  const { stillHolds } = store;
  const run = <T>(operation: StoreOperation, start: () => MaybePromise<T>): MaybePromise<T> => {
    const began = stopwatch.now();
    const result = start();
    if (!(result instanceof Promise)) return result;
    return result.then(
      (value) => {
        meter(operation, (stopwatch.now() - began) / 1000, true);
        return value;
      },
      (error: unknown) => {
        meter(operation, (stopwatch.now() - began) / 1000, false);
        throw error;
      },
    );
  };
  return {
    findMany: (keys) => run('find', () => store.findMany(keys)),
    ...(stillHolds && { stillHolds: (known) => run('compare', () => stillHolds(known)) }),
    activityOf: (key) => run('activity', () => store.activityOf(key)),
    insert: (session) => run('insert', () => store.insert(session)),
    replace: (key, version, next) => run('replace', () => store.replace(key, version, next)),
    touchMany: (touches) => run('touch', () => store.touchMany(touches)),
    delete: (key) => run('delete', () => store.delete(key)),
    listByUser: (userId) => run('list', () => store.listByUser(userId)),
    deleteByUser: (userId, except) => run('delete', () => store.deleteByUser(userId, except)),
    sweep: (now, limit) => run('sweep', () => store.sweep(now, limit)),
    ping: () => run('ping', () => store.ping()),
    close: () => store.close(),
  };
}
