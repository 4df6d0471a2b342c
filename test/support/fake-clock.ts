import { createHash } from 'node:crypto';

import type { Clock } from '../../src/lib/clock.ts';
import type { Random } from '../../src/lib/random.ts';

/** A clock that stands still until somebody moves it. */
export interface FakeClock extends Clock {
  /** Milliseconds forward. */
  advance(ms: number): void;
  /** To this time, also backwards. */
  set(time: number): void;
}

export function fakeClock(start = 1_800_000_000_000): FakeClock {
  let time = start;
  return {
    now: () => time,
    advance(ms) {
      time += ms;
    },
    set(next) {
      time = next;
    },
  };
}

/** The same bytes for the same seed: blocks of SHA-256 over the seed and a counter. */
export function seededRandom(seed: string | number): Random & { integer(below: number): number } {
  let counter = 0;
  let pool = Buffer.alloc(0);
  const bytes = (size: number): Buffer => {
    const blocks = [pool];
    for (let length = pool.length; length < size; length += 32) {
      blocks.push(createHash('sha256').update(`${seed}:${counter++}`).digest());
    }
    pool = Buffer.concat(blocks);
    const taken = Buffer.from(pool.subarray(0, size));
    pool = pool.subarray(size);
    return taken;
  };
  return { bytes, integer: (below) => bytes(4).readUInt32LE() % below };
}
