import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';

import { Command, InvalidArgumentError } from 'commander';

import { formatProblem, loadConfiguration } from '../config/load.ts';
import { createGateway } from '../gateway.ts';
import { systemClock } from '../lib/clock.ts';
import { openLogger } from '../lib/logger.ts';
import { systemRandom } from '../lib/random.ts';
import { createReverseProxy } from '../proxy/reverse-proxy.ts';
import { prepareDemo } from './demo-files.ts';
import type { CliIo } from './io.ts';
import { webDirectory } from './serve.ts';
import { whoami } from './whoami.ts';

interface DemoOptions {
  readonly dir: string;
  readonly port: number;
}

/** `sallyport demo`: a protected sample site on this machine, with nothing else installed. */
export function demoCommand(io: CliIo): Command {
  return new Command('demo')
    .description('run a protected sample site on this machine, on embedded defaults')
    .option('--dir <folder>', 'where secrets, users and certificates are kept', 'sallyport-demo')
    .option('--port <number>', 'port of the site and the portal', parsePort, 8443)
    .action(async (options: DemoOptions) => {
      try {
        await demo(options, io);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        const inUse = `port ${options.port} is in use; choose another one with --port`;
        io.err(`sallyport demo: ${code === 'EADDRINUSE' ? inUse : message}\n`);
        io.exit(1);
      }
    });
}

async function demo({ dir, port }: DemoOptions, io: CliIo): Promise<void> {
  const folder = resolve(dir);
  const files = await prepareDemo(folder, port, { clock: systemClock, random: systemRandom });
  const { config, problems } = loadConfiguration({
    files: [files.configuration],
    environment: {},
    filters: [],
  });
  if (!config) throw new Error(problems.map(formatProblem).join('\n'));

  const application = createServer(whoami);
  await new Promise<void>((done) => void application.listen(0, '127.0.0.1', done));
  const upstream = `http://127.0.0.1:${(application.address() as AddressInfo).port}`;
  const cookieNames = config.session.cookies.map((cookie) => cookie.name);

  const logger = openLogger({ level: 'warn', format: 'text' }, { clock: systemClock });
  const proxies = await Promise.all(
    files.sites.map((host) =>
      createReverseProxy({ host, upstream, cookieNames, authorize: (head) => gateway.authorize(head) }),
    ),
  );
  const gateway = await createGateway(config, {
    logger,
    webDirectory: webDirectory(),
    mounts: () => proxies,
  });
  await gateway.listen();
  io.out(welcome(files, folder, port));

  let stopping = false;
  const stop = (): void => {
    if (stopping) return io.exit(130);
    stopping = true;
    io.out('\nStopping …\n');
    application.close();
    application.closeAllConnections();
    Promise.all([gateway.close(2000), ...proxies.map((proxy) => proxy.close())]).then(
      () => io.exit(0),
      (error: unknown) => {
        io.err(`sallyport demo: ${String(error)}\n`);
        io.exit(1);
      },
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

function welcome(files: Awaited<ReturnType<typeof prepareDemo>>, folder: string, port: number): string {
  const at = (name: string): string => `https://${name}.demo.localhost:${port}/`;
  const people = files.people.map(
    ({ name, password, groups }) => `    ${name.padEnd(6)} ${password}   (${groups.join(', ')})`,
  );
  return `
Sallyport is guarding a sample site on this machine.

  Open      ${at('whoami')}
  Sign in as
${people.join('\n')}

  What to try next
    ${at('whoami')}         one factor: shows what the application is told about you
    ${at('admin')}          only for the group admins: sign in as each of the two
    ${at('public')}         open to everybody
    ${at('bank')}           wants two factors
    ${at('auth')}           the portal: who you are, and the way out

  Your browser does not know this demo's own certificate authority and will warn once.
    curl -sv --cacert ${folder}/ca.pem ${at('whoami')}
  Everything is kept in ${folder}; configuration.yml there is a good start for your own.
  Ctrl-C ends it.

`;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('It must be 1 to 65535.');
  return port;
}
