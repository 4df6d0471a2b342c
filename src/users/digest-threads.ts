import { Worker } from 'node:worker_threads';
import { threadUrl } from '../lib/thread.ts';
import type { Sha2Variant } from './sha2crypt.ts';

/** What a thread is asked: bcrypt answers the whole digest, SHA-2-crypt the part behind the salt. */
export type ThreadJob =
  | { readonly algorithm: 'bcrypt'; readonly password: string; readonly setting: string }
  | {
      readonly algorithm: 'sha2crypt';
      readonly variant: Sha2Variant;
      readonly password: string;
      readonly salt: string;
      readonly rounds: number;
    };

const idle = new Set<Worker>();

function startThread(): Worker {
  const thread = new Worker(threadUrl('digest-thread', import.meta.url));
  // A thread that failed is not used again; who waits for it hears of it below.
  thread.on('error', () => idle.delete(thread));
  thread.on('exit', () => idle.delete(thread));
  return thread;
}

/**
 * Runs a job on a thread of its own, started at first need and kept for the next job. As many threads as jobs under way
 * at one time: who calls bounds that (the hash queue). An idle thread does not keep the process alive.
 */
export function runInThread(job: ThreadJob): Promise<string> {
  const [thread = startThread()] = idle;
  idle.delete(thread);
  thread.ref();
  return new Promise<string>((resolve, reject) => {
    const onMessage = (answer: string): void => {
      settle();
      thread.unref();
      idle.add(thread);
      resolve(answer);
    };
    const onError = (cause: unknown): void => {
      settle();
      reject(cause);
    };
    const onExit = (): void => {
      settle();
      reject(new Error('the thread that computes password digests has ended'));
    };
    const settle = (): void => {
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    thread.postMessage(job, []);
  });
}
