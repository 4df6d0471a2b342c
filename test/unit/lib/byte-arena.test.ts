import { expect, test } from 'vitest';

import { createByteArena } from '../../../src/lib/byte-arena.ts';
import { seededRandom } from '../../support/fake-clock.ts';

test('gives back what was put in, of any length, while others come and go', () => {
  const random = seededRandom('byte arena');
  const arena = createByteArena();
  const kept = new Map<number, Buffer>();
  for (let round = 0; round < 20_000; round++) {
    const [oldest] = kept.keys();
    if (oldest !== undefined && (kept.size > 600 || random.integer(3) === 0)) {
      expect(arena.get(oldest)).toEqual(kept.get(oldest));
      arena.free(oldest);
      kept.delete(oldest);
    } else {
      const bytes = random.bytes(random.integer(20) ? random.integer(500) : random.integer(6000));
      const ref = arena.put(bytes);
      expect(kept.has(ref)).toBe(false);
      kept.set(ref, bytes);
    }
  }
  for (const [ref, bytes] of kept) expect(arena.get(ref)).toEqual(bytes);
});

test('lengths at the edges of slots and pages', () => {
  const arena = createByteArena();
  const all = [0, 1, 29, 30, 31, 32, 33, 4093, 4094, 4095, 4096, 65_536, 100_000].flatMap((length) =>
    Array.from({ length: 20 }, (_, i) => {
      const bytes = Buffer.alloc(length, i + 1);
      return { bytes, ref: arena.put(bytes) };
    }),
  );
  for (const { bytes, ref } of all) expect(arena.get(ref).equals(bytes)).toBe(true);
});

test('copies: neither what was put in nor what comes out is the arena’s', () => {
  const arena = createByteArena();
  for (const length of [10, 10_000]) {
    const bytes = Buffer.alloc(length, 1);
    const ref = arena.put(bytes);
    bytes.fill(2);
    arena.get(ref).fill(3);
    expect(arena.get(ref)).toEqual(Buffer.alloc(length, 1));
  }
});

test('room is used again, also by what has another length', () => {
  const arena = createByteArena();
  let highest = 0;
  for (let round = 0; round < 100; round++) {
    const refs = Array.from({ length: 1000 }, () => arena.put(Buffer.alloc(100 + (round % 3) * 200)));
    expect(new Set(refs).size).toBe(1000);
    if (round < 3) highest = Math.max(highest, ...refs);
    else expect(Math.max(...refs)).toBeLessThan(2 * highest);
    for (const ref of refs) arena.free(ref);
  }
});
