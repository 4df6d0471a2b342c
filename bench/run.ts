/**
 * `npm run bench`: what an authorization costs, as ratios to a bare `node:http` server within one run. Writes
 * bench/results.json and the figures in docs/performance.md, which says how they are found. `--ci` measures a few of them and
 * fails when a request costs more than a tenth more than in the version that was recorded. `--rounds N` for more or fewer slices.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { systemClock } from '../src/lib/clock.ts';
import { messageOf } from '../src/lib/message-of.ts';
import { systemRandom } from '../src/lib/random.ts';
import { announce as say } from '../test/support/announce.ts';
import { root } from '../test/support/environment.ts';
import { temporaryFolder } from '../test/support/temporary-folder.ts';
import { buildGateway } from './gateways.ts';
import { compare, costBeside, type Figures } from './measure.ts';
import { checkOutRecordedVersion, type RecordedVersion } from './recorded-version.ts';
import { measureLife, measureRedis, type Single } from './single.ts';
import { describeMachine, OTHER_CORE, pin } from './processes.ts';
import { openStage, type Stage } from './stage.ts';
import { markdown, judge, type Results } from './report.ts';

const RESULTS = join(import.meta.dirname, 'results.json');
const DOCUMENT = join(root, 'docs/performance.md');

/** `--ci`: by what part a request may cost more than in the recorded version. */
const TOLERATED = 0.1;
/** `--ci`: with fewer rounds than whole figures need, as what is judged is measured side by side. */
const CI_ROUNDS = 5;
/** `--ci`: for what is judged; what seems to have fallen is started and measured once more. */
const CI_PAIRS = [9, 15];

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
  process.exitCode = values.ci ? await checkCosts() : await measureAll();
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
    figures = await compare(subjects, { rounds, random, say });
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

async function checkCosts(): Promise<number> {
  if (cpus().length < 2) {
    say('The servers and those who ask need a core each: nothing is measured.');
    return 0;
  }
  const command = buildGateway(folder.path);
  const recorded = JSON.parse(readFileSync(RESULTS, 'utf8')) as Results;
  say(`ratios to the yardstick; recorded: ${recorded.machine}, Node.js ${recorded.node}`);
  const stage = await openStage(command, join(folder.path, 'ratios'), { short: true, say: () => {} });
  try {
    if (stage.missing.length > 0) say(`not installed and left out: ${stage.missing.join(', ')}`);
    const figures = await compare(stage.subjects, { rounds: CI_ROUNDS, random, say: () => {} });
    for (const { name, cpuRatio, cpu } of figures) {
      const before = recorded.figures.find((one) => one.name === name)?.cpuRatio.toFixed(2);
      say(`${name}: ${cpuRatio.toFixed(2)} (${cpu.toFixed(1)} us), recorded ${before ?? 'nothing'}`);
    }
  } finally {
    await stage.stop();
  }
  let version: RecordedVersion;
  try {
    version = checkOutRecordedVersion(folder.path);
  } catch (error) {
    say(
      `The version that was recorded is not to be had, so nothing is compared with it: ${messageOf(error)}`,
    );
    return 0;
  }
  say(`costs beside the recorded version, ${version.commit.slice(0, 12)}`);
  const before = buildGateway(join(folder.path, 'before'), version.path);
  let wanted: readonly string[] | undefined;
  for (const rounds of CI_PAIRS) {
    const dearer = await findDearer([command, before], rounds, wanted);
    if (dearer.length === 0) return 0;
    wanted = dearer;
  }
  say(
    `Costs more than it did: ${wanted?.join(', ')}. If that is meant, run \`npm run bench\` and commit its results.`,
  );
  return 1;
}

/** The names of what costs more of the first command than of the second, by more than is tolerated. */
async function findDearer(
  commands: readonly [now: string, before: string],
  rounds: number,
  wanted?: readonly string[],
): Promise<readonly string[]> {
  const stages: Stage[] = [];
  const open = async (command: string): Promise<void> => {
    const own = join(folder.path, `pair-${rounds}-${stages.length}`);
    stages.push(await openStage(command, own, { short: true, say: () => {} }));
  };
  const [now, before] = commands;
  try {
    await open(now);
    try {
      await open(before);
    } catch (error) {
      say(`The recorded version cannot be asked the same, so nothing is compared: ${messageOf(error)}`);
      return [];
    }
    const dearer: string[] = [];
    for (const subject of stages[0]?.subjects.slice(1) ?? []) {
      const base = stages[1]?.subjects.find(({ name }) => name === subject.name);
      if (!base || (wanted && !wanted.includes(subject.name))) continue;
      const cost = await costBeside(subject, base, rounds);
      say(`${subject.name}: ${cost.toFixed(2)} of what it cost`);
      if (cost > 1 + TOLERATED) dearer.push(subject.name);
    }
    return dearer;
  } finally {
    for (const stage of stages) await stage.stop();
  }
}
