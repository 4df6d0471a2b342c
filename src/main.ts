import type { Command } from 'commander';

import { environment } from './config/environment.ts';
import type { CliIo } from './cli/io.ts';

/** The first word of the command line chooses; without one the gateway is served. Each command is loaded when it is asked for. */
const commands: Readonly<Record<string, (io: CliIo) => Promise<Command>>> = {
  'access-control': async (io) => (await import('./cli/access-control.ts')).accessControlCommand(io),
  certificates: async (io) => (await import('./cli/certificates.ts')).certificatesCommand(io),
  config: async (io) => (await import('./cli/config.ts')).configCommand(io),
  crypto: async (io) => {
    const { cryptoCommand } = await import('./cli/crypto.ts');
    const { attachCryptoCertificates } = await import('./cli/certificates.ts');
    const command = cryptoCommand(io);
    attachCryptoCertificates(command, io);
    return command;
  },
  demo: async (io) => (await import('./cli/demo.ts')).demoCommand(io),
};

async function main(argv: readonly string[]): Promise<void> {
  const io: CliIo = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    environment: environment(),
    exit: (code) => process.exit(code),
  };
  const { rootCommand } = await import('./cli/root.ts');
  const root = rootCommand(io);
  const [first] = argv;
  const chosen = first === undefined ? undefined : commands[first];
  const wanted = chosen
    ? [chosen]
    : first?.startsWith('-') && !/^(?:-h|--help)$/.test(first)
      ? []
      : Object.values(commands);
  // The plain start needs none of them.
  if (first !== undefined) for (const load of wanted) root.addCommand(await load(io));
  await root.parseAsync(argv, { from: 'user' });
}

await main(process.argv.slice(2));
