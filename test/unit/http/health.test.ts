import { describe, expect, test } from 'vitest';

import { createHealthRoutes, type ReadinessPart } from '../../../src/http/health.ts';
import type { Reply, RouteRequest } from '../../../src/http/route.ts';

const request = (ip: string): RouteRequest => ({
  id: 'x',
  method: 'GET',
  path: '/',
  query: new URLSearchParams(),
  ip,
  scheme: 'https',
  host: 'auth.example.com',
  header: () => undefined,
  body: undefined,
});

function ask(path: string, parts: readonly ReadinessPart[], { draining = false, ip = '10.0.0.1' } = {}) {
  const routes = createHealthRoutes(parts, {
    isDraining: () => draining,
    isTrusted: (one) => one.startsWith('10.'),
  });
  const route = routes.find((one) => one.path === path);
  if (!route) throw new Error(`no route ${path}`);
  return Promise.resolve(route.handle(request(ip)));
}

const bodyOf = (reply: Reply): unknown => JSON.parse(String(reply.body));
const up: ReadinessPart = { name: 'sessions', check: () => {} };
const down: ReadinessPart = { name: 'users', check: () => Promise.reject(new Error('a secret detail')) };
const broken: ReadinessPart = {
  name: 'storage',
  check() {
    throw new Error('a secret detail');
  },
};

test('alive, whatever it depends on', async () => {
  const reply = await ask('/api/health', [down, broken], { draining: true });
  expect([reply.status, bodyOf(reply)]).toEqual([200, { status: 'OK' }]);
});

describe('ready', () => {
  test('when every part is up', async () => {
    const reply = await ask('/api/ready', [up]);
    expect([reply.status, bodyOf(reply)]).toEqual([
      200,
      { status: 'OK', data: { ready: true, parts: { listener: 'up', sessions: 'up' } } },
    ]);
  });

  test('not when one is down, and every part is asked', async () => {
    const reply = await ask('/api/ready', [down, broken, up]);
    expect([reply.status, reply.headers?.['Retry-After']]).toEqual([503, '2']);
    expect(bodyOf(reply)).toMatchObject({
      data: { ready: false, parts: { listener: 'up', users: 'down', storage: 'down', sessions: 'up' } },
    });
    expect(String(reply.body)).not.toContain('secret');
  });

  test('not while it drains', async () => {
    const reply = await ask('/api/ready', [up], { draining: true });
    expect(reply.status).toBe(503);
    expect(bodyOf(reply)).toMatchObject({ data: { ready: false, parts: { listener: 'down' } } });
  });

  test('its parts are for trusted peers', async () => {
    for (const parts of [[up], [down]]) {
      expect(String((await ask('/api/ready', parts, { ip: '8.8.8.8' })).body)).not.toMatch(
        /ready|sessions|users/,
      );
    }
  });
});
