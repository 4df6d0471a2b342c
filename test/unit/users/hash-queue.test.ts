import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { BackendUnavailable } from '../../../src/users/backend.ts';
import {
  DEFAULT_HASH_MEMORY,
  HASH_MEMORY_BUDGET,
  hashConcurrency,
  openHashQueue,
} from '../../../src/users/hash-queue.ts';
import type { HashQueue, HashQueueOptions } from '../../../src/users/hash-queue.ts';
import { blankDigest } from '../../../src/users/digest.ts';
import { DEFAULT_PASSWORD_OPTIONS } from '../../../src/users/password-options.ts';
import { fakeTimers } from '../../support/fake-timers.ts';
import { random } from './fakes.ts';

const MIB = 1024 * 1024;

/** A queue and jobs that end when they are told to. */
function rig(options: HashQueueOptions) {
  const timers = fakeTimers();
  const queue = openHashQueue(options, { timers });
  const started: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<string>>();
  const submit = (name: string, memory = 1, on: HashQueue = queue, owner?: string): Promise<string> => {
    const end = Promise.withResolvers<string>();
    ends.set(name, end);
    return on.run(
      memory,
      () => {
        started.push(name);
        return end.promise;
      },
      owner,
    );
  };
  const finish = async (name: string): Promise<void> => {
    ends.get(name)?.resolve(name);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  };
  return { timers, queue, started, submit, finish, ends };
}

test('the number of hashes at a time follows from cores and memory', () => {
  expect(HASH_MEMORY_BUDGET / DEFAULT_HASH_MEMORY).toBe(8);
  expect(hashConcurrency(2)).toBe(2);
  expect(hashConcurrency(64)).toBe(8);
  expect(hashConcurrency(64, 16 * MIB)).toBe(32);
  expect(hashConcurrency(4, 2048 * MIB)).toBe(1);
  expect(hashConcurrency()).toBeGreaterThanOrEqual(1);
});

test('the default cost of the sum is that of the default digest', () => {
  expect(blankDigest(DEFAULT_PASSWORD_OPTIONS, random).memory).toBe(DEFAULT_HASH_MEMORY);
});

describe('owners', () => {
  test('take turns: somebody who sends many makes his own wait, not those of others', async () => {
    const { queue, started, submit, finish } = rig({ concurrency: 1 });
    const by = (owner: string, name: string): Promise<string> => submit(name, 1, queue, owner);
    const all = [
      ...['m1', 'm2', 'm3', 'm4'].map((name) => by('many', name)),
      by('one', 'o1'),
      by('other', 'p1'),
    ];
    for (const name of ['m1', 'm2', 'o1', 'p1', 'm3', 'm4']) await finish(name);
    await Promise.all(all);
    expect(started).toEqual(['m1', 'm2', 'o1', 'p1', 'm3', 'm4']);
  });

  test('have a share of the queue, and a full one is theirs alone', async () => {
    const { queue, submit } = rig({ concurrency: 1, maxWaitingEach: 2 });
    const by = (owner: string, name: string): Promise<string> => submit(name, 1, queue, owner);
    for (const name of ['m1', 'm2', 'm3']) by('many', name).catch(() => {});
    await expect(by('many', 'm4')).rejects.toBeInstanceOf(BackendUnavailable);
    let refused = false;
    by('one', 'o1').catch(() => (refused = true));
    await new Promise((resolve) => void setImmediate(resolve));
    expect(refused).toBe(false);
  });
});

describe('the queue', () => {
  test('runs no more than its concurrency, in the order of arrival', async () => {
    const { started, submit, finish } = rig({ concurrency: 2 });
    const all = ['a', 'b', 'c', 'd'].map((name) => submit(name));
    expect(started).toEqual(['a', 'b']);
    await finish('b');
    expect(started).toEqual(['a', 'b', 'c']);
    await finish('a');
    await finish('c');
    await finish('d');
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd']);
    expect(started).toEqual(['a', 'b', 'c', 'd']);
  });

  test('holds no more memory than its budget', async () => {
    const { started, submit, finish } = rig({ concurrency: 8, budget: 100 });
    void submit('a', 60);
    void submit('b', 60);
    void submit('c', 10);
    expect(started).toEqual(['a']);
    await finish('a');
    expect(started).toEqual(['a', 'b', 'c']);
  });

  test('runs a job that is larger than the budget alone', async () => {
    const { started, submit, finish } = rig({ concurrency: 8, budget: 100 });
    void submit('small', 1);
    void submit('huge', 1000);
    void submit('other', 1);
    expect(started).toEqual(['small']);
    await finish('small');
    expect(started).toEqual(['small', 'huge']);
    await finish('huge');
    expect(started).toEqual(['small', 'huge', 'other']);
  });

  test('gives a waiting job up at the deadline without starting it', async () => {
    const { timers, started, submit, finish } = rig({ concurrency: 1 });
    const first = submit('first');
    const late = submit('late');
    timers.advance(4_999);
    const next = submit('next');
    timers.advance(1);
    await expect(late).rejects.toThrow(BackendUnavailable);
    await expect(late).rejects.toThrow(/within 5000 ms/);
    await finish('first');
    expect(await first).toBe('first');
    expect(started).toEqual(['first', 'next']);
    await finish('next');
    expect(await next).toBe('next');
    expect(timers.pending).toBe(0);
  });

  test('never gives up a job that has started', async () => {
    const { timers, submit, finish } = rig({ concurrency: 1, deadline: 10 });
    const slow = submit('slow');
    timers.advance(1_000_000);
    await finish('slow');
    expect(await slow).toBe('slow');
  });

  test('refuses at once when too many wait', async () => {
    const { submit, started } = rig({ concurrency: 1, maxWaiting: 1 });
    void submit('runs');
    void submit('waits');
    await expect(submit('too many')).rejects.toThrow(BackendUnavailable);
    expect(started).toEqual(['runs']);
  });

  test('goes on after a job that failed', async () => {
    const { submit, started, ends, finish } = rig({ concurrency: 1 });
    const bad = submit('bad');
    const good = submit('good');
    ends.get('bad')?.reject(new Error('broken'));
    await expect(bad).rejects.toThrow('broken');
    await finish('good');
    expect(await good).toBe('good');
    expect(started).toEqual(['bad', 'good']);
  });

  test('lets smaller jobs pass once the large one before them has been given up', async () => {
    const { timers, submit, started } = rig({ concurrency: 2, budget: 100, deadline: 10 });
    void submit('runs', 50);
    const large = submit('large', 100);
    timers.advance(9);
    void submit('small', 10);
    expect(started).toEqual(['runs']);
    timers.advance(1);
    await expect(large).rejects.toThrow(BackendUnavailable);
    expect(started).toEqual(['runs', 'small']);
  });
});

describe('file and name look-ups beside running hashes', () => {
  const child = fileURLToPath(new URL('./thread-pool-child.ts', import.meta.url));
  const order = async (threads: number): Promise<readonly string[]> => {
    const { stdout } = await promisify(execFile)(process.execPath, [child], {
      env: { ...process.env, UV_THREADPOOL_SIZE: String(threads) },
    });
    return JSON.parse(stdout) as string[];
  };

  test('finish before any hash does, with the threads that bin/sallyport gives', async () => {
    const events = await order(hashConcurrency() + 8);
    expect(events.slice(0, 2).sort()).toEqual(['file', 'name']);
    expect(events.filter((event) => event === 'hash')).toHaveLength(3 * hashConcurrency());
  });

  test('would wait for hashes without them', async () => {
    const events = await order(hashConcurrency());
    expect(events[0]).toBe('hash');
  });
});
