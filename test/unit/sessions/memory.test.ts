import { expect, test } from 'vitest';

import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import { type StoredSession, StoreUnavailable } from '../../../src/sessions/store.ts';
import { fakeClock } from '../../support/fake-clock.ts';

const session = (key: string, expiresAt: number): StoredSession => ({
  key,
  version: 1,
  publicId: `id of ${key}`,
  userId: 'john',
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
