import { beforeEach, expect, test } from 'vitest';

import type { AuditLog, AuditRecord } from '../../../src/storage/audit-log.ts';
import { type AuditWriter, createAuditWriter } from '../../../src/storage/audit-writer.ts';
import { StorageFault, StorageUnavailable } from '../../../src/storage/errors.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fake-clock.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

const record = (event: string): AuditRecord => ({ at: 1, event, username: null, ip: null, details: {} });

let timers: ReturnType<typeof fakeTimers>;
let written: string[];
let statements: number[];
let lost: [number, string][];
let state: 'up' | 'down' | 'silent';
let writer: AuditWriter;

const log: AuditLog = {
  insert: () => Promise.reject(new Error('not used')),
  list: () => Promise.reject(new Error('not used')),
  async insertAll(records) {
    if (state === 'silent') return new Promise(() => {});
    if (state === 'down') throw new StorageUnavailable('down');
    if (records.some(({ event }) => event === 'bad')) throw new StorageFault('22021', 'no such character');
    statements.push(records.length);
    written.push(...records.map(({ event, details }) => [event, ...Object.values(details)].join(' ')));
  },
};

beforeEach(() => {
  timers = fakeTimers();
  [written, statements, lost, state] = [[], [], [], 'up'];
  writer = createAuditWriter({
    timers,
    clock: fakeClock(),
    limit: 60,
    onLost: (records, why) => void lost.push([records, why]),
  });
});

const empty = (): Promise<true> => eventually('nothing waits', 2000, () => writer.waiting === 0 || undefined);

test('writes in order, many with one statement, also what came before the storage was open', async () => {
  const names = Array.from({ length: 55 }, (_, i) => `e${i}`);
  for (const name of names) writer.write(record(name));
  expect([writer.waiting, written]).toEqual([55, []]);
  writer.start(log);
  await empty();
  writer.write(record('later'));
  await empty();
  expect(written).toEqual([...names, 'later']);
  expect(statements).toEqual([50, 5, 1]);
});

test('waits while the storage does not answer, and begins where it stopped', async () => {
  state = 'down';
  writer.start(log);
  for (const name of ['a', 'b']) writer.write(record(name));
  await eventually('it pauses', 2000, () => timers.pending === 1 || undefined);
  writer.write(record('c'));
  expect([writer.waiting, timers.pending]).toEqual([3, 1]);
  timers.advance(2000);
  await eventually('it pauses', 2000, () => timers.pending === 1 || undefined);
  state = 'up';
  timers.advance(2000);
  await empty();
  expect([written, lost]).toEqual([['a', 'b', 'c'], []]);
});

test('what finds no room is counted at once, and the gap is written down before what follows', async () => {
  state = 'down';
  writer.start(log);
  for (let i = 0; i < 65; i++) writer.write(record(`e${i}`));
  await eventually('it pauses', 2000, () => timers.pending === 1 || undefined);
  expect(lost).toEqual(Array.from({ length: 5 }, () => [1, 'full']));
  state = 'up';
  timers.advance(2000);
  await empty();
  expect(written).toHaveLength(61);
  expect(written[0]).toBe('audit.lost 5');
});

test('one record that the storage refuses keeps no other out', async () => {
  writer.start(log);
  for (const name of ['a', 'bad', 'b', 'c']) writer.write(record(name));
  await empty();
  await eventually('the gap is written', 2000, () => written.includes('audit.lost 1') || undefined);
  expect(written.filter((name) => !name.startsWith('audit.lost'))).toEqual(['a', 'b', 'c']);
  expect(lost).toEqual([[1, 'refused']]);
});

test('close writes what waits; what it has no time for is counted', async () => {
  writer.start(log);
  writer.write(record('a'));
  await writer.close(1000);
  expect([written, lost]).toEqual([['a'], []]);
  writer.write(record('b'));
  expect(lost).toEqual([[1, 'closed']]);
});

test('close does not wait for a storage that is silent, nor for ever', async () => {
  state = 'silent';
  writer.start(log);
  writer.write(record('a'));
  const closed = writer.close(1000);
  timers.advance(1000);
  await closed;
  expect(lost).toEqual([[1, 'closed']]);
});

test('close tries once more when the storage was away', async () => {
  state = 'down';
  writer.start(log);
  writer.write(record('a'));
  await eventually('it pauses', 2000, () => timers.pending === 1 || undefined);
  state = 'up';
  await writer.close(1000);
  expect([written, lost]).toEqual([['a'], []]);
});
