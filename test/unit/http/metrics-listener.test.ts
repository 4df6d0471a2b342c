import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { createMetricsListener, type MetricsListener } from '../../../src/http/metrics-listener.ts';
import type { MetricFamily } from '../../../src/lib/metrics.ts';

const family: MetricFamily = {
  name: 'requests',
  help: 'How many.',
  type: 'counter',
  joining: 'sum',
  samples: [{ suffix: '', labels: '', value: 1 }],
};

let listener: MetricsListener;
let base: string;
let readings: number;
let read: () => Promise<readonly MetricFamily[]>;
let errors: unknown[];

beforeEach(async () => {
  [readings, errors] = [0, []];
  read = () => Promise.resolve([family]);
  listener = createMetricsListener(
    { path: '/metrics', maxHeaderSize: 4096, readTimeout: 6000, writeTimeout: 6000, idleTimeout: 30_000 },
    {
      read() {
        readings++;
        return read();
      },
      onError: (error) => void errors.push(error),
    },
  );
  await listener.listen({ port: 0, host: '127.0.0.1' });
  base = `http://127.0.0.1:${(listener.server.address() as AddressInfo).port}`;
});
afterEach(() => listener.close());

test('serves its one path, for GET and HEAD', async () => {
  const answer = await fetch(`${base}/metrics`);
  expect([answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    'no-store',
  ]);
  expect(await answer.text()).toBe('# HELP requests How many.\n# TYPE requests counter\nrequests 1\n');
  const head = await fetch(`${base}/metrics?name=x`, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
});

test.each([
  ['GET', '/', 404],
  ['GET', '/metrics/', 404],
  ['GET', '/api/health', 404],
  ['POST', '/metrics', 405],
  ['DELETE', '/metrics', 405],
])('%s %s is %i', async (method, path, status) => {
  const answer = await fetch(base + path, { method });
  expect([answer.status, readings]).toEqual([status, 0]);
  if (status === 405) expect(answer.headers.get('allow')).toBe('GET, HEAD');
});

test('those who ask at the same time share one reading', async () => {
  let finish = (_families: readonly MetricFamily[]): void => {};
  read = () => new Promise((resolve) => (finish = resolve));
  const both = [fetch(`${base}/metrics`), fetch(`${base}/metrics`)];
  await new Promise<void>((resolve) => {
    let seen = 0;
    listener.server.on('request', () => ++seen === 2 && resolve());
  });
  finish([family]);
  expect((await Promise.all(both)).map(({ status }) => status)).toEqual([200, 200]);
  expect(readings).toBe(1);
});

test('a reading that fails is told, and the answer says nothing of it', async () => {
  read = () => Promise.reject(new Error('secret detail'));
  const answer = await fetch(`${base}/metrics`);
  expect([answer.status, await answer.text()]).toEqual([500, '500 Internal Server Error\n']);
  expect(errors).toHaveLength(1);
});
