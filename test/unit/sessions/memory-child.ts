import { randomBytes } from 'node:crypto';

import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';

/** Prints what a session costs, in bytes: `heap` of JavaScript, and `outside` of it. Run with --expose-gc and a count. */
const count = Number(process.argv[2]);
const now = 1_800_000_000_000;

function settledMemory(): NodeJS.MemoryUsage {
  for (let i = 0; i < 4; i++) globalThis.gc?.();
  return process.memoryUsage();
}

const before = settledMemory();
const store = openMemoryStore({}, { clock: { now: () => now } });
for (let i = 0; i < count; i++) {
  void store.insert({
    key: randomBytes(32).toString('base64url'),
    version: 1,
    publicId: randomBytes(12).toString('base64url'),
    userId: `user${i}`,
    sid: null,
    createdAt: now + i,
    expiresAt: now + i + 3_600_000,
    lastActivity: now + i + 1,
    sealed: randomBytes(350 + (i % 51)),
  });
}
const after = settledMemory();
const heap = (after.heapUsed - before.heapUsed) / count;
const outside = (after.external - before.external) / count;
process.stdout.write(JSON.stringify({ heap, outside }));
// Used until here, so that it was not collected before it was weighed.
await store.close();
