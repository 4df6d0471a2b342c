import cluster, { type Worker } from 'node:cluster';

import type { Logger } from '../lib/logger.ts';
import type { CliIo } from './io.ts';
import type { WorkerMetrics } from './worker-metrics.ts';

/** Milliseconds before a worker that ended is replaced. */
const PAUSE = 500;
/** Milliseconds that workers have to end; they give themselves less. */
const PATIENCE = 10_000;

interface SuperviseDeps {
  readonly logger: Logger;
  readonly io: CliIo;
  readonly metrics: WorkerMetrics;
}

interface Supervised {
  /** The workers that run now. */
  readonly workers: ReadonlySet<Worker>;
}

/** Of several processes the first, which starts the others. */
export const { isPrimary } = cluster;
/** From 1; the first process has none. */
export const workerNumber = cluster.worker?.id ?? 0;

export type Supervise = typeof supervise;

/**
 * The first process of several (`server.workers`): starts the workers, replaces one that ends, hands signals on, and serves
 * nothing itself. Each worker listens on the port by itself; the kernel spreads connections.
 */
export function supervise(workers: number, deps: SuperviseDeps): Supervised {
  const { logger, io, metrics } = deps;
  const started = new Set<Worker>();
  let stopping = false;
  let hasServed = false;

  const start = (): void => {
    started.add(cluster.fork());
  };

  const signalAll = (signal: NodeJS.Signals): void => {
    for (const worker of started) worker.process.kill(signal);
  };

  // Each worker says so itself: ports of their own are nothing that the primary hears of.
  cluster.on('message', (worker, message) => {
    if (!metrics.receive(worker, message)) hasServed = true;
  });

  cluster.on('exit', (worker, code, signal) => {
    started.delete(worker);
    metrics.ended(worker);
    if (stopping) {
      if (started.size === 0) io.exit(hasServed ? 0 : 1);
      return;
    }
    logger.error({ pid: worker.process.pid, code, signal }, 'a worker ended');
    if (!hasServed && code !== 0) {
      // What keeps the first from starting keeps all: say it once and end, rather than start for ever.
      stop();
      if (started.size === 0) io.exit(1);
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
    // One that does not end by itself must not keep the others' end from being seen.
    setTimeout(() => signalAll('SIGKILL'), PATIENCE);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => signalAll('SIGHUP'));
  for (let i = 0; i < workers; i++) start();
  return { workers: started };
}
