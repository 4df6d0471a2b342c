import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';

import {
  openPasswordStrength,
  type PasswordStrength,
  type StrengthJob,
  StrengthUnavailable,
} from '../../../src/factors/password-strength.ts';
import { systemTimers } from '../../../src/lib/timers.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

let opened: PasswordStrength | undefined;
afterEach(async () => {
  await opened?.close();
  opened = undefined;
});

test('the thread scores what is known, what is about the person, and what is strong', async () => {
  opened = openPasswordStrength({ timers: systemTimers });
  const about = ['margarethe', 'wuppertal-42'];
  const scores = await Promise.all(
    [
      'password',
      'P@ssw0rd1',
      'qwertyuiop',
      '19870612',
      'margarethewuppertal-42',
      'correct horse battery staple',
      'x9Kq-72mZpLw',
      '',
      'a'.repeat(1_024),
      `${'a'.repeat(72)}x9Kq-72mZpLw`,
      '\uD800🔐\0',
    ].map((password) => opened?.score(password, about)),
  );
  expect(scores.slice(0, 5).every((score) => score !== undefined && score <= 1)).toBe(true);
  expect(scores.slice(5, 7)).toEqual([4, 4]);
  expect(scores.slice(7, 9)).toEqual([0, 0]);
  for (const score of scores.slice(9)) expect([0, 1, 2, 3, 4]).toContain(score);
});

describe('the thread', () => {
  class FakeThread extends EventEmitter {
    readonly jobs: StrengthJob[] = [];
    isReferenced = true;
    isTerminated = false;
    postMessage(job: StrengthJob): void {
      this.jobs.push(job);
    }
    ref(): void {
      this.isReferenced = true;
    }
    unref(): void {
      this.isReferenced = false;
    }
    async terminate(): Promise<void> {
      this.isTerminated = true;
      this.emit('exit');
    }
  }

  function open() {
    const timers = fakeTimers();
    const threads: FakeThread[] = [];
    opened = openPasswordStrength({
      timers,
      startThread() {
        const thread = new FakeThread();
        threads.push(thread);
        return thread;
      },
    });
    return { strength: opened, timers, threads };
  }

  test('starts at first need, takes one job at a time, and ends a minute after the last', async () => {
    const { strength, timers, threads } = open();
    expect(threads).toHaveLength(0);
    const first = strength.score('one', ['jane']);
    const second = strength.score('two', []);
    expect(threads.map(({ jobs }) => jobs)).toEqual([[{ password: 'one', about: ['jane'] }]]);
    threads[0]?.emit('message', 1);
    expect(await first).toBe(1);
    expect(threads[0]?.jobs.at(-1)).toEqual({ password: 'two', about: [] });
    threads[0]?.emit('message', 2);
    expect(await second).toBe(2);
    expect(threads[0]).toMatchObject({ isReferenced: false, isTerminated: false });

    timers.advance(59_999);
    const third = strength.score('three', []);
    expect(threads).toHaveLength(1);
    expect(threads[0]?.isReferenced).toBe(true);
    threads[0]?.emit('message', 3);
    expect(await third).toBe(3);
    timers.advance(60_000);
    expect(threads[0]?.isTerminated).toBe(true);
    expect(timers.pending).toBe(0);
    void strength.score('four', []).catch(() => undefined);
    expect(threads).toHaveLength(2);
  });

  test.each([
    ['fails', (thread?: FakeThread) => thread?.emit('error', new Error('out of memory')), /has failed/],
    ['ends', (thread?: FakeThread) => thread?.emit('exit'), /has ended/],
  ])('that %s fails one job; the next goes to a new one', async (_name, breakIt, message) => {
    const { strength, threads } = open();
    const [first, second] = [strength.score('one', []), strength.score('two', [])];
    breakIt(threads[0]);
    await expect(first).rejects.toThrow(StrengthUnavailable);
    await expect(first).rejects.toThrow(message);
    expect(threads[1]?.jobs).toEqual([{ password: 'two', about: [] }]);
    threads[1]?.emit('message', 2);
    expect(await second).toBe(2);
  });

  test('that takes too long is ended, and its late answer belongs to nobody', async () => {
    const { strength, timers, threads } = open();
    const [first, second] = [strength.score('one', []), strength.score('two', [])];
    timers.advance(10_000);
    await expect(first).rejects.toThrow(/not be estimated within 10000 ms/);
    expect(threads[0]?.isTerminated).toBe(true);
    threads[0]?.emit('message', 4);
    threads[1]?.emit('message', 1);
    expect(await second).toBe(1);
  });

  test('keeps at most fifty waiting', async () => {
    const { strength } = open();
    const waiting = Array.from({ length: 50 }, () => strength.score('x', []));
    await expect(strength.score('x', [])).rejects.toThrow(/^50 passwords wait/);
    await strength.close();
    for (const one of waiting) await expect(one).rejects.toThrow(StrengthUnavailable);
    await expect(strength.score('x', [])).rejects.toThrow(/closed/);
  });
});
