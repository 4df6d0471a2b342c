import { expect, test } from 'vitest';

import { createSignInRecord, type SignInSource } from '../../../src/login/sign-in-record.ts';
import type { KnownDevices } from '../../../src/storage/known-devices.ts';
import { fakeClock } from '../../support/fake-clock.ts';

const JOHN = { username: 'john', displayName: 'John', emails: ['john@example.com'], groups: [] };
const FROM: SignInSource = {
  ip: '203.0.113.5',
  userAgent: 'Firefox/1',
  portalUrl: 'https://auth.example.com/',
};

function setUp(over: Partial<Parameters<typeof createSignInRecord>[0]> = {}) {
  const seen = new Map<string, Set<string>>();
  const knownDevices: KnownDevices = {
    async see(username, fingerprint) {
      const before = seen.get(username) ?? new Set();
      if (before.has(fingerprint)) return 'known';
      seen.set(username, new Set([...before, fingerprint]));
      return before.size === 0 ? 'first' : 'new';
    },
  };
  const signedIn: unknown[] = [];
  const told: unknown[] = [];
  const faults: unknown[] = [];
  const record = createSignInRecord({
    knownDevices,
    notices: { tell: (person, from, notice) => told.push({ person, from, notice }) },
    events: { signedIn: (event) => signedIn.push(event) },
    clock: fakeClock(),
    deviceOf: (userAgent) => userAgent.replace(/\/.*/, ''),
    onFault: (error) => faults.push(error),
    ...over,
  });
  const signIn = async (from: Partial<SignInSource> = {}): Promise<void> => {
    record.note({ person: JOHN, session: 'public-id', from: { ...FROM, ...from } });
    await new Promise((done) => setImmediate(done));
  };
  return { signIn, signedIn, told, faults };
}

test('the first sign-in of all, and what was seen before, tell nobody anything', async () => {
  const { signIn, signedIn, told } = setUp();
  await signIn();
  await signIn({ userAgent: 'Firefox/2', ip: '203.0.200.9' });
  expect(told).toEqual([]);
  const event = { username: 'john', session: 'public-id' };
  expect(signedIn).toEqual([
    { ...event, ip: '203.0.113.5', device: 'first' },
    { ...event, ip: '203.0.200.9', device: 'known' },
  ]);
});

test.each([
  ['device', { userAgent: 'Chrome/1' }],
  ['device', { userAgent: undefined }],
  ['network', { ip: '198.51.100.9' }],
  ['network', { ip: '2001:db8::1' }],
  ['both', { userAgent: 'Chrome/1', ip: '198.51.100.9' }],
] as const)('a new %s is told to the person, once', async (unknown, from) => {
  const { signIn, told } = setUp();
  await signIn();
  await signIn(from);
  await signIn(from);
  expect(told).toEqual([
    { person: JOHN, from: { ...FROM, ...from }, notice: { kind: 'new-sign-in', unknown } },
  ]);
});

test('an IPv6 network is the first 32 bits', async () => {
  const { signIn, told } = setUp();
  await signIn({ ip: '2001:db8:1:2::1' });
  await signIn({ ip: '2001:db8:ffff::1' });
  expect(told).toEqual([]);
  await signIn({ ip: '2001:db9::1' });
  expect(told).toHaveLength(1);
});

test('without storage, or with one that does not answer, the sign-in is told all the same', async () => {
  const without = setUp({ knownDevices: null });
  await without.signIn();
  expect(without.signedIn).toMatchObject([{ device: null }]);
  const down = setUp({ knownDevices: { see: () => Promise.reject(new Error('down')) } });
  await down.signIn();
  expect(down.signedIn).toMatchObject([{ device: null }]);
  expect(down.faults).toHaveLength(1);
  expect([...without.told, ...down.told]).toEqual([]);
});
