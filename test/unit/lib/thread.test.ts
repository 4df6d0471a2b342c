import { expect, it } from 'vitest';
import { threadUrl } from '../../../src/lib/thread.ts';

it.each([
  ['file:///a%20b/src/lib/watchdog.ts', 'file:///a%20b/src/lib/x-thread.ts'],
  ['file:///a%20b/src/lib/watchdog.ts?v=1', 'file:///a%20b/src/lib/x-thread.ts'],
  ['file:///a%20b/dist/chunk-ABC.js', 'file:///a%20b/dist/x-thread.js'],
])('beside %s the thread is %s', (caller, expected) => {
  expect(threadUrl('x-thread', caller).href).toBe(expected);
});
