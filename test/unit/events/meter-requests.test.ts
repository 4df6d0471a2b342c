import { expect, test } from 'vitest';

import { createGatewayMetrics } from '../../../src/events/gateway-metrics.ts';
import { meterRequests } from '../../../src/events/meter-requests.ts';
import { formatMetrics } from '../../../src/lib/metrics.ts';
import { fakeClock } from '../../support/fake-clock.ts';

test('requests are counted and timed; a method that nobody knows makes no series', async () => {
  const metrics = createGatewayMetrics();
  const stopwatch = fakeClock(0);
  const meter = meterRequests(metrics, stopwatch);
  meter.end('authz', 'GET', 200, null);
  const began = meter.begin();
  stopwatch.advance(40);
  meter.end('authz', 'GET', 200, began);
  meter.end('other', 'POST', 200, null);
  for (const method of ['BREW', 'get', 'x'.repeat(100)]) meter.end('authz', method, 401, null);
  const lines = formatMetrics(await metrics.registry.read()).split('\n');
  expect(lines.filter((line) => /^authelia_(?:request|authz)\{/.test(line))).toEqual([
    'authelia_request{code="200",method="GET"} 2',
    'authelia_request{code="200",method="POST"} 1',
    'authelia_request{code="401",method="other"} 3',
    'authelia_authz{code="200"} 2',
    'authelia_authz{code="401"} 3',
  ]);
  expect(lines).toContain('authelia_request_duration_sum{code="200"} 0.04');
  expect(lines).toContain('authelia_request_duration_count{code="200"} 3');
  expect(lines).toContain('authelia_request_duration_bucket{code="200",le="0.025"} 2');
});
