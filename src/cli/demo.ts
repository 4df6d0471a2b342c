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
import { MAIL, COOKIE_NAME, type DemoFiles, prepareDemo } from './demo-files.ts';
import type { CliIo } from './io.ts';
import { webDirectory } from './serve.ts';
import { whoami } from './whoami.ts';

interface DemoOptions {
  readonly dir: string;
  readonly port: number;
  readonly replicas: number;
  readonly store?: string;
}

/** `sallyport demo`: a protected sample site on this machine, with nothing else installed. */
export function demoCommand(io: CliIo): Command {
  return new Command('demo')
    .description('run a protected sample site on this machine, on embedded defaults')
    .option('--dir <folder>', 'where secrets, users and certificates are kept', 'sallyport-demo')
    .option('--port <number>', 'port of the site and the portal', parsePort, 8443)
    .option(
      '--replicas <number>',
      'gateways that share their sessions; one of them is killed',
      parseReplicas,
      1,
    )
    .option(
      '--store <url>',
      'where replicas keep sessions: redis://… or postgres://…; default: a redis-server of its own',
    )
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

async function demo({ dir, port, replicas, store }: DemoOptions, io: CliIo): Promise<void> {
  const folder = resolve(dir);
  const files = await prepareDemo(folder, port, { clock: systemClock, random: systemRandom });
  const running =
    replicas > 1
      ? await (
          await import('./demo-replicas.ts')
        ).runReplicas(files, { folder, port, replicas, store: store ?? null }, io)
      : await runSingle(files);
  io.out(welcome(files, folder, port));
  if (replicas > 1)
    io.out(`  ${replicas} replicas share their sessions. In 20 seconds one of them is killed.\n\n`);

  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return io.exit(130);
    stopping = true;
    io.out('\nStopping …\n');
    try {
      await running.close();
      io.exit(0);
    } catch (error) {
      io.err(`sallyport demo: ${String(error)}\n`);
      io.exit(1);
    }
  };
  process.on('SIGINT', () => void stop());
  process.on('SIGTERM', () => void stop());
}

/** One gateway with TLS, its own reverse proxy and the sample application, all in this process. */
async function runSingle(files: DemoFiles): Promise<{ close(): Promise<void> }> {
  const { config, problems } = loadConfiguration({
    files: [files.configuration],
    environment: {},
    filters: [],
  });
  if (!config) throw new Error(problems.map(formatProblem).join('\n'));

  const application = createServer(whoami);
  await new Promise<void>((done) => void application.listen(0, '127.0.0.1', done));
  const upstream = `http://127.0.0.1:${(application.address() as AddressInfo).port}`;
  const logger = openLogger({ level: 'warn', format: 'text' }, { clock: systemClock });
  const proxies = await Promise.all(
    files.sites.map((host) =>
      createReverseProxy({
        host,
        upstream,
        cookieNames: [COOKIE_NAME],
        authorize: (head) => gateway.authorize(head),
      }),
    ),
  );
  const gateway = await createGateway(config, {
    logger,
    webDirectory: webDirectory(),
    mounts: () => proxies,
  });
  await gateway.listen();
  return {
    async close() {
      application.close();
      application.closeAllConnections();
      await Promise.all([gateway.close(2000), ...proxies.map((proxy) => proxy.close())]);
    },
  };
}

function welcome(files: DemoFiles, folder: string, port: number): string {
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
    ${at('bank')}           wants two factors: the portal shows how to get a second one
    ${at('auth')}           the portal: who you are, and the way out

  Mail that it sends is in ${folder}/${MAIL} (the code that the portal asks for before a factor changes).
  Your browser does not know this demo's own certificate authority and will warn once.
    curl -sv --cacert ${folder}/ca.pem ${at('whoami')}
  Everything is kept in ${folder}; configuration.yml there is a good start for your own.
  Ctrl-C ends it.

`;
}

function parseReplicas(text: string): number {
  const replicas = Number(text);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 8)
    throw new InvalidArgumentError('It must be 1 to 8.');
  return replicas;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new InvalidArgumentError('It must be 1 to 65535.');
  return port;
}
