import { expect, test } from 'vitest';

import type { PasswordAttempt } from '../../../src/factors/password-factor.ts';
import type { Regulation } from '../../../src/factors/throttle.ts';
import { BackendUnavailable } from '../../../src/users/backend.ts';
import { fakeUsers } from '../authn/fakes.ts';
import { fakePassword } from './fakes.ts';

function setUp(over: Partial<Regulation> = {}) {
  const users = fakeUsers({
    john: { password: 'secret', groups: ['dev'] },
    gone: { password: 'secret', disabled: true },
  });
  const fake = fakePassword(users.backend, over);
  const check = (username: string, password: string, more: Partial<PasswordAttempt> = {}) =>
    fake.password.check({ username, password, ip: '203.0.113.5', proof: 'password', ...more });
  return { users, ...fake, check };
}

test('a right password gives the person without waiting', async () => {
  const { check, checked, timers } = setUp();
  expect(await check('JOHN', 'secret')).toMatchObject({ username: 'john', groups: ['dev'] });
  expect(checked).toEqual([{ username: 'john', ip: '203.0.113.5', success: true }]);
  expect(timers.waits).toEqual([]);
});

test('every failure waits, whatever the reason', async () => {
  const { check, timers, users } = setUp({ max_retries: 1 });
  for (const [i, name] of ['john', 'nobody', 'gone', 'JOHN', 'Nobody'].entries()) {
    expect(await check(name, i < 3 ? 'wrong' : 'secret'), name).toBeNull();
    expect(timers.waits, name).toHaveLength(i + 1);
  }
  // Those of the second round were not looked at.
  expect(users.counts.check).toBe(3);
});

test('spellings of one name share one budget', async () => {
  const { check, users } = setUp();
  for (const name of ['john', 'John', 'jOHN', 'JOHN', 'johN']) await check(name, 'wrong');
  expect(users.counts.check).toBe(3);
  expect(await check('john', 'secret')).toBeNull();
});

test("what can be nobody's password is refused like a wrong one, and neither counted nor written", async () => {
  const { check, users, timers, logged, checked } = setUp({ max_retries: 1 });
  for (const password of ['', 'x'.repeat(1025), '\ud800']) {
    for (const name of ['john', 'nobody']) expect(await check(name, password)).toBeNull();
  }
  expect(timers.waits).toHaveLength(6);
  expect([users.counts.check, logged, checked]).toEqual([0, [], []]);
  expect(await check('john', 'secret')).not.toBeNull();
});

test('names that nobody has are told from those of people', async () => {
  const { check, unknown } = setUp();
  for (const name of ['john', 'typed password', 'JOHN']) await check(name, 'wrong');
  expect(unknown).toEqual(['typed password']);
});

test('who invents names is told of once in a while', async () => {
  const { check, logged, checked, repeated } = setUp();
  for (let i = 0; i < 5; i++) expect(await check(`nobody ${i}`, 'wrong')).toBeNull();
  expect(await check('john', 'wrong')).toBeNull();
  expect(logged.map(({ username }) => username)).toEqual(['', 'john']);
  expect(checked).toHaveLength(6);
  expect(repeated).toEqual(['nobody 1', 'nobody 2', 'nobody 3', 'nobody 4']);
});

test('a backend that does not answer costs no try', async () => {
  const { check, users } = setUp({ max_retries: 1 });
  const { checkPassword } = users.backend;
  let failing = true;
  Object.assign(users.backend, {
    checkPassword: (...args: Parameters<typeof checkPassword>) =>
      failing ? Promise.reject(new BackendUnavailable('down')) : checkPassword(...args),
  });
  for (let i = 0; i < 5; i++) await expect(check('john', 'secret')).rejects.toThrow(BackendUnavailable);
  failing = false;
  expect(await check('john', 'secret')).not.toBeNull();
});

test('where the person is going stands in the log of attempts', async () => {
  const { check, logged } = setUp();
  await check('john', 'secret', { target: { method: 'GET', url: 'https://app.example.com/?q' } });
  expect(logged).toMatchObject([{ outcome: 'success', method: 'GET', url: 'https://app.example.com/' }]);
});
