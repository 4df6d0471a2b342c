import { Command } from 'commander';

import { resolveSource } from '../config/load.ts';
import { addConfigOptions, type ConfigOptions } from './config-options.ts';
import type { CliIo } from './io.ts';
import { version } from '../lib/version.ts';

/** `sallyport` itself: without a sub-command it serves. */
export function rootCommand(io: CliIo): Command {
  const root = new Command('sallyport')
    .description('Single sign-on gateway: decides for your reverse proxy who may pass')
    .version(version, '-v, --version', 'print the version')
    .helpCommand(false)
    .enablePositionalOptions()
    .configureOutput({ writeOut: io.out, writeErr: io.err });
  addConfigOptions(root).action(async (options: ConfigOptions) => {
    const { serve } = await import('./serve.ts');
    await serve(resolveSource(options, io.environment), io);
  });
  return root;
}
