import { describe, expect, test } from 'vitest';
import type { GatewaySession, GatewaySessions } from '../../../src/authn/gateway-session.ts';
import { createSessionActions, endByPublicId } from '../../../src/portal/sessions-actions.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';

const session = (publicId: string, more: Partial<GatewaySession> = {}): GatewaySession => ({
  key: `key of ${publicId}`,
  publicId,
  version: 1,
  userId: 'john',
  sid: null,
  cookieDomain: 'example.com',
  remembered: false,
  createdAt: 0,
  expiresAt: 100,
  lastActivity: 0,
  payload: {
    factors: [],
    profile: { username: 'john', displayName: '', emails: [], groups: [] },
    refreshedAt: 0,
    device: { userAgent: '', ip: '' },
    portalBinding: '',
  },
  ...more,
});

/** Sessions that answer `listOf` with one list after the other, and end only what is under one of these keys. */
function fakeSessions(lists: readonly (readonly GatewaySession[])[], endable: readonly string[]) {
  const asked: string[] = [];
  let turn = 0;
  const fake: Pick<GatewaySessions, 'listOf' | 'end'> = {
    listOf: () => Promise.resolve(lists[Math.min(turn++, lists.length - 1)] ?? []),
    end: ({ key }) => {
      asked.push(key);
      return Promise.resolve(endable.includes(key));
    },
  };
  return { sessions: fake as GatewaySessions, asked };
}

describe('ending a session by its public id', () => {
  test('ends it also when it gets another key in between', async () => {
    const rotated = session('a', { key: 'new key', version: 2 });
    const { sessions, asked } = fakeSessions(
      [
        [session('a'), session('b')],
        [session('b'), rotated],
      ],
      ['new key'],
    );
    expect(await endByPublicId(sessions, 'john', 'a')).toBe(true);
    expect(asked).toEqual(['key of a', 'new key']);
  });

  test('says no when it is gone', async () => {
    const { sessions } = fakeSessions([[session('a')], []], []);
    expect(await endByPublicId(sessions, 'john', 'a')).toBe(false);
    expect(await endByPublicId(sessions, 'john', '')).toBe(false);
  });

  test('never says done of one that lives on', async () => {
    const { sessions, asked } = fakeSessions([[session('a')]], []);
    await expect(endByPublicId(sessions, 'john', 'a')).rejects.toThrow(/could not be ended/);
    expect(asked).toHaveLength(5);
    const down = { ...sessions, end: () => Promise.reject(new StoreUnavailable('down')) };
    await expect(endByPublicId(down, 'john', 'a')).rejects.toThrow(StoreUnavailable);
  });
});

test('the list begins with the own session, then goes by the last use', async () => {
  const all = [
    session('oldest', { lastActivity: 1 }),
    session('own', { lastActivity: 2 }),
    session('newest', { lastActivity: 3 }),
  ];
  const actions = createSessionActions(fakeSessions([all], []).sessions, { sessionsRevoked() {} });
  const listed = await actions.list(session('own'));
  expect(listed.map(({ publicId }) => publicId)).toEqual(['own', 'newest', 'oldest']);
});

test('what a person ends is told with the address, and nothing when nothing ended', async () => {
  const told: unknown[] = [];
  const { sessions } = fakeSessions([[session('other')], []], ['key of other']);
  const counts = [2, 0];
  const actions = createSessionActions(
    { ...sessions, endAllOf: () => Promise.resolve(counts.shift() ?? 0) },
    { sessionsRevoked: (event) => void told.push(event) },
  );
  expect(await actions.end(session('own'), 'other', '203.0.113.5')).toBe(true);
  expect(await actions.end(session('own'), 'other', '203.0.113.5')).toBe(false);
  expect(await actions.endOthers(session('own'), '203.0.113.6')).toBe(2);
  expect(await actions.endOthers(session('own'), '203.0.113.6')).toBe(0);
  expect(told).toEqual([
    { username: 'john', ip: '203.0.113.5', count: 1, by: 'person' },
    { username: 'john', ip: '203.0.113.6', count: 2, by: 'person' },
  ]);
});
