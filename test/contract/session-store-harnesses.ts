import { openMemoryStore } from '../../src/sessions/drivers/memory.ts';
import type { sessionStores } from '../../src/sessions/registry.ts';
import type { SessionStore } from '../../src/sessions/store.ts';
import type { Clock } from '../../src/lib/clock.ts';

/** One place where sessions are kept: a server, a folder, a process. */
export interface StorePlace {
  /** A store over this place, for a realm. Several may be open at once, as replicas are. */
  open(realm: string): Promise<SessionStore>;
  /** From now on the place cannot be reached. */
  cutOff(): Promise<void>;
  dispose(): Promise<void>;
}

/** How to get a place without sessions, and how to break it. */
export interface SessionStoreHarness {
  create(deps: { readonly clock: Clock }): Promise<StorePlace>;
  /** Contract cases that do not hold for this driver, each with the reason; they are printed as skipped. */
  readonly exceptions: readonly { readonly test: string; readonly reason: string }[];
}

/** Typed by the registry: a driver without a harness does not compile. */
export const sessionStoreHarnesses: { readonly [K in keyof typeof sessionStores]: SessionStoreHarness } = {
  memory: {
    create: createMemoryPlace,
    exceptions: [
      {
        test: 'every operation throws StoreUnavailable when the store cannot answer',
        reason: 'the memory of this process is never out of reach',
      },
      {
        test: 'two stores over one place see the same sessions',
        reason: 'memory is shared with nobody',
      },
    ],
  },
};

async function createMemoryPlace({ clock }: { readonly clock: Clock }): Promise<StorePlace> {
  const opened: SessionStore[] = [];
  return {
    async open() {
      const store = openMemoryStore({}, { clock });
      opened.push(store);
      return store;
    },
    async cutOff() {
      // Nothing to cut.
    },
    async dispose() {
      for (const store of opened) await store.close();
    },
  };
}
