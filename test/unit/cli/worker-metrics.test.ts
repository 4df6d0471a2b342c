import { expect, test } from 'vitest';

import {
  answerForMetrics,
  createWorkerMetrics,
  type MetricsWorker,
} from '../../../src/cli/worker-metrics.ts';
import type { MetricFamily } from '../../../src/lib/metrics.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

const reading = (count: number, depth: number): readonly MetricFamily[] => [
  {
    name: 'count',
    help: '',
    type: 'counter',
    joining: 'sum',
    samples: [{ suffix: '', labels: '', value: count }],
  },
  {
    name: 'depth',
    help: '',
    type: 'gauge',
    joining: 'sum',
    samples: [{ suffix: '', labels: '', value: depth }],
  },
];

const valuesOf = (families: readonly MetricFamily[]): unknown =>
  Object.fromEntries(families.map(({ name, samples }) => [name, samples[0]?.value]));

test('asks each worker and joins what they answer; one that is silent counts with what it said last', async () => {
  const timers = fakeTimers();
  const metrics = createWorkerMetrics(timers);
  const asked: number[] = [];
  let isSilent = false;
  const worker = (id: number): MetricsWorker => ({
    id,
    send() {
      asked.push(id);
      if (id === 1 && isSilent) return;
      queueMicrotask(() => metrics.receive(worker(id), { metrics: reading(id * 10, 1) }));
    },
  });
  const workers = [worker(1), worker(2)];
  expect(valuesOf(await metrics.read(workers))).toEqual({ count: 30, depth: 2 });
  expect([asked, timers.pending]).toEqual([[1, 2], 0]);

  isSilent = true;
  const read = metrics.read(workers);
  timers.advance(3000);
  expect(valuesOf(await read)).toEqual({ count: 30, depth: 2 });
});

test('what an ended worker had counted stays; its states do not', async () => {
  const metrics = createWorkerMetrics(fakeTimers());
  metrics.receive({ id: 1, send() {} }, { metrics: reading(10, 5) });
  metrics.ended({ id: 1, send() {} });
  metrics.receive({ id: 2, send() {} }, { metrics: reading(3, 1) });
  expect(valuesOf(await metrics.read([]))).toEqual({ count: 13, depth: 1 });
});

test('does not wait for a worker that ends meanwhile, nor for one that takes no message', async () => {
  const metrics = createWorkerMetrics(fakeTimers());
  const leaving = { id: 1, send() {} };
  const gone = {
    id: 2,
    send() {
      throw new Error('the channel is closed');
    },
  };
  const read = metrics.read([leaving, gone]);
  metrics.ended(leaving);
  expect(await read).toEqual([]);
});

test('other messages are left to others, on both sides', async () => {
  const metrics = createWorkerMetrics(fakeTimers());
  expect(metrics.receive({ id: 1, send() {} }, 'listening')).toBe(false);
  expect(metrics.receive({ id: 1, send() {} }, null)).toBe(false);
  const read = () => Promise.resolve(reading(1, 1));
  expect(await answerForMetrics('listening', read)).toBeNull();
  expect(await answerForMetrics(null, read)).toBeNull();
  expect(await answerForMetrics({ ask: 'metrics' }, read)).toEqual({ metrics: reading(1, 1) });
});
