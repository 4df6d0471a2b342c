import { expect, test } from 'vitest';

import { deletedFlowCookie, flowCookie, flowValue } from '../../../src/login/flow-cookie.ts';

test('a value is kept for its purpose, for the portal alone, for its time', () => {
  const cookie = flowCookie('reset-password', 'value', 600_000);
  expect(cookie).toBe(
    '__Host-sallyport_flow=reset-password.value; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Strict',
  );
  expect(flowValue('a=b; __Host-sallyport_flow=reset-password.value', 'reset-password')).toBe('value');
  expect(deletedFlowCookie()).toContain('Max-Age=0');
});

test.each([
  ['none', undefined],
  ['another purpose', '__Host-sallyport_flow=passkey.value'],
  ['no purpose', '__Host-sallyport_flow=value'],
  ['two of them', '__Host-sallyport_flow=reset-password.a; __Host-sallyport_flow=reset-password.b'],
])('nobody is believed: %s', (_name, header) => {
  expect(flowValue(header, 'reset-password')).toBe(null);
});
