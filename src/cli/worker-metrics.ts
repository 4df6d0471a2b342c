import { joinMetrics, type MetricFamily } from '../lib/metrics.ts';
import type { Timers } from '../lib/timers.ts';

/**
 * Metrics of several workers as one: whoever reads them asks the first process, which asks the workers. A worker that does
 * not answer in time is counted with what it said last, and what an ended one had counted stays, so that no sum goes back.
 */
export interface WorkerMetrics {
  /** Takes a message of a worker; false when it is no answer of this kind. */
  receive(worker: MetricsWorker, message: unknown): boolean;
  ended(worker: MetricsWorker): void;
  read(workers: Iterable<MetricsWorker>): Promise<readonly MetricFamily[]>;
}

export interface MetricsWorker {
  readonly id: number;
  send(message: MetricsQuestion): unknown;
}

export interface MetricsQuestion {
  readonly ask: 'metrics';
}

export interface MetricsAnswer {
  readonly metrics: readonly MetricFamily[];
}

/** Milliseconds. More than a look into the database takes. */
const PATIENCE = 3000;

export function createWorkerMetrics(timers: Timers): WorkerMetrics {
  const last = new Map<number, readonly MetricFamily[]>();
  const waiting = new Map<number, Set<() => void>>();
  let ofEnded: readonly MetricFamily[] = [];

  const settle = (id: number): void => {
    for (const resume of waiting.get(id) ?? []) resume();
    waiting.delete(id);
  };

  const answerOf = (worker: MetricsWorker): Promise<void> =>
    new Promise((resolve) => {
      const cancel = timers.after(PATIENCE, resolve);
      const resume = (): void => {
        cancel();
        resolve();
      };
      const others = waiting.get(worker.id);
      if (others) others.add(resume);
      else waiting.set(worker.id, new Set([resume]));
      try {
        worker.send({ ask: 'metrics' });
      } catch {
        // It is ending.
        resume();
      }
    });

  return {
    receive({ id }, message) {
      if (!isAnswer(message)) return false;
      last.set(id, message.metrics);
      settle(id);
      return true;
    },

    ended({ id }) {
      const counted = (last.get(id) ?? []).filter(({ type }) => type !== 'gauge');
      ofEnded = joinMetrics([ofEnded, counted]);
      last.delete(id);
      settle(id);
    },

    async read(workers) {
      await Promise.all([...workers].map(answerOf));
      return joinMetrics([...last.values(), ofEnded]);
    },
  };
}

/** The worker's side: what it answers to a message of the first process, or null when that asks for something else. */
export async function answerForMetrics(
  message: unknown,
  read: () => Promise<readonly MetricFamily[]>,
): Promise<MetricsAnswer | null> {
  const isQuestion = (message as Partial<MetricsQuestion> | null)?.ask === 'metrics';
  return isQuestion ? { metrics: await read() } : null;
}

function isAnswer(message: unknown): message is MetricsAnswer {
  return Array.isArray((message as Partial<MetricsAnswer> | null)?.metrics);
}
