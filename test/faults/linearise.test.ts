import { describe, expect, test } from 'vitest';

import { isLinearisable, type Operation } from './linearise.ts';

const login = (askedAt: number, answeredAt: number | null): Operation => ({
  action: 'login',
  askedAt,
  answeredAt,
});
const logout = (askedAt: number, answeredAt: number | null): Operation => ({
  action: 'logout',
  askedAt,
  answeredAt,
});
const read = (askedAt: number, answeredAt: number | null, isIn: boolean): Operation => ({
  action: 'read',
  askedAt,
  answeredAt,
  isIn,
});

describe('the checker of histories', () => {
  test.each<[string, readonly Operation[]]>([
    ['nothing happened', []],
    ['one after the other', [login(0, 1), read(2, 3, true), logout(4, 5), read(6, 7, false)]],
    ['reads beside a logout see either', [login(0, 1), logout(2, 9), read(3, 4, true), read(5, 6, false)]],
    ['a read that was asked before the logout was answered', [login(0, 1), logout(2, 5), read(4, 9, true)]],
    [
      'a logout without an answer that happened',
      [login(0, 1), logout(2, null), read(3, 4, true), read(50, 51, false)],
    ],
    ['a logout without an answer that did not', [login(0, 1), logout(2, null), read(30, 31, true)]],
    ['two logouts, one without an answer', [login(0, 1), logout(2, null), logout(3, 4), read(5, 6, false)]],
    ['a read without an answer says nothing', [login(0, 1), logout(2, 3), read(4, null, true)]],
  ])('accepts: %s', (_what, history) => {
    expect(isLinearisable(history)).toBe(true);
  });

  test.each<[string, readonly Operation[]]>([
    ['a logout was answered, a later read is let in', [login(0, 1), logout(2, 3), read(4, 5, true)]],
    ['a login was answered, a later read is not let in', [login(0, 1), read(2, 3, false)]],
    ['let in before anybody signed in', [read(0, 1, true), login(2, 3)]],
    [
      'out, and in again, while the logout is under way',
      [login(0, 1), logout(2, 9), read(3, 4, false), read(5, 6, true)],
    ],
    [
      'out and in again after a logout without an answer',
      [login(0, 1), logout(2, null), read(3, 4, false), read(5, 6, true)],
    ],
    [
      'in, long after two logouts of which one was answered',
      [login(0, 1), logout(2, null), logout(3, 4), read(5, 6, false), read(7, 8, true)],
    ],
  ])('finds: %s', (_what, history) => {
    expect(isLinearisable(history)).toBe(false);
  });
});
