import { Command } from 'commander';

import { formatProblem, loadConfiguration, resolveSource } from '../config/load.ts';
import { outcomeOf, type Requirement } from '../decision/decide.ts';
import type { ProofDemand } from '../decision/factors.ts';
import { explain, type Explanation, type ReadingReport, type RuleReport } from '../decision/explain.ts';
import { compilePolicy } from '../decision/policy.ts';
import type { AuthenticationLevel, Subject, TargetRequest } from '../decision/target.ts';
import { parseCanonicalUrl } from '../lib/canonical-url.ts';
import { canonicalAddress } from '../lib/ip-network.ts';
import { messageOf } from '../lib/message-of.ts';
import { addConfigOptions, type ConfigOptions } from './config-options.ts';
import { formatTable } from './format-table.ts';
import type { CliIo } from './io.ts';

interface CheckOptions extends ConfigOptions {
  readonly url: string;
  readonly method: string;
  readonly username?: string;
  readonly groups?: string;
  readonly ip?: string;
  readonly verbose?: true;
}

const columns = ['domain', 'resource', 'query', 'method', 'network', 'subject'] as const;
const words = { yes: 'hit', no: 'miss', unknown: 'maybe' } as const;

/** Reads what is asked about; throws an Error that names the option and the mend. */
function readTarget({ url, method, ip = '' }: CheckOptions): TargetRequest {
  const parts = /^(?<scheme>[^:/?#]+):\/\/(?<authority>[^/?#]*)(?<uri>[^]*)$/.exec(url)?.groups;
  if (parts === undefined)
    throw new Error('--url must be a whole address, such as https://app.example.com/path?query');
  const target = parseCanonicalUrl(parts['scheme'] ?? '', parts['authority'] ?? '', parts['uri'] ?? '');
  if ('invalid' in target) throw new Error(`--url is refused with 400, whoever asks: ${target.invalid}`);
  if (!/^[A-Z]+$/.test(method)) throw new Error('--method must be upper-case letters, such as GET');
  const address = ip === '' ? '' : canonicalAddress(ip);
  if (address === null) throw new Error('--ip must be an IP address, such as 192.0.2.1');
  return { url: target, method, ip: address };
}

function readSubject({ username = '', groups = '' }: CheckOptions): Subject {
  const names = groups.split(',').map((group) => group.trim());
  return { username, groups: names.filter((group) => group !== '') };
}

function wordFor(report: RuleReport, column: (typeof columns)[number]): string {
  const criterion = report.criteria.find(({ name }) => name === column);
  return criterion === undefined ? '-' : words[criterion.answer];
}

/** The rules with a column for each criterion; `>` marks the one that decides. */
function formatReading({ rules, requirement }: ReadingReport, defaultLevel: string): string {
  const mark = (index: number): string => (index === requirement.rule ? '>' : '');
  return formatTable([
    ['', 'rule', ...columns, 'policy'],
    ...rules.map((report) => [
      mark(report.rule.index),
      String(report.rule.index + 1),
      ...columns.map((column) => wordFor(report, column)),
      report.rule.level,
    ]),
    [mark(-1), 'default', ...columns.map(() => ''), defaultLevel],
  ]);
}

function formatReasons({ rules }: ReadingReport): string {
  return rules
    .flatMap(({ rule, criteria }) =>
      criteria.map(
        ({ name, answer, wants, found }) =>
          `rule ${rule.index + 1}: ${name}: ${words[answer]}: ${found}, asked for ${wants}\n`,
      ),
    )
    .join('');
}

/** Judged by the level alone; what is demanded besides is told apart. */
function describeOutcome(requirement: Requirement, level: AuthenticationLevel): string {
  const outcome = outcomeOf({ ...requirement, proofs: [] }, level);
  if (outcome === 'challenge') return level === 0 ? 'asked to sign in' : 'asked for another factor';
  return outcome === 'allow' ? 'allowed' : 'denied (403)';
}

function describeProof({ methods, maxAge }: ProofDemand): string {
  const age = maxAge === null ? 'in this session' : `at most ${maxAge / 1000} seconds ago`;
  return `one of ${methods.join(', ')}, ${age}`;
}

const shown: readonly (readonly [AuthenticationLevel, string])[] = [
  [0, 'not signed in'],
  [1, 'one factor'],
  [2, 'two factors'],
];

/** The result. Where the rule depends on the visitor and he is unknown, only the way to sign in is certain. */
function formatResult(requirement: Requirement, isAnonymous: boolean): string {
  const place = requirement.rule === -1 ? 'the default policy' : `rule ${requirement.rule + 1}`;
  const isOpen = isAnonymous && requirement.hasSubject && requirement.level !== 'bypass';
  const levels = shown.filter(([level]) => (isAnonymous ? level === 0 : level > 0));
  return [
    `${isOpen ? 'Potentially ' : 'Policy '}${requirement.level}, by ${place}.`,
    ...levels.map(([level, name]) => `  ${name}: ${describeOutcome(requirement, level)}`),
    ...requirement.proofs.map((proof) => `  besides: ${describeProof(proof)}`),
    ...(isOpen
      ? ['The rule depends on who is asking: give --username and --groups to see what follows.']
      : []),
    '',
  ].join('\n');
}

function formatExplanation(
  { readings, requirement }: Explanation,
  options: { readonly defaultLevel: string; readonly isAnonymous: boolean; readonly isVerbose: boolean },
): string {
  const isAmbiguous = readings.length > 1;
  return [
    ...(isAmbiguous
      ? [`The path can be read in ${readings.length} ways; the strictest answer counts.\n\n`]
      : []),
    ...readings.flatMap((reading) => [
      ...(isAmbiguous ? [`Read as ${JSON.stringify(reading.resource)}:\n`] : []),
      formatReading(reading, options.defaultLevel),
      ...(options.isVerbose ? ['\n', formatReasons(reading)] : []),
      '\n',
    ]),
    formatResult(requirement, options.isAnonymous),
  ].join('');
}

function checkPolicy(options: CheckOptions, io: CliIo): void {
  const { config, problems } = loadConfiguration(resolveSource(options, io.environment));
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`);
  if (config === null) return io.exit(1);
  try {
    const target = readTarget(options);
    const subject = readSubject(options);
    const { access_control: accessControl, definitions } = config;
    const policy = compilePolicy(accessControl, definitions.network);
    io.out(
      formatExplanation(explain(policy, target, subject), {
        defaultLevel: accessControl.default_policy,
        isAnonymous: subject.username === '' && subject.groups.length === 0,
        isVerbose: options.verbose === true,
      }),
    );
  } catch (error) {
    io.err(`sallyport: ${messageOf(error)}\n`);
    io.exit(1);
  }
}

/** `sallyport access-control check-policy`: what the rules say about one request, by the code that decides. */
export function accessControlCommand(io: CliIo): Command {
  const check = new Command('check-policy')
    .description('show which rule decides about a request, and why')
    .requiredOption('--url <url>', 'the address that is asked for')
    .option('--method <method>', 'the method of the request', 'GET')
    .option('--username <name>', 'who asks; nobody when left out')
    .option('--groups <names>', 'groups of that person, comma-separated')
    .option('--ip <address>', 'where the request comes from; matches no network when left out')
    .option('--verbose', 'say for each criterion what it compared');
  addConfigOptions(check).action((options: CheckOptions) => checkPolicy(options, io));
  return new Command('access-control').description('look into the access control').addCommand(check);
}
