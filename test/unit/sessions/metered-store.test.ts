import { expect, test } from 'vitest';

import { openMemoryStore } from '../../../src/sessions/drivers/memory.ts';
import { meterStore } from '../../../src/sessions/metered-store.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import { fakeClock } from '../../support/fake-clock.ts';

test('what is waited for is measured, in seconds, failures too', async () => {
  const told: unknown[] = [];
  const stopwatch = fakeClock(0);
  const memory = openMemoryStore({}, { clock: fakeClock() });
  const store = meterStore(
    {
      ...memory,
      async findMany(keys) {
        stopwatch.advance(20);
        return memory.findMany(keys);
      },
      async ping() {
        stopwatch.advance(500);
        throw new StoreUnavailable('down');
      },
    },
    (operation, seconds, success) => void told.push([operation, seconds, success]),
    stopwatch,
  );
  expect(await store.findMany(['a'])).toEqual([null]);
  await expect(store.ping()).rejects.toThrow(StoreUnavailable);
  // What answers at once is no wait.
  expect(store.listByUser('john')).toEqual([]);
  expect(told).toEqual([
    ['find', 0.02, true],
    ['ping', 0.5, false],
  ]);
});
