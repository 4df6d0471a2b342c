import cluster, { type Worker } from 'node:cluster';

import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { CliIo } from './io.ts';

/** Milliseconds. A worker that ends by itself sooner than this after its start cannot start at all. */
const START = 5000;
/** Milliseconds before a worker that ended is replaced. */
const PAUSE = 500;

/**
 * The first process of several (`server.workers`): starts the workers, replaces one that ends, hands signals on, and serves
 * nothing itself. Each worker listens on the port by itself; the kernel spreads connections.
 */
export function supervise(
  workers: number,
  deps: { readonly logger: Logger; readonly clock: Clock; readonly io: CliIo },
): void {
  const { logger, clock, io } = deps;
  const started = new Map<Worker, number>();
  let stopping = false;
  let failed = false;

  const start = (): void => {
    const worker = cluster.fork();
    started.set(worker, clock.now());
  };

  const signalAll = (signal: NodeJS.Signals): void => {
    for (const worker of started.keys()) worker.process.kill(signal);
  };

  cluster.on('exit', (worker, code, signal) => {
    const lived = clock.now() - (started.get(worker) ?? 0);
    started.delete(worker);
    if (stopping) {
      if (started.size === 0) io.exit(failed ? 1 : 0);
      return;
    }
    logger.error({ pid: worker.process.pid, code, signal }, 'a worker ended');
    if (signal === null && code !== 0 && lived < START) {
      // What keeps one from starting keeps all: say it once and end, rather than start for ever.
      failed = true;
      stopping = true;
      if (started.size === 0) io.exit(1);
      else signalAll('SIGTERM');
      return;
    }
    setTimeout(() => {
      if (!stopping) start();
    }, PAUSE);
  });

  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    signalAll('SIGTERM');
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => signalAll('SIGHUP'));
  for (let i = 0; i < workers; i++) start();
}
