import { describe, expect, test } from 'vitest';

import { createBell, within } from '../../../src/lib/redis/waiting.ts';
import {
  formatRedisAddress,
  isSameRedisAddress,
  redisAddress,
  redisErrorCode,
  RedisTimeout,
} from '../../../src/lib/redis.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

describe('addresses', () => {
  test.each([
    ['redis.example.com', { host: 'redis.example.com', port: 6379 }, 'redis.example.com:6379'],
    ['10.0.0.1', { host: '10.0.0.1', port: 6379 }, '10.0.0.1:6379'],
    ['[2001:db8::1]', { host: '2001:db8::1', port: 6379 }, '[2001:db8::1]:6379'],
    ['2001:db8::1', { host: '2001:db8::1', port: 6379 }, '[2001:db8::1]:6379'],
    ['/run/redis/redis.sock', { path: '/run/redis/redis.sock' }, '/run/redis/redis.sock'],
  ])('%s', (host, address, text) => {
    expect(redisAddress(host, 6379)).toEqual(address);
    expect(formatRedisAddress(redisAddress(host, 6379))).toBe(text);
  });

  test('are the same when they lead to the same place', () => {
    expect(isSameRedisAddress(redisAddress('[::1]', 1), redisAddress('::1', 1))).toBe(true);
    expect(isSameRedisAddress(redisAddress('a', 1), redisAddress('a', 2))).toBe(false);
    expect(isSameRedisAddress(redisAddress('a', 1), null)).toBe(false);
    expect(isSameRedisAddress(null, null)).toBe(true);
  });
});

test.each([
  [new Error('WRONGPASS invalid username-password pair or user is disabled.'), 'WRONGPASS'],
  [new Error("READONLY You can't write against a read only replica."), 'READONLY'],
  [Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' }), 'ECONNREFUSED'],
  [new Error('Socket closed unexpectedly'), null],
  [new Error(''), null],
  ['READONLY text', null],
])('the code of %s', (error, code) => {
  expect(redisErrorCode(error)).toBe(code);
});

describe('waiting', () => {
  test('a bell wakes all who sleep, time wakes the rest', async () => {
    const timers = fakeTimers();
    const bell = createBell(timers);
    const woken: string[] = [];
    const sleep = async (name: string, ms: number): Promise<void> => {
      await bell.wait(ms);
      woken.push(name);
    };
    const first = Promise.all([sleep('a', 1000), sleep('b', 5000)]);
    bell.ring();
    await first;
    expect(woken).toEqual(['a', 'b']);
    expect(timers.pending).toBe(0);
    const last = sleep('c', 100);
    timers.advance(100);
    await last;
    expect(woken).toEqual(['a', 'b', 'c']);
    bell.ring();
  });

  test('an answer in time comes through, and no timer stays', async () => {
    const timers = fakeTimers();
    expect(await within(100, timers, Promise.resolve('here'))).toBe('here');
    await expect(within(100, timers, Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(timers.pending).toBe(0);
  });

  test('an answer that has arrived while the process was busy counts', async () => {
    const timers = fakeTimers();
    const { promise, resolve } = Promise.withResolvers<string>();
    const waiting = within(100, timers, promise);
    timers.advance(100);
    resolve('late but here');
    expect(await waiting).toBe('late but here');
  });

  test('no answer is a RedisTimeout', async () => {
    const timers = fakeTimers();
    const waiting = within(100, timers, new Promise<never>(() => {}));
    timers.advance(100);
    timers.advance(50);
    await expect(waiting).rejects.toThrow(RedisTimeout);
  });
});
