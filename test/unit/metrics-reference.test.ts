import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { createGatewayMetrics } from '../../src/events/gateway-metrics.ts';
import { root } from '../support/environment.ts';

const text = readFileSync(join(root, 'docs/metrics.md'), 'utf8');

/** Name, type and labels, as the tables have them. */
const documented = [...text.matchAll(/^\| `([a-z_]+)` \| (counter|gauge|histogram)(?:: ([^|]+?))? \|/gm)].map(
  ([, name, type, labels = '']) => `${name} ${type} ${labels.replaceAll(/[` ]/g, '')}`.trim(),
);

test('every metric is documented as it is, and no other', async () => {
  const { registry, ...metrics } = createGatewayMetrics();
  // Each is asked for one series, with any label.
  const any = new Proxy({}, { get: () => 'x' }) as never;
  for (const metric of Object.values(metrics)) metric.of(any);
  const real = (await registry.read()).map(({ name, type, samples }) => {
    const labels = [...(samples[0]?.labels ?? '').matchAll(/([a-z]+)="/g)]
      .map(([, label]) => label)
      .filter((label) => label !== 'le');
    return `${name} ${type} ${labels.join(',')}`.trim();
  });
  expect(documented.toSorted()).toEqual(real.toSorted());
});
