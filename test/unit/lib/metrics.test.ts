import { expect, test } from 'vitest';

import {
  createMetricRegistry,
  formatMetrics,
  joinMetrics,
  type MetricFamily,
} from '../../../src/lib/metrics.ts';

test('is written as Prometheus reads it', async () => {
  const registry = createMetricRegistry();
  const requests = registry.counter({
    name: 'requests',
    help: 'How many.\nAnd \\ more',
    labels: ['code', 'text'],
  });
  registry.counter({ name: 'never', help: 'Never asked for.' });
  const state = registry.gauge({ name: 'state', help: 'How it is.', joining: 'min' });
  const seconds = registry.histogram({
    name: 'seconds',
    help: 'How long.',
    labels: ['code'],
    buckets: [0.1, 1],
  });
  requests.of({ code: '200', text: 'a "b"\n\\' }).value++;
  requests.of({ text: 'a "b"\n\\', code: '200' }).value += 2;
  requests.of({ code: '404', text: '' }).value++;
  state.of({}).value = 0.5;
  for (const took of [0.05, 0.1, 0.5, 7]) seconds.of({ code: '200' }).observe(took);
  expect(formatMetrics(await registry.read())).toBe(`\
# HELP requests How many.\\nAnd \\\\ more
# TYPE requests counter
requests{code="200",text="a \\"b\\"\\n\\\\"} 3
requests{code="404",text=""} 1
# HELP state How it is.
# TYPE state gauge
state 0.5
# HELP seconds How long.
# TYPE seconds histogram
seconds_bucket{code="200",le="0.1"} 2
seconds_bucket{code="200",le="1"} 3
seconds_bucket{code="200",le="+Inf"} 4
seconds_sum{code="200"} 7.65
seconds_count{code="200"} 4
`);
});

test('looks before it reads, and a look that fails spoils nothing', async () => {
  const registry = createMetricRegistry();
  const [depth, lost] = ['depth', 'lost'].map((name) =>
    registry.gauge({ name, help: '', joining: 'max' }).of({}),
  );
  registry.beforeReading(async () => {
    await Promise.resolve();
    if (depth) depth.value = 3;
  });
  registry.beforeReading(() => {
    throw new Error('down');
  });
  registry.beforeReading(() => Promise.reject(new Error('down')));
  if (lost) lost.value = 1;
  const samples = (await registry.read()).flatMap((family) => family.samples.map(({ value }) => value));
  expect(samples).toEqual([3, 1]);
});

test('several processes are joined: counts are added, states as each metric says', async () => {
  const read = async (
    count: number,
    up: number,
    depth: number,
    took: number,
  ): Promise<readonly MetricFamily[]> => {
    const registry = createMetricRegistry();
    registry.counter({ name: 'count', help: '', labels: ['of'] }).of({ of: 'a' }).value = count;
    if (count > 1) registry.counter({ name: 'more', help: '' }).of({}).value = 1;
    registry.gauge({ name: 'up', help: '', joining: 'min' }).of({}).value = up;
    registry.gauge({ name: 'depth', help: '', joining: 'max' }).of({}).value = depth;
    registry.gauge({ name: 'memory', help: '', joining: 'sum' }).of({}).value = 10;
    registry
      .histogram({ name: 'took', help: '', buckets: [1] })
      .of({})
      .observe(took);
    // As it comes from another process.
    return JSON.parse(JSON.stringify(await registry.read())) as MetricFamily[];
  };
  const joined = formatMetrics(joinMetrics([await read(1, 1, 5, 0.5), await read(2, 0, 7, 3)]));
  expect(joined.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([
    'count{of="a"} 3',
    'up 0',
    'depth 7',
    'memory 20',
    'took_bucket{le="1"} 1',
    'took_bucket{le="+Inf"} 2',
    'took_sum 3.5',
    'took_count 2',
    'more 1',
  ]);
});
