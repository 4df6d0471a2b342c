import { expect, test } from 'vitest';

import { GatewayError } from '../../../src/http/errors.ts';
import type { RouteRequest } from '../../../src/http/route.ts';
import { createRateLimitGuard } from '../../../src/portal/rate-limit-guard.ts';

const request = { ip: '203.0.113.5' } as RouteRequest;

test('room lets pass; none is 429 with the seconds to wait, and is told', async () => {
  const refused: unknown[] = [];
  const asked: unknown[] = [];
  let wait: number | null = null;
  const guard = createRateLimitGuard(
    {
      take: async (...args) => {
        asked.push(args);
        return wait;
      },
    },
    { attemptRefused: (event) => refused.push(event) },
  )('reset_password_start');
  expect(await guard(request)).toBeNull();
  wait = 59_001;
  const error = await Promise.resolve(guard(request)).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(GatewayError);
  expect(error).toMatchObject({ status: 429, retryAfter: 60 });
  expect(asked).toEqual([
    ['reset_password_start', '203.0.113.5'],
    ['reset_password_start', '203.0.113.5'],
  ]);
  expect(refused).toEqual([{ username: '', ip: '203.0.113.5', proof: 'reset-link', why: 'rate-limit' }]);
});
