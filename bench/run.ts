/**
 * `npm run bench`: what an authorization costs, as ratios to a bare `node:http` server within one run. Writes
 * bench/results.json and the figures in docs/performance.md, which says how they are found. `--ci` measures a few of them and
 * fails when a ratio has fallen by more than a tenth below the recorded one. `--rounds N` for more or fewer slices.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { systemClock } from '../src/lib/clock.ts';
import { systemRandom } from '../src/lib/random.ts';
import { announce as say } from '../test/support/announce.ts';
import { root } from '../test/support/environment.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { buildGateway } from './gateways.ts';
import { type Figures, figuresOf, measure, type Slices } from './measure.ts';
import { measureLife, measureRedis, type Single } from './single.ts';
import { describeMachine, OTHER_CORE, pin } from './processes.ts';
import { openStage } from './stage.ts';
import { markdown, judge, type Results } from './report.ts';

const RESULTS = join(import.meta.dirname, 'results.json');
const DOCUMENT = join(root, 'docs/performance.md');

/** `--ci`: below this part of the recorded ratio it is a failure. */
const TOLERATED = 0.9;
/** `--ci`: rounds, and what is added for those that seem to have fallen, as others may have had the machine. */
const CI_ROUNDS = [5, 10, 20];
/** `--ci`: where the yardstick itself costs more than so many times what was recorded, nothing can be told. */
const TOO_BUSY = 1.1;

const { values } = parseArgs({
  options: {
    ci: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    /** Names of subjects, separated by semicolons; writes nothing. */
    only: { type: 'string' },
  },
});

const random = (): number => systemRandom.bytes(4).readUInt32BE() / 2 ** 32;

pin(process.pid, String(OTHER_CORE));
const folder = await temporaryFolder('bench');
try {
  process.exitCode = values.ci ? await checkRatios() : await measureAll();
} finally {
  await folder.remove();
}

async function measureAll(): Promise<number> {
  const rounds = Number(values.rounds ?? 20);
  const command = buildGateway(folder.path);
  const only = values.only?.split(';');
  const stage = await openStage(command, folder.path, { short: false, say });
  let figures: readonly Figures[];
  let single: Single = {};
  try {
    const subjects = only
      ? stage.subjects.filter(({ name }, index) => index === 0 || only.includes(name))
      : stage.subjects;
    figures = figuresOf(subjects, await measure(subjects, { rounds, random, say }));
    const redis = stage.subjects.find(({ name }) => name === 'redis');
    if (stage.redis && redis && !only) single = await measureRedis(stage.redis, redis);
  } finally {
    await stage.stop();
  }
  if (!only) single = { ...single, ...(await measureLife(command, folder.path, { say })) };
  const results: Results = {
    date: new Date(systemClock.now()).toISOString().slice(0, 10),
    machine: describeMachine(),
    node: process.version,
    rounds,
    missing: stage.missing,
    figures,
    single,
  };
  const text = markdown(results);
  process.stdout.write(`${text}\n`);
  if (only) return 0;
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
  const document = readFileSync(DOCUMENT, 'utf8');
  const [before, rest = ''] = document.split('<!-- figures -->\n', 2);
  const after = rest.slice(rest.indexOf('<!-- end of figures -->'));
  writeFileSync(DOCUMENT, `${before}<!-- figures -->\n\n${text}\n\n${after}`);
  const missed = judge(results).filter(({ pass }) => !pass);
  if (missed.length > 0) say(`missed: ${missed.map(({ what }) => what).join('; ')}`);
  return 0;
}

async function checkRatios(): Promise<number> {
  const recorded = JSON.parse(readFileSync(RESULTS, 'utf8')) as Results;
  const isSame = recorded.machine === describeMachine() && recorded.node === process.version;
  const expected = new Map(recorded.figures.map((one) => [one.name, one]));
  const stage = await openStage(buildGateway(folder.path), folder.path, { short: true, say });
  try {
    if (stage.missing.length > 0) say(`not installed and left out: ${stage.missing.join(', ')}`);
    let asked = stage.subjects;
    let slices: Slices = new Map();
    for (const rounds of CI_ROUNDS) {
      slices = await measure(asked, { rounds, random, say: () => {} }, slices);
      const figures = figuresOf(stage.subjects, slices);
      for (const { name, cpuRatio, cpu } of figures) {
        const before = expected.get(name);
        say(
          `${name}: ${cpuRatio.toFixed(2)} (${cpu.toFixed(1)} us), recorded ${before?.cpuRatio.toFixed(2) ?? 'nothing'}`,
        );
      }
      if (!isSame) {
        say(`recorded on ${recorded.machine}, Node.js ${recorded.node}: other machines have other ratios`);
        return 0;
      }
      const fallen = figures.filter(
        ({ name, cpuRatio }) => cpuRatio < TOLERATED * (expected.get(name)?.cpuRatio ?? 0),
      );
      if (fallen.length === 0) return 0;
      const again = new Set(fallen.flatMap(({ name, base }) => [name, base]));
      asked = stage.subjects.filter(({ name }, index) => index === 0 || again.has(name));
      say(`looking again at ${fallen.map(({ name }) => name).join(', ')}`);
    }
    const [yardstick] = figuresOf(stage.subjects, slices);
    if (yardstick && yardstick.cpu > TOO_BUSY * (expected.get(yardstick.name)?.cpu ?? 0)) {
      say(
        'The machine had no quiet moment: the yardstick itself costs more than it did. Nothing can be told.',
      );
      return 0;
    }
    say(
      'An authorization costs more than it did. If that is meant, run `npm run bench` and commit its results.',
    );
    return 1;
  } finally {
    await stage.stop();
  }
}
