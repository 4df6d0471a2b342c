import type { Clock } from '../../lib/clock.ts';
import type { SessionStore, StoredSession } from '../store.ts';
import { StoreUnavailable } from '../store.ts';

/**
 * Sessions in the memory of this process: stateful, gone with it, shared with nobody. Bounded: when `maximum` sessions
 * are held and none has expired, `insert` refuses (a login answers 503) rather than ending somebody's session.
 */
export interface MemoryOptions {
  /** Default 1,000,000. */
  readonly maximum?: number;
}

export function openMemoryStore(options: MemoryOptions, deps: { readonly clock: Clock }): SessionStore {
  const maximum = options.maximum ?? 1_000_000;
  const sessions = new Map<string, StoredSession>();
  const keysOfUser = new Map<string, Set<string>>();
  let closed = false;

  const open = (): void => {
    if (closed) throw new StoreUnavailable('the memory session store is closed');
  };

  const add = (session: StoredSession): void => {
    sessions.set(session.key, session);
    const keys = keysOfUser.get(session.userId);
    if (keys) keys.add(session.key);
    else keysOfUser.set(session.userId, new Set([session.key]));
  };

  const remove = (session: StoredSession): void => {
    sessions.delete(session.key);
    const keys = keysOfUser.get(session.userId);
    keys?.delete(session.key);
    if (keys?.size === 0) keysOfUser.delete(session.userId);
  };

  const sweep = (now: number, limit: number): number => {
    let swept = 0;
    for (const session of sessions.values()) {
      if (swept >= limit) break;
      if (session.expiresAt < now) {
        remove(session);
        swept++;
      }
    }
    return swept;
  };

  return {
    findMany(keys) {
      open();
      return keys.map((key) => sessions.get(key) ?? null);
    },

    insert(session) {
      open();
      if (sessions.has(session.key)) return false;
      if (sessions.size >= maximum && sweep(deps.clock.now(), 1000) === 0) {
        throw new StoreUnavailable(`the memory session store is full (${maximum} sessions)`);
      }
      add(session);
      return true;
    },

    replace(key, version, next) {
      open();
      const current = sessions.get(key);
      if (!current || current.version !== version) return false;
      if (next.key !== key && sessions.has(next.key)) return false;
      remove(current);
      add({ ...next, lastActivity: Math.max(current.lastActivity, next.lastActivity) });
      return true;
    },

    touchMany(touches) {
      open();
      for (const { key, at } of touches) {
        const current = sessions.get(key);
        if (current && current.lastActivity < at) sessions.set(key, { ...current, lastActivity: at });
      }
    },

    delete(key) {
      open();
      const current = sessions.get(key);
      if (!current) return null;
      remove(current);
      return current.publicId;
    },

    listByUser(userId) {
      open();
      return [...(keysOfUser.get(userId) ?? [])].flatMap((key) => sessions.get(key) ?? []);
    },

    deleteByUser(userId, except) {
      open();
      const ended: string[] = [];
      for (const key of keysOfUser.get(userId) ?? []) {
        const session = sessions.get(key);
        if (!session || session.publicId === except) continue;
        remove(session);
        ended.push(session.publicId);
      }
      return ended;
    },

    sweep(now, limit) {
      open();
      return sweep(now, limit);
    },

    ping: open,

    async close() {
      closed = true;
      sessions.clear();
      keysOfUser.clear();
    },
  };
}
