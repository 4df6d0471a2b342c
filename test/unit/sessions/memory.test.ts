import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { expect, test } from 'vitest';

import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import { type StoredSession, StoreUnavailable } from '../../../src/sessions/store.ts';
import { fakeClock } from '../../support/fake-clock.ts';

const session = (key: string, expiresAt: number): StoredSession => ({
  key,
  version: 1,
  publicId: `id of ${key}`,
  userId: 'john',
  sid: null,
  createdAt: 0,
  expiresAt,
  lastActivity: 0,
  sealed: Buffer.of(1),
});

test('a full store refuses a new session rather than ending one', async () => {
  const clock = fakeClock(1000);
  const store = openMemoryStore({ maximum: 2 }, { clock });
  await store.insert(session('a', 5000));
  await store.insert(session('b', 9000));
  expect(() => store.insert(session('c', 9000))).toThrow(StoreUnavailable);
  expect(await store.findMany(['a', 'b', 'c'])).toMatchObject([{ key: 'a' }, { key: 'b' }, null]);
  // What is taken is said first: that is no matter of room.
  expect(await store.insert(session('a', 9000))).toBe(false);
  // A session in the place of another needs no room.
  expect(await store.replace('a', 1, { ...session('a2', 5000), version: 2 })).toBe(true);
});

test('a full store makes room by what has expired', async () => {
  const clock = fakeClock(1000);
  const store = openMemoryStore({ maximum: 2 }, { clock });
  await store.insert(session('a', 5000));
  await store.insert(session('b', 9000));
  clock.set(5001);
  expect(await store.insert(session('c', 9000))).toBe(true);
  expect(await store.findMany(['a', 'b', 'c'])).toMatchObject([null, { key: 'b' }, { key: 'c' }]);
});

test('what comes out cannot change what is kept', async () => {
  const store = openMemoryStore({}, { clock: fakeClock(1000) });
  const one = { ...session('a', 5000), sealed: Buffer.of(1, 2, 3) };
  await store.insert(one);
  one.sealed.fill(0);
  const [found] = await store.findMany(['a']);
  found?.sealed.fill(7);
  Object.assign(found ?? {}, { userId: 'admin', lastActivity: 99 });
  const [listed] = await store.listByUser('john');
  listed?.sealed.fill(8);
  expect(await store.findMany(['a'])).toEqual([{ ...one, sealed: Buffer.of(1, 2, 3) }]);
});

test('a session costs less than 600 bytes of heap', async () => {
  // Just after the tables have grown, when they are emptiest, and where they are full.
  for (const count of [140_000, 260_000]) {
    const child = join(import.meta.dirname, 'memory-child.ts');
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', child, String(count)]);
    const { heap, outside } = JSON.parse(stdout) as { readonly heap: number; readonly outside: number };
    expect(heap, `${count} sessions`).toBeLessThan(600);
    expect(heap).toBeGreaterThan(100);
    expect(outside).toBeLessThan(450);
  }
});
