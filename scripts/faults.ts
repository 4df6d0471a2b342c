/**
 * `npm run faults`: runs every row of test/faults under its whole load and writes docs/faults.md; takes about three quarters of an hour.
 * With `--short` the form that continuous integration runs.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const report = join(root, '.cache/faults.jsonl');
const page = join(root, 'docs/faults.md');
const isShort = process.argv.includes('--short');

interface Row {
  readonly id: string;
  readonly fault: string;
  readonly answers: number;
  readonly refused: number;
  readonly firstError: number | null;
  readonly errorWindow: number;
  readonly recovery: number;
  readonly slowestRefusal: number;
  readonly lost: number;
  readonly resurrected: number;
}

rmSync(report, { force: true });
const { status } = spawnSync(
  process.execPath,
  [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'faults'],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, SALLYPORT_FAULTS: isShort ? 'short' : 'long', SALLYPORT_FAULTS_REPORT: report },
  },
);

const rows = readFileSync(report, 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row)
  .toSorted((a, b) => a.id.localeCompare(b.id));
const heading = '## Figures';
const [introduction] = readFileSync(page, 'utf8').split(heading);
const form = isShort
  ? 'the short form: 20 requests a second (F32: 100), 1 s before and after each fault'
  : 'the long form: 130 requests a second, 20 s before and after each fault';
const columns = [
  '',
  'fault',
  'first error',
  'error window',
  'recovery',
  'refused',
  'slowest 503',
  'lost',
  'resurrected',
];
const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
const table = rows.map((row) =>
  line([
    row.id,
    row.fault,
    row.firstError === null ? 'none' : `${Math.max(0, row.firstError)} ms`,
    `${row.errorWindow} ms`,
    `${row.recovery} ms`,
    `${row.refused} of ${row.answers}`,
    `${row.slowestRefusal} ms`,
    row.lost,
    row.resurrected,
  ]),
);
const [cpu] = cpus();
writeFileSync(
  page,
  `${introduction}${heading}

Measured in ${form}. Machine: ${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, shared by load, gateways and
servers; Node.js ${process.version}, ${new Date().toISOString().slice(0, 10)}.

${line(columns)}
${line(columns.map(() => '---'))}
${table.join('\n')}
`,
);
process.exitCode = status ?? 1;
