/** The figures in words: tables, and what was aimed at. */
import type { Figures } from './measure.ts';
import type { Single } from './single.ts';

export interface Results {
  /** ISO 8601. */
  readonly date: string;
  readonly machine: string;
  readonly node: string;
  readonly rounds: number;
  /** Servers that were not installed. */
  readonly missing: readonly string[];
  readonly figures: readonly Figures[];
  readonly single: Single;
}

interface Target {
  readonly what: string;
  readonly bound: 'at least' | 'at most';
  readonly value: number;
  /** Undefined when it was not measured. */
  readonly measured: (results: Results) => number | undefined;
}

const find = ({ figures }: Results, name: string): Figures | undefined =>
  figures.find((one) => one.name === name);
const cpu =
  (name: string) =>
  (results: Results): number | undefined =>
    find(results, name)?.cpuRatio;
const throughput =
  (name: string) =>
  (results: Results): number | undefined =>
    find(results, name)?.throughputRatio;
/** What two workers answer with a core each, of what one answers: what a second of their CPU time comes to, twice. */
const twice =
  (name: string) =>
  (results: Results): number | undefined => {
    const ratio = find(results, name)?.cpuRatio;
    return ratio === undefined ? undefined : 2 * ratio;
  };
const single =
  (name: string) =>
  (results: Results): number | undefined =>
    results.single[name];

const targets: readonly Target[] = [
  { what: 'memory', bound: 'at least', value: 0.8, measured: cpu('memory') },
  { what: 'Redis', bound: 'at least', value: 0.75, measured: cpu('redis') },
  { what: 'PostgreSQL', bound: 'at least', value: 0.6, measured: cpu('postgres') },
  { what: 'filesystem', bound: 'at least', value: 0.75, measured: cpu('filesystem') },
  ...['50 hosts', '1,000 hosts', 'one host'].map((where): Target => ({
    what: `1,000 rules on ${where}, of 50 rules`,
    bound: 'at least',
    value: 0.9,
    measured: cpu(`1,000 rules on ${where}`),
  })),
  ...['anonymous, 401', 'anonymous, 302', 'denied, 403'].map((name): Target => ({
    what: name,
    bound: 'at least',
    value: 0.8,
    measured: cpu(name),
  })),
  {
    what: 'unknown cookies on Redis',
    bound: 'at least',
    value: 0.5,
    measured: cpu('redis, unknown cookies'),
  },
  {
    what: 'Redis CPU for each authorization, us',
    bound: 'at most',
    value: 3,
    measured: (results) => find(results, 'redis')?.storeCpu ?? undefined,
  },
  {
    what: 'Redis commands for each authorization',
    bound: 'at most',
    value: 0.2,
    measured: single('Redis commands for each authorization'),
  },
  {
    what: 'Redis connections opened by authorizations',
    bound: 'at most',
    value: 0,
    measured: single('Redis connections opened meanwhile'),
  },
  {
    what: 'records written by authorizations',
    bound: 'at most',
    value: 0,
    measured: single('records written meanwhile'),
  },
  {
    what: 'gateway at a Unix socket, of TCP (behind nginx)',
    bound: 'at least',
    value: 1.1,
    measured: cpu('nginx, guarded page, gateway by socket'),
  },
  {
    what: 'two workers with a core each, of one',
    bound: 'at least',
    value: 1.45,
    measured: twice('redis, two workers, both cores'),
  },
  {
    what: 'guarded page, of the open one (requests a second)',
    bound: 'at least',
    value: 0.4,
    measured: throughput('nginx, guarded page'),
  },
  {
    what: 'memory growth by 100,000 anonymous requests, MB',
    bound: 'at most',
    value: 5,
    measured: single('memory growth by 100,000 anonymous requests, MB'),
  },
  {
    what: '32 logins at once, memory, MB',
    bound: 'at most',
    value: 800,
    measured: single('most memory meanwhile, MB'),
  },
  {
    what: 'decisions meanwhile, p99, ms',
    bound: 'at most',
    value: 50,
    measured: single('decisions meanwhile, p99, ms'),
  },
  { what: 'idle memory, MB', bound: 'at most', value: 110, measured: single('idle memory, MB') },
  {
    what: 'start to first answer, ms',
    bound: 'at most',
    value: 600,
    measured: single('start to first answer, ms'),
  },
];

export interface Judgement {
  readonly what: string;
  readonly aim: string;
  readonly measured: number | undefined;
  readonly pass: boolean;
}

export function judge(results: Results): readonly Judgement[] {
  return targets.map(({ what, bound, value, measured }) => {
    const found = measured(results);
    const pass = found !== undefined && (bound === 'at least' ? found >= value : found <= value);
    return { what, aim: `${bound} ${value}`, measured: found, pass };
  });
}

function number(value: number | null | undefined): string {
  if (value === undefined || value === null) return '';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en');
  return value.toFixed(Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Everything, as it stands in docs/performance.md. */
export function markdown(results: Results): string {
  const { date, machine, node, rounds, figures, missing } = results;
  const foreign = figures.map((one) => one.foreign).toSorted((a, b) => a - b)[figures.length >> 1];
  const judged = judge(results).filter(({ measured }) => measured !== undefined);
  return [
    `Measured ${date}: ${machine}, Node.js ${node}, ${rounds} slices of a second for each row; others kept ${number(foreign)} cores busy.${missing.length > 0 ? ` Not installed: ${missing.join(', ')}.` : ''}`,
    '',
    table(
      ['aim', '', 'measured', ''],
      judged.map(({ what, aim, measured, pass }) => [
        what,
        aim,
        number(measured),
        pass ? 'reached' : '**missed**',
      ]),
    ),
    '',
    table(
      [
        'subject',
        'compared with',
        'CPU ratio',
        'of whole slices',
        'throughput ratio',
        'CPU us',
        'store CPU us',
        'requests/s',
        'p50 us',
        'p99 us',
      ],
      figures.map((one) => [
        one.name,
        one.base,
        number(one.cpuRatio),
        number(one.wholeRatio),
        number(one.throughputRatio),
        number(one.cpu),
        number(one.storeCpu),
        number(one.requestsPerSecond),
        number(one.p50),
        number(one.p99),
      ]),
    ),
    '',
    table(
      ['figure', 'measured'],
      Object.entries(results.single).map(([name, value]) => [name, number(value)]),
    ),
  ].join('\n');
}
