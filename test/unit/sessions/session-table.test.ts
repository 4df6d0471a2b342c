import { expect, test } from 'vitest';

import { createSessionTable } from '../../../src/sessions/session-table.ts';
import type { StoredSession } from '../../../src/sessions/store.ts';
import { seededRandom } from '../../support/fake-clock.ts';

const session = (key: string, over: Partial<StoredSession> = {}): StoredSession => ({
  key,
  version: 1,
  publicId: `id of ${key}`,
  userId: 'john',
  sid: null,
  createdAt: 0,
  expiresAt: 1000,
  lastActivity: 0,
  sealed: Buffer.from(key),
  ...over,
});

test('it holds what a plain map would hold, whatever happens in which order', () => {
  const random = seededRandom('session table');
  const table = createSessionTable();
  const model = new Map<string, StoredSession>();
  const users = ['a', 'b', 'c', '__proto__'];
  const anyKey = (): string => `key${random.integer(40)}`;
  const any = (key: string): StoredSession =>
    session(key, {
      version: random.integer(1000),
      userId: users[random.integer(users.length)] ?? '',
      sid: random.integer(2) ? 'sid' : null,
      expiresAt: random.integer(2000),
      lastActivity: random.integer(100),
      sealed: random.bytes(random.integer(3) * 40 + (random.integer(20) ? 0 : 9000)),
    });
  for (let round = 0; round < 5000; round++) {
    const key = anyKey();
    const current = model.get(key);
    const choice = random.integer(5);
    if (choice === 0 && !current) {
      const added = any(key);
      table.add(added);
      model.set(key, added);
    } else if (choice === 1) {
      expect(table.remove(key)).toBe(current?.publicId ?? null);
      model.delete(key);
    } else if (choice === 2 && current) {
      const next = any(random.integer(2) ? key : anyKey());
      if (next.key !== key && model.has(next.key)) continue;
      table.exchange(key, next);
      model.delete(key);
      model.set(next.key, { ...next, lastActivity: Math.max(next.lastActivity, current.lastActivity) });
    } else if (choice === 3) {
      const at = random.integer(200);
      const isLater = current !== undefined && current.lastActivity < at;
      expect(table.touch(key, at)).toBe(isLater);
      if (isLater) model.set(key, { ...current, lastActivity: at });
    } else expect(table.find(key)).toEqual(current ?? null);
  }
  expect(table.size).toBe(model.size);
  for (const userId of users) {
    const own = [...model.values()].filter((one) => one.userId === userId);
    expect(
      table
        .rowsOfUser(userId)
        .map(({ key }) => key)
        .sort(),
    ).toEqual(own.map(({ key }) => key).sort());
  }
  for (const [key, one] of model) expect(table.find(key)).toEqual(one);
});

test('a place stays with its session through changes', () => {
  const table = createSessionTable();
  table.add(session('a'), 7);
  table.exchange('a', session('b', { version: 2 }));
  expect(table.peek('a')).toBeUndefined();
  expect(table.peek('b')).toMatchObject({ place: 7, version: 2 });
});

test('looking for what has expired is bounded and goes on where it stopped', () => {
  const table = createSessionTable();
  for (let i = 0; i < 100; i++) table.add(session(`new${i}`));
  table.add(session('old', { expiresAt: 1 }));
  for (let i = 100; i < 120; i++) table.add(session(`new${i}`));
  // 16 looks for each of the limit: the seventh time comes to the hundred and first session.
  const found = Array.from({ length: 8 }, () => table.takeExpired(500, 1));
  expect(found).toEqual([[], [], [], [], [], [], ['old'], []]);
  // And begins anew at the end.
  table.add(session('older', { expiresAt: 2 }));
  const again = Array.from({ length: 9 }, () => table.takeExpired(500, 1)).flat();
  expect(again.sort()).toEqual(['old', 'older']);
  // No session stands twice in one answer.
  expect([...table.takeExpired(500, 100)].sort()).toEqual(['old', 'older']);
});
