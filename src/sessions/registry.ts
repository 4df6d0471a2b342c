import { openMemoryStore } from './drivers/memory.ts';

/** The session stores by name. A driver is one file and one line here; the contract suite finds it by itself. */
export const sessionStores = { memory: openMemoryStore } as const;
