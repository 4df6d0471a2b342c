/**
 * A registry of metrics, written as Prometheus reads them (text format 0.0.4). To count is one addition to a plain number:
 * whoever counts often keeps the cell. What is read is plain data, so that several processes can be joined into one.
 *
 * Label values must come from a closed set: each set of values is a series that stays for the life of the process.
 */
import type { MaybePromise } from './maybe-promise.ts';

/** How the values that several processes have become one. */
export type Joining = 'sum' | 'max' | 'min';

/** All series of one name. Plain data: it may be sent to another process. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly joining: Joining;
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  readonly suffix: '' | '_bucket' | '_sum' | '_count';
  /** As written: empty, or `{name="value"}`. */
  readonly labels: string;
  readonly value: number;
}

/** A number that is counted up, or set. */
export interface Cell {
  value: number;
}

export interface Distribution {
  observe(value: number): void;
}

/** One name with its series; a series begins when it is first asked for. */
export interface Metric<L extends string, T> {
  of(labels: Readonly<Record<L, string>>): T;
}

export interface MetricOptions<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly L[];
}

export interface MetricRegistry {
  counter<L extends string = never>(options: MetricOptions<L>): Metric<L, Cell>;
  gauge<L extends string = never>(options: MetricOptions<L> & { readonly joining: Joining }): Metric<L, Cell>;
  /** `buckets`: upper bounds, rising. */
  histogram<L extends string = never>(
    options: MetricOptions<L> & { readonly buckets: readonly number[] },
  ): Metric<L, Distribution>;
  /** Runs before each reading, to set what is only known by looking. What it throws is left out of the reading. */
  beforeReading(look: () => MaybePromise<void>): void;
  read(): Promise<readonly MetricFamily[]>;
}

export function createMetricRegistry(): MetricRegistry {
  const readers: (() => MetricFamily)[] = [];
  const looks: (() => MaybePromise<void>)[] = [];

  const cells =
    (type: 'counter' | 'gauge') =>
    <L extends string>(options: MetricOptions<L> & { readonly joining?: Joining }): Metric<L, Cell> => {
      const { name, help, labels = [], joining = 'sum' } = options;
      const series = new Map<string, Cell>();
      readers.push(() => ({
        name,
        help,
        type,
        joining,
        samples: [...series].map(([text, { value }]) => ({ suffix: '', labels: text, value })),
      }));
      return { of: (values) => getOrAdd(series, labelText(labels, values), () => ({ value: 0 })) };
    };

  return {
    counter: cells('counter'),
    gauge: cells('gauge'),

    histogram({ name, help, labels = [], buckets }) {
      const series = new Map<string, Buckets>();
      readers.push(() => ({
        name,
        help,
        type: 'histogram',
        joining: 'sum',
        samples: [...series].flatMap(([text, one]) => one.samples(text)),
      }));
      return { of: (values) => getOrAdd(series, labelText(labels, values), () => createBuckets(buckets)) };
    },

    beforeReading(look) {
      looks.push(look);
    },

    async read() {
      await Promise.allSettled(looks.map(async (look) => look()));
      return readers.map((reader) => reader());
    },
  };
}

interface Buckets extends Distribution {
  samples(labels: string): readonly MetricSample[];
}

function createBuckets(bounds: readonly number[]): Buckets {
  // The last one has no bound.
  const counts = new Float64Array(bounds.length + 1);
  let sum = 0;
  return {
    observe(value) {
      let i = 0;
      while (i < bounds.length && value > (bounds[i] as number)) i++;
      counts[i] = (counts[i] as number) + 1;
      sum += value;
    },
    samples(labels) {
      const samples: MetricSample[] = [];
      let count = 0;
      counts.forEach((more, i) => {
        count += more;
        const bound = `le="${bounds[i] ?? '+Inf'}"`;
        const text = labels === '' ? `{${bound}}` : `${labels.slice(0, -1)},${bound}}`;
        samples.push({ suffix: '_bucket', labels: text, value: count });
      });
      return [...samples, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: count }];
    },
  };
}

function getOrAdd<T>(map: Map<string, T>, key: string, make: () => T): T {
  let found = map.get(key);
  if (found === undefined) map.set(key, (found = make()));
  return found;
}

function labelText<L extends string>(names: readonly L[], values: Readonly<Record<L, string>>): string {
  if (names.length === 0) return '';
  return `{${names.map((name) => `${name}="${escape(values[name]).replaceAll('"', '\\"')}"`).join(',')}}`;
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

/** The content type of `formatMetrics`. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Names without a series are left out. */
export function formatMetrics(families: readonly MetricFamily[]): string {
  return families
    .filter(({ samples }) => samples.length > 0)
    .map(({ name, help, type, samples }) => {
      const lines = samples.map(({ suffix, labels, value }) => `${name}${suffix}${labels} ${value}\n`);
      return `# HELP ${name} ${escape(help)}\n# TYPE ${name} ${type}\n${lines.join('')}`;
    })
    .join('');
}

/** What several processes read, as if it were one. */
export function joinMetrics(readings: readonly (readonly MetricFamily[])[]): readonly MetricFamily[] {
  const families = new Map<
    string,
    { readonly family: MetricFamily; readonly samples: Map<string, MetricSample> }
  >();
  for (const family of readings.flat()) {
    const { samples } = getOrAdd(families, family.name, () => ({ family, samples: new Map() }));
    for (const sample of family.samples) {
      const key = sample.suffix + sample.labels;
      const before = samples.get(key)?.value;
      samples.set(key, {
        ...sample,
        value: before === undefined ? sample.value : JOIN[family.joining](before, sample.value),
      });
    }
  }
  return [...families.values()].map(({ family, samples }) => ({ ...family, samples: [...samples.values()] }));
}

const JOIN: Readonly<Record<Joining, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
};
