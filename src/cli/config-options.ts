import type { Command } from 'commander';

/** The options that every command takes which reads the configuration; feed them to `resolveSource`. */
export interface ConfigOptions {
  readonly config?: readonly string[];
  readonly filters?: readonly string[];
}

const collect = (value: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  value,
];

/** Adds `-c, --config` and `--config.experimental.filters` to a command; both are lists and may be repeated. */
export function addConfigOptions(command: Command): Command {
  return command
    .option(
      '-c, --config <paths>',
      'configuration files or folders, comma-separated; may be repeated',
      collect,
    )
    .option(
      '--config.experimental.filters <names>',
      'filters for the files before they are read: template, expand-env',
      collect,
    )
    .hook('preAction', (_root, action) => {
      const filters: unknown = action.getOptionValue('config.experimental.filters');
      if (filters !== undefined) action.setOptionValue('filters', filters);
    });
}
