import type { Clock } from '../../lib/clock.ts';
import type { SessionDriver } from '../driver.ts';
import { createSessionTable } from '../session-table.ts';
import type { SessionStore } from '../store.ts';
import { StoreUnavailable } from '../store.ts';

/**
 * Sessions in the memory of this process: stateful, gone with it, shared with nobody. Bounded: when `maximum` sessions
 * are held and a bounded look finds none that has expired, `insert` refuses (a login answers 503) rather than ending
 * somebody's session.
 */
export interface MemoryOptions {
  /** Default 1,000,000. */
  readonly maximum?: number;
}

/** How many expired sessions make room at most when the store is full. */
const ROOM = 1000;

export const memoryDriver: SessionDriver<null> = {
  config: null,
  shared: false,
  open: async (_config, { clock }) => openMemoryStore({}, { clock }),
};

export function openMemoryStore(options: MemoryOptions, deps: { readonly clock: Clock }): SessionStore {
  const maximum = options.maximum ?? 1_000_000;
  const table = createSessionTable();
  let closed = false;

  const open = (): void => {
    if (closed) throw new StoreUnavailable('the memory session store is closed');
  };

  const sweep = (now: number, limit: number): number => {
    const expired = table.takeExpired(now, limit);
    for (const key of expired) table.remove(key);
    return expired.length;
  };

  return {
    findMany(keys) {
      open();
      return keys.map((key) => table.find(key));
    },

    activityOf(key) {
      open();
      return table.peek(key)?.lastActivity ?? null;
    },

    insert(session) {
      open();
      if (table.peek(session.key)) return false;
      if (table.size >= maximum && sweep(deps.clock.now(), ROOM) === 0) {
        throw new StoreUnavailable(`the memory session store is full (${maximum} sessions)`);
      }
      table.add(session);
      return true;
    },

    replace(key, version, next) {
      open();
      if (table.peek(key)?.version !== version) return false;
      if (next.key !== key && table.peek(next.key)) return false;
      table.exchange(key, next);
      return true;
    },

    touchMany(touches) {
      open();
      for (const { key, at } of touches) table.touch(key, at);
    },

    delete(key) {
      open();
      return table.remove(key);
    },

    listByUser(userId) {
      open();
      return table.rowsOfUser(userId).flatMap(({ key }) => table.find(key) ?? []);
    },

    deleteByUser(userId, except) {
      open();
      const ended = table.rowsOfUser(userId).filter(({ publicId }) => publicId !== except);
      for (const { key } of ended) table.remove(key);
      return ended.map(({ publicId }) => publicId);
    },

    sweep(now, limit) {
      open();
      return sweep(now, limit);
    },

    ping: open,

    async close() {
      closed = true;
      table.clear();
    },
  };
}
