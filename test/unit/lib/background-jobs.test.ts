import { describe, expect, test } from 'vitest';

import { createBackgroundJobs } from '../../../src/lib/background-jobs.ts';
import { fakeTimers } from '../../support/fake-timers.ts';

function jobs(limit?: number) {
  const timers = fakeTimers();
  const failures: unknown[] = [];
  const done: string[] = [];
  const background = createBackgroundJobs({
    timers,
    onFailure: (error) => failures.push(error),
    ...(limit !== undefined && { limit }),
  });
  const job = (name: string) => async () => void done.push(name);
  return { timers, failures, done, background, job };
}

describe('background jobs', () => {
  test('begin after their delay, never at once', () => {
    const { timers, done, background, job } = jobs();
    expect(background.start(0, job('first'))).toBe(true);
    background.start(10, job('second'));
    expect(done).toEqual([]);
    timers.advance(0);
    expect(done).toEqual(['first']);
    timers.advance(10);
    expect(done).toEqual(['first', 'second']);
  });

  test('a failure is told, and takes nothing else along', async () => {
    const { failures, done, background, job } = jobs();
    const error = new Error('of this job');
    background.start(5, () => Promise.reject(error));
    background.start(5, job('other'));
    await background.close();
    expect([failures, done]).toEqual([[error], ['other']]);
  });

  test('no more than the limit wait or run; room comes back when one has ended', async () => {
    const { timers, background, job } = jobs(2);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    expect(background.start(0, () => promise)).toBe(true);
    timers.advance(0);
    expect(background.start(100, job('waits'))).toBe(true);
    expect(background.start(0, job('too many'))).toBe(false);
    resolve(undefined);
    await promise;
    await Promise.resolve();
    await Promise.resolve();
    expect(background.start(0, job('fits'))).toBe(true);
    await background.close();
  });

  test('closing finishes what waits and what runs, once, and takes up nothing more', async () => {
    const { timers, done, background, job } = jobs();
    background.start(1000, job('waits'));
    await background.close();
    expect(done).toEqual(['waits']);
    expect(timers.pending).toBe(0);
    expect(background.start(0, job('late'))).toBe(false);
    timers.advance(1000);
    expect(done).toEqual(['waits']);
  });
});
