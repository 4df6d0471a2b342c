import { Command } from 'commander';

import { filterFiles } from '../config/filter-files.ts';
import { formatProblem, loadConfiguration, resolveSource } from '../config/load.ts';
import { configurationJsonSchema } from '../config/json-schema.ts';
import { printConfiguration } from '../config/print.ts';
import type { Problem } from '../config/problem.ts';
import { findUnsupported } from '../config/support.ts';
import { addConfigOptions, type ConfigOptions } from './config-options.ts';
import type { CliIo } from './io.ts';

/** `sallyport config`: look at the configuration without starting anything. */
export function configCommand(io: CliIo): Command {
  const sub = (name: string, description: string, run: (options: ConfigOptions) => void): Command =>
    addConfigOptions(new Command(name).description(description)).action(run);
  return new Command('config')
    .description('check and show the configuration')
    .addCommand(
      sub(
        'validate',
        'tell everything that is wrong with the configuration; exit 1 when there are errors',
        (options) => validate(options, io),
      ),
    )
    .addCommand(
      sub(
        'print',
        'print the configuration in force, with the source of each value and without secrets',
        (options) => print(options, io),
      ),
    )
    .addCommand(
      sub(
        'template',
        'print the files as the filters make them (with the secrets that these put in)',
        (options) => template(options, io),
      ),
    )
    .addCommand(
      new Command('schema')
        .description('print the JSON Schema of the configuration, for editors')
        .action(() => {
          io.out(`${JSON.stringify(configurationJsonSchema, null, 2)}\n`);
        }),
    );
}

function report(problems: readonly Problem[], io: CliIo): void {
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`);
}

function count(number: number, word: string): string {
  return `${number === 0 ? 'no' : number} ${word}${number === 1 ? '' : 's'}`;
}

function validate(options: ConfigOptions, io: CliIo): void {
  const source = resolveSource(options, io.environment);
  const { config, problems } = loadConfiguration(source);
  const { refused, unused } = config === null ? { refused: [], unused: [] } : findUnsupported(config);
  const gaps = [
    ...refused.map((key): Problem => ({
      severity: 'warning',
      key,
      message: 'is valid, but this release cannot do it yet and refuses to start with it',
    })),
    ...unused.map((key): Problem => ({
      severity: 'warning',
      key,
      message: 'is valid, but this release does not use it yet',
    })),
  ];
  report([...problems, ...gaps], io);
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  const summary = `${count(errors, 'error')}, ${count(problems.length + gaps.length - errors, 'warning')}`;
  io.out(`${source.files.join(', ')}: ${config === null ? 'not valid' : 'valid'} (${summary})\n`);
  if (config === null) io.exit(1);
}

function print(options: ConfigOptions, io: CliIo): void {
  const { config, problems, origins } = loadConfiguration(resolveSource(options, io.environment));
  report(problems, io);
  if (config === null) return io.exit(1);
  io.out(printConfiguration(config, origins));
}

function template(options: ConfigOptions, io: CliIo): void {
  const { texts, problems } = filterFiles(resolveSource(options, io.environment));
  report(problems, io);
  if (problems.some((problem) => problem.severity === 'error')) return io.exit(1);
  for (const { file, text } of texts) {
    if (texts.length > 1) io.out(`# ${file}\n`);
    io.out(text.endsWith('\n') || text === '' ? text : `${text}\n`);
    if (texts.length > 1) io.out('---\n');
  }
}
