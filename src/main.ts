import type { Command } from 'commander';

import { environment } from './config/environment.ts';
import type { CliIo } from './cli/io.ts';
import { showSourcePositions } from './lib/source-positions.ts';

/** The first word of the command line chooses; without one the gateway is served. Each command is loaded when it is asked for. */
const commands: ReadonlyMap<string, (io: CliIo) => Promise<Command>> = new Map([
  ['access-control', async (io) => (await import('./cli/access-control.ts')).accessControlCommand(io)],
  ['audit', async (io) => (await import('./cli/audit.ts')).auditCommand(io)],
  ['certificates', async (io) => (await import('./cli/certificates.ts')).certificatesCommand(io)],
  ['config', async (io) => (await import('./cli/config.ts')).configCommand(io)],
  ['crypto', async (io) => (await import('./cli/crypto.ts')).cryptoCommand(io)],
  ['demo', async (io) => (await import('./cli/demo.ts')).demoCommand(io)],
  ['sessions', async (io) => (await import('./cli/sessions.ts')).sessionsCommand(io)],
  ['storage', async (io) => (await import('./cli/storage.ts')).storageCommand(io)],
]);

async function main(argv: readonly string[]): Promise<void> {
  const io: CliIo = {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    environment: environment(),
    exit: (code) => process.exit(code),
  };
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    io.err(`sallyport: cannot write: ${error.message}\n`);
    io.exit(1);
  });
  // To serve is what it does without a command; the word may be said.
  const words = argv[0] === 'serve' ? argv.slice(1) : argv;
  const [first = '-'] = words;
  const chosen = commands.get(first);
  const wantsHelp = first === '-h' || first === '--help';
  if (!chosen && !first.startsWith('-')) {
    const { nearestWord } = await import('./lib/nearest-word.ts');
    const near = nearestWord(first, commands.keys());
    io.err(
      `sallyport: there is no command "${first}"${near === null ? '.' : `; did you mean "${near}"?`} See sallyport --help.\n`,
    );
    return io.exit(1);
  }
  const root = (await import('./cli/root.ts')).rootCommand(io);
  for (const load of chosen ? [chosen] : wantsHelp ? commands.values() : []) root.addCommand(await load(io));
  await root.parseAsync(words, { from: 'user' });
}

// Node.js runs the sources as they are: what it says about them is true.
if (import.meta.url.endsWith('.js')) showSourcePositions();
await main(process.argv.slice(2));
