import { expect, test } from 'vitest';

import { createEndpointTable, dialects, type Endpoint } from '../../../src/forward-auth/endpoints.ts';
import type { Dialect } from '../../../src/forward-auth/respond.ts';

const endpoint = (name: string, dialect: Dialect): Endpoint => ({
  name,
  dialect,
  schemes: [],
  usesSessions: true,
});

const match = createEndpointTable([
  endpoint('forward-auth', 'forward-auth'),
  endpoint('auth-request', 'auth-request'),
  endpoint('auth-request/basic', 'auth-request'),
  endpoint('ext-authz', 'ext-authz'),
  endpoint('envoy/one', 'ext-authz'),
  endpoint('envoy/one/two', 'ext-authz'),
  endpoint('legacy', 'legacy'),
  endpoint('old', 'legacy'),
]);

test.each([
  ['/api/authz/forward-auth', 'forward-auth', ''],
  ['/api/authz/forward-auth/', null, ''],
  ['/api/authz/forward-auth/x', null, ''],
  ['/api/authz/forward-authx', null, ''],
  ['/api/authz/Forward-Auth', null, ''],
  ['/api/authz/forward%2Dauth', null, ''],
  ['/api/authz/auth-request', 'auth-request', ''],
  ['/api/authz/auth-request/basic', 'auth-request/basic', ''],
  ['/api/authz/auth-request/other', null, ''],
  ['/api/authz/ext-authz', 'ext-authz', ''],
  ['/api/authz/ext-authz/', 'ext-authz', '/'],
  ['/api/authz/ext-authz/a/b', 'ext-authz', '/a/b'],
  ['/api/authz/ext-authz//a', 'ext-authz', '//a'],
  ['/api/authz/ext-authz/../forward-auth', 'ext-authz', '/../forward-auth'],
  ['/api/authz/ext-authzx/a', null, ''],
  ['/api/authz/envoy', null, ''],
  ['/api/authz/envoy/one/a', 'envoy/one', '/a'],
  ['/api/authz/envoy/one/two', 'envoy/one/two', ''],
  ['/api/authz/envoy/one/two/a', 'envoy/one/two', '/a'],
  ['/api/authz/envoy/one/twox', 'envoy/one', '/twox'],
  ['/api/authz/legacy', 'legacy', ''],
  ['/api/authz/legacy/x', 'legacy', '/x'],
  ['/api/verify', 'legacy', ''],
  ['/api/verify/x', 'legacy', '/x'],
  ['/api/verifyx', null, ''],
  ['/api/authz/old', 'old', ''],
  ['/api/authz/', null, ''],
  ['/api/authz', null, ''],
  ['/api/authz/__proto__', null, ''],
  ['/api/authz/constructor', null, ''],
  ['', null, ''],
  ['/', null, ''],
])('%s', (path, name, rest) => {
  const found = match(path);
  expect(found && { name: found.endpoint.name, rest: found.rest }).toEqual(
    name === null ? null : { name, rest },
  );
});

test('/api/verify is the endpoint named legacy, and nothing without it', () => {
  expect(createEndpointTable([endpoint('old', 'legacy')])('/api/verify')).toBeNull();
  expect(createEndpointTable([])('/api/authz/forward-auth')).toBeNull();
});

test('how each dialect asks', () => {
  for (const name of ['forward-auth', 'auth-request'] as const) {
    expect([...(dialects[name].methods ?? [])], name).toEqual(['GET', 'HEAD']);
    expect(dialects[name].prefix).toBe(false);
  }
  for (const name of ['ext-authz', 'legacy'] as const) {
    expect(dialects[name].methods).toBeNull();
    expect(dialects[name].prefix).toBe(true);
  }
});
