import { describe, expect, test } from 'vitest';

import { absoluteEnd, isAlive, type Lifetimes, type SessionTimes } from '../../../src/sessions/lifetime.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const lifetimes: Lifetimes = { expiration: HOUR, inactivity: 5 * MINUTE, rememberMe: 30 * DAY };
const BEGAN = 1_800_000_000_000;

/** A session that began under `under`; its last activity is `active` after that. */
function times(remembered: boolean, active: number, under: Lifetimes = lifetimes): SessionTimes {
  return {
    createdAt: BEGAN,
    expiresAt: absoluteEnd(under, BEGAN, remembered),
    lastActivity: BEGAN + active,
    remembered,
  };
}

test('the absolute end', () => {
  expect(absoluteEnd(lifetimes, BEGAN, false)).toBe(BEGAN + HOUR);
  expect(absoluteEnd(lifetimes, BEGAN, true)).toBe(BEGAN + 30 * DAY);
  expect(absoluteEnd({ ...lifetimes, rememberMe: -1 }, BEGAN, true)).toBe(BEGAN + HOUR);
});

describe('is alive', () => {
  const table: readonly [
    what: string,
    session: SessionTimes,
    after: number,
    alive: boolean,
    now?: Lifetimes,
  ][] = [
    ['at once', times(false, 0), 0, true],
    ['one millisecond before inactivity', times(false, 0), 5 * MINUTE - 1, true],
    ['at inactivity', times(false, 0), 5 * MINUTE, true],
    ['one millisecond after inactivity', times(false, 0), 5 * MINUTE + 1, false],
    ['activity slides it', times(false, 4 * MINUTE), 9 * MINUTE, true],
    ['and not further', times(false, 4 * MINUTE), 9 * MINUTE + 1, false],
    ['one millisecond before expiration', times(false, HOUR - 1), HOUR - 1, true],
    ['at expiration, however active', times(false, HOUR - 1), HOUR, false],
    ['activity that claims to be later does not prolong', times(false, 2 * HOUR), HOUR, false],
    ['remembered: inactivity is not asked', times(true, 0), HOUR, true],
    ['remembered: one millisecond before the end', times(true, 0), 30 * DAY - 1, true],
    ['remembered: at the end', times(true, 30 * DAY - 1), 30 * DAY, false],
    [
      'remembered, then switched off: inactivity',
      times(true, 0),
      5 * MINUTE + 1,
      false,
      { ...lifetimes, rememberMe: -1 },
    ],
    [
      'remembered, then switched off: active',
      times(true, HOUR - 1),
      HOUR - 1,
      true,
      { ...lifetimes, rememberMe: -1 },
    ],
    [
      'remembered, then switched off: expiration',
      times(true, HOUR),
      HOUR,
      false,
      { ...lifetimes, rememberMe: -1 },
    ],
    [
      'expiration shortened later',
      times(false, 29 * MINUTE),
      30 * MINUTE,
      false,
      { ...lifetimes, expiration: 30 * MINUTE },
    ],
    [
      'before the shorter one',
      times(false, 29 * MINUTE),
      30 * MINUTE - 1,
      true,
      { ...lifetimes, expiration: 30 * MINUTE },
    ],
    [
      'expiration prolonged later',
      times(false, HOUR - 1),
      HOUR,
      false,
      { ...lifetimes, expiration: 2 * HOUR },
    ],
    ['remember me shortened later', times(true, 0), DAY, false, { ...lifetimes, rememberMe: DAY }],
    ['before the shorter remember me', times(true, 0), DAY - 1, true, { ...lifetimes, rememberMe: DAY }],
    ['remember me prolonged later', times(true, 0), 30 * DAY, false, { ...lifetimes, rememberMe: 60 * DAY }],
    ['inactivity shortened later', times(false, 0), MINUTE + 1, false, { ...lifetimes, inactivity: MINUTE }],
    [
      'inactivity prolonged later',
      times(false, 0),
      10 * MINUTE,
      true,
      { ...lifetimes, inactivity: 10 * MINUTE },
    ],
    [
      'remember me shorter than expiration',
      times(true, 0, { ...lifetimes, rememberMe: MINUTE }),
      MINUTE,
      false,
      { ...lifetimes, rememberMe: MINUTE },
    ],
    ['a clock that went back', times(false, MINUTE), -MINUTE, true],
  ];
  test.each(table)('%s', (_what, session, after, alive, now = lifetimes) => {
    expect(isAlive(session, now, BEGAN + after)).toBe(alive);
  });

  test('a session that was not remembered does not become so', () => {
    expect(isAlive(times(false, 0), lifetimes, BEGAN + HOUR)).toBe(false);
  });
});
