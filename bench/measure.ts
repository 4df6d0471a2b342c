/**
 * Measuring on a machine that others use too: all subjects of a comparison run at the same time, and are asked in short
 * slices in an order that is shuffled each round. What counts are ratios to the yardstick within the run, each at its
 * quietest moments: what others do to a machine's caches makes the same work cost up to twice as much, for some tens of
 * milliseconds at a time.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { cpuOf, machineTimes, ownTimes, readBy, treeOf } from './processes.ts';

const execute = promisify(execFile);

/** One thing that is asked for answers. */
export interface Subject {
  readonly name: string;
  readonly url: string;
  /** The file of requests, see wrk.lua. */
  readonly requests: string;
  /** The server, with all that it has started, whose CPU time is counted. */
  readonly pid: number;
  /** The store behind it, whose CPU time is counted apart. */
  readonly store?: number;
  /** Default 32. */
  readonly connections?: number;
  /** The subject that it is compared with; default: the first of the run. */
  readonly base?: string;
  /** Whether it is asked beside its base (`costBeside`), as the same program with other settings. */
  readonly isAlike?: boolean;
  /** Statuses of 400 and above are what is asked for. */
  readonly refuses?: boolean;
}

interface Slice {
  readonly requestsPerSecond: number;
  /** Microseconds for each request, in each window of the slice and in all of it. */
  readonly windows: readonly number[];
  readonly cpu: number;
  readonly storeCpu: number;
  readonly p50: number;
  readonly p99: number;
  /** Cores that were busy with something else, or taken away. */
  readonly foreign: number;
}

export interface Figures {
  readonly name: string;
  readonly base: string;
  /** The base's CPU time for each request divided by this one's. */
  readonly cpuRatio: number;
  /** Requests a second divided by the base's of the same round: the median over the rounds. */
  readonly throughputRatio: number;
  /** Microseconds for each request: 5th percentile of all windows. */
  readonly cpu: number;
  /** As `cpuRatio`, of the medians of whole slices: as busy as the machine was. */
  readonly wholeRatio: number;
  /** 15th percentile of the slices. */
  readonly storeCpu: number | null;
  /** 85th percentile. */
  readonly requestsPerSecond: number;
  /** Of the quieter third of the slices, microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Median of the cores that others kept busy meanwhile. */
  readonly foreign: number;
}

export interface WrkAnswer {
  readonly requests: number;
  readonly microseconds: number;
  readonly p50: number;
  readonly p99: number;
  /** Statuses of 400 and above. */
  readonly refused: number;
  /** Connections that fell or timed out. */
  readonly failed: number;
}

let unique = 0;

/** Asks for whole `seconds`, as fast as answers come, or with a pause of milliseconds before each request. */
export async function askFor(
  seconds: number,
  { url, requests, connections = 32 }: Pick<Subject, 'url' | 'requests' | 'connections'>,
  pause?: number,
): Promise<WrkAnswer> {
  unique += 1_000_003;
  const { stdout } = await execute(
    'wrk',
    [
      '-t1',
      `-c${connections}`,
      `-d${seconds}s`,
      '--timeout',
      '8s',
      '-s',
      `${import.meta.dirname}/wrk.lua`,
      url,
    ],
    {
      env: {
        PATH: '/usr/bin:/bin',
        REQUESTS: requests,
        UNIQUE: String(unique),
        ...(pause !== undefined && { PAUSE: String(pause) }),
      },
    },
  );
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  if (line === undefined) throw new Error(`wrk said:\n${stdout}`);
  return JSON.parse(line) as WrkAnswer;
}

async function slice(subject: Subject): Promise<Slice> {
  const own = treeOf(subject.pid);
  const store = subject.store === undefined ? [] : treeOf(subject.store);
  const [cpu, storeCpu, machine, ours] = [cpuOf(own), cpuOf(store), machineTimes(), ownTimes()];
  const begun = performance.now();
  const { answer, windows } = await watched(own, () => askFor(1, subject));
  if (answer.failed > 0 || (!subject.refuses && answer.refused > 0)) {
    throw new Error(`${subject.name}: ${answer.refused} refused, ${answer.failed} failed`);
  }
  const spent = cpuOf(own) - cpu;
  const storeSpent = cpuOf(store) - storeCpu;
  const after = machineTimes();
  // wrk has ended, so its time is ours.
  const known = spent + storeSpent + ownTimes() - ours;
  const busy = after.busy - machine.busy + after.stolen - machine.stolen;
  return {
    requestsPerSecond: (answer.requests * 1e6) / answer.microseconds,
    windows,
    cpu: spent / 1e3 / answer.requests,
    storeCpu: storeSpent / 1e3 / answer.requests,
    p50: answer.p50,
    p99: answer.p99,
    foreign: Math.max(0, (busy - known) / ((performance.now() - begun) * 1e6)),
  };
}

/** Milliseconds: short enough to lie between what others do, long enough for the kernel's clock, which ticks every 4. */
const WINDOW = 100;
/** Bytes. Whoever has read less for each request reads them in a way that is not counted. */
const LEAST_READ = 200;

/**
 * CPU time for each request in short windows. How many requests a window had is told by the bytes that were read: of those,
 * each request takes as many as it does in the whole slice. (A store answers by few bytes, and by as many for each request.)
 */
async function watched(
  pids: readonly number[],
  ask: () => Promise<WrkAnswer>,
): Promise<{ readonly answer: WrkAnswer; readonly windows: readonly number[] }> {
  const look = (): { cpu: number; read: number } => {
    const before = readBy(pids);
    const cpu = cpuOf(pids);
    return { cpu, read: (before + readBy(pids)) / 2 };
  };
  const looks = [look()];
  const timer = setInterval(() => void looks.push(look()), WINDOW);
  const answer = await ask().finally(() => clearInterval(timer));
  looks.push(look());
  const costs = (from: number, to: number): { cpu: number; read: number } => {
    const [first, last] = [looks.at(from), looks.at(to)];
    if (!first || !last) throw new Error('nothing was looked at');
    return { cpu: last.cpu - first.cpu, read: last.read - first.read };
  };
  const whole = costs(0, -1);
  const bytes = whole.read / answer.requests;
  if (bytes < LEAST_READ) return { answer, windows: [whole.cpu / answer.requests / 1e3] };
  const windows = looks.slice(1).flatMap((_, index) => {
    const { cpu, read } = costs(index, index + 1);
    // The first and the last are no whole ones.
    return read < whole.read / looks.length / 2 ? [] : [((cpu / read) * bytes) / 1e3];
  });
  return { answer, windows };
}

/** The first subject is the yardstick. `random` answers numbers from 0 to 1. */
export async function compare(
  subjects: readonly Subject[],
  options: { readonly rounds: number; readonly random: () => number; readonly say: (text: string) => void },
): Promise<readonly Figures[]> {
  const slices = new Map<string, Slice[]>(subjects.map(({ name }) => [name, []]));
  for (const subject of subjects) await askFor(2, subject);
  for (let round = 1; round <= options.rounds; round++) {
    options.say(`round ${round} of ${options.rounds}`);
    for (const subject of shuffled(subjects, options.random)) {
      slices.get(subject.name)?.push(await slice(subject));
    }
  }
  const yardstick = subjects[0]?.name ?? '';
  const beside = new Map<string, number>();
  for (const subject of subjects) {
    const base = subject.isAlike ? subjects.find(({ name }) => name === subject.base) : undefined;
    if (!base) continue;
    options.say(`${subject.name} beside ${base.name}`);
    beside.set(subject.name, await costBeside(subject, base, options.rounds));
  }
  return subjects.map(({ name, base = yardstick, store }) => {
    const own = slices.get(name) ?? [];
    const other = slices.get(base) ?? [];
    const cpu = quietest(own);
    const quiet = own
      .toSorted((a, b) => b.requestsPerSecond - a.requestsPerSecond)
      .slice(0, Math.ceil(own.length / 3));
    return {
      name,
      base,
      cpu,
      cpuRatio: 1 / (beside.get(name) ?? cpu / quietest(other)),
      wholeRatio: typical(other) / typical(own),
      throughputRatio: percentile(
        own.map((one, round) => one.requestsPerSecond / (other[round]?.requestsPerSecond ?? Number.NaN)),
        0.5,
      ),
      storeCpu:
        store === undefined
          ? null
          : percentile(
              own.map((one) => one.storeCpu),
              0.15,
            ),
      requestsPerSecond: percentile(
        own.map((one) => one.requestsPerSecond),
        0.85,
      ),
      p50: percentile(
        quiet.map((one) => one.p50),
        0.5,
      ),
      p99: percentile(
        quiet.map((one) => one.p99),
        0.5,
      ),
      foreign: percentile(
        own.map((one) => one.foreign),
        0.5,
      ),
    };
  });
}

/**
 * The CPU time of a request to `subject` divided by that of one to `base`, while both are asked at the same time on one core:
 * what else the machine does makes both dearer alike. Median over the rounds.
 */
export async function costBeside(subject: Subject, base: Subject, rounds: number): Promise<number> {
  const both = [subject, base].map((one) => ({ ...one, pids: treeOf(one.pid) }));
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const before = both.map(({ pids }) => cpuOf(pids));
    const answers = await Promise.all(both.map((one) => askFor(1, one)));
    const [cost = Number.NaN, baseCost = Number.NaN] = answers.map(({ requests, refused, failed }, index) => {
      const { name, pids } = both[index] as (typeof both)[number];
      if (refused + failed > 0) throw new Error(`${name}: ${refused} refused, ${failed} failed`);
      return (cpuOf(pids) - (before[index] ?? 0)) / requests;
    });
    // The first is for getting warm.
    if (round > 0) ratios.push(cost / baseCost);
  }
  return percentile(ratios, 0.5);
}

function quietest(slices: readonly Slice[]): number {
  return percentile(
    slices.flatMap(({ windows }) => windows),
    0.05,
  );
}

function typical(slices: readonly Slice[]): number {
  return percentile(
    slices.map(({ cpu }) => cpu),
    0.5,
  );
}

/** The value below which this part of the others lies; of few values the nearest one. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.round(part * (sorted.length - 1)))] ?? Number.NaN;
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
