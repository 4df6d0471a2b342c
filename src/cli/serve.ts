import type { Worker } from 'node:cluster';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { formatProblem, loadConfiguration, type ConfigurationSource } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { findUnsupported } from '../config/support.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import { listenForMetrics, openMetricsListener } from '../gateway-telemetry.ts';
import { systemClock } from '../lib/clock.ts';
import { openLogger, type OpenLogger } from '../lib/logger.ts';
import { messageOf } from '../lib/message-of.ts';
import { systemTimers } from '../lib/timers.ts';
import { startWatchdog } from '../lib/watchdog.ts';
import type { CliIo } from './io.ts';
import type { Supervise } from './supervise.ts';
import { answerForMetrics, createWorkerMetrics } from './worker-metrics.ts';

/** Milliseconds without a turn of the event loop after which the process ends itself. A restart costs memory sessions. */
const WATCHDOG_LIMIT = { memory: 10_000, kept: 2000 };

/** Milliseconds after the start, when those who waited for it have their answers. */
const SETTLED = 500;

/**
 * What only the start needed, and the room that it took, some 20 MB, go back to the system. The flag is there for this moment
 * alone: code that was compiled with one set of flags, Node.js's own too, is compiled again under another.
 */
function giveBack(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as (options: object) => void;
  setFlagsFromString('--no-expose-gc');
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/**
 * `sallyport --config FILE`: serves until SIGTERM or SIGINT. SIGHUP reads the configuration, the users file and the
 * certificate again (a bad one changes nothing) and reopens the log.
 */
export async function serve(source: ConfigurationSource, io: CliIo): Promise<void> {
  const config = readConfiguration(source, io);
  if (!config) return io.exit(1);

  let logger: OpenLogger;
  try {
    logger = openLogger(logOptionsOf(config), { clock: systemClock });
  } catch (error) {
    io.err(`sallyport: log.file_path: ${messageOf(error)}\n`);
    return io.exit(1);
  }
  try {
    await run(config, source, logger, io);
  } catch (error) {
    logger.flush();
    io.err(`sallyport: ${explainStart(error, config)}\n`);
    io.exit(1);
  }
}

async function run(
  config: Configuration,
  source: ConfigurationSource,
  logger: OpenLogger,
  io: CliIo,
): Promise<void> {
  const { workers } = config.server;
  let settled = SETTLED;
  if (workers > 1) {
    const { isPrimary, supervise, workerNumber } = await import('./supervise.ts');
    if (isPrimary) {
      logger.info({ workers }, 'starting workers');
      return superviseAll(config, { logger, io, supervise });
    }
    // One after the other.
    settled *= workerNumber;
  }
  // Asked for before there is anything to reload: what is read now is new enough.
  const ignore = (): void => {};
  process.on('SIGHUP', ignore);
  const { unused } = findUnsupported(config);
  if (unused.length > 0) {
    logger.warn({ sections: unused.join(', ') }, 'configured, accepted and not used by this release');
  }
  const gateway = await createGateway(config, { logger, webDirectory: webDirectory() });
  await gateway.listen();
  setTimeout(giveBack, settled).unref();
  process.send?.('listening');
  process.on('message', (message) => void tellPrimary(message, gateway));
  const { address } = config.server;
  const tls = config.server.tls.certificate !== undefined;
  logger.info(
    {
      listener: address.socketPath ?? describeListener(gateway),
      tls,
      rules: config.access_control.rules.length,
      portals: config.session.cookies.map((cookie) => cookie.authelia_url ?? cookie.domain).join(' '),
      trusted_proxies: config.server.trusted_proxies?.join(' ') ?? 'loopback and private networks',
    },
    'Sallyport is listening',
  );
  if (config.session.cookies.some((cookie) => cookie.authelia_url === undefined)) {
    logger.warn(
      {},
      'session.domain names no portal: write session.cookies with authelia_url, or let the proxy name it',
    );
  }

  const watchdog = startWatchdog(
    { limitMs: WATCHDOG_LIMIT[gateway.keepsSessions ? 'kept' : 'memory'] },
    { logger },
  );
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) return;
    stopping = true;
    logger.info({ signal }, 'stopping');
    void shutDown();
  };
  const shutDown = async (): Promise<void> => {
    let code = 0;
    try {
      await gateway.close();
      await watchdog.stop();
      logger.info({}, 'stopped');
    } catch (error) {
      logger.error({ error }, 'could not stop cleanly');
      code = 1;
    }
    logger.close();
    io.exit(code);
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  process.off('SIGHUP', ignore);
  process.on('SIGHUP', () => void reload(gateway, source, logger));
}

/** The first of several processes: it serves nothing but the metrics of all. */
async function superviseAll(
  config: Configuration,
  deps: { readonly logger: OpenLogger; readonly io: CliIo; readonly supervise: Supervise },
): Promise<void> {
  const metrics = createWorkerMetrics(systemTimers);
  const { enabled } = config.telemetry.metrics;
  let running: Iterable<Worker> = [];
  if (enabled) {
    const listener = openMetricsListener(config, { read: () => metrics.read(running), logger: deps.logger });
    await listenForMetrics(listener, config);
  }
  running = deps.supervise(config.server.workers, { ...deps, metrics }).workers;
}

async function tellPrimary(message: unknown, gateway: Gateway): Promise<void> {
  const answer = await answerForMetrics(message, () => gateway.telemetry.read());
  // The first process may be gone by now.
  if (answer && process.connected) process.send?.(answer);
}

async function reload(gateway: Gateway, source: ConfigurationSource, logger: OpenLogger): Promise<void> {
  logger.reopen();
  const { events } = gateway.telemetry;
  try {
    const { config, problems } = loadConfiguration(source);
    for (const problem of problems) {
      logger[problem.severity === 'error' ? 'error' : 'warn']({ key: problem.key }, formatProblem(problem));
    }
    const refused = config ? findUnsupported(config).refused : [];
    if (!config || refused.length > 0) {
      events.reloadRefused(config ? `this release cannot do ${refused.join(', ')}` : 'it has errors');
      return;
    }
    await gateway.reload(config);
  } catch (error) {
    events.reloadRefused('it cannot be put in force', error);
  }
}

function readConfiguration(source: ConfigurationSource, io: CliIo): Configuration | null {
  const { config, problems } = loadConfiguration(source);
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`);
  if (!config) {
    io.err('sallyport: the configuration has errors; nothing was started\n');
    return null;
  }
  const { refused } = findUnsupported(config);
  for (const key of refused) {
    io.err(
      `error: ${key}: this release cannot do this yet, and starting without it would not do what you ask; remove it\n`,
    );
  }
  return refused.length === 0 ? config : null;
}

function logOptionsOf({ log }: Configuration): Parameters<typeof openLogger>[0] {
  const { level, format, keep_stdout: keepStdout, file_path: filePath } = log;
  return { level, format, keepStdout, ...(filePath !== undefined && { filePath }) };
}

/** The portal as it was built: beside the sources in a checkout, beside the bundle when installed. */
export function webDirectory(): string {
  const inCheckout = import.meta.url.endsWith('.ts');
  return fileURLToPath(new URL(inCheckout ? '../../web/dist' : './web', import.meta.url));
}

function describeListener(gateway: Gateway): string {
  const address = gateway.server.address();
  if (address === null || typeof address === 'string') return address ?? '';
  return address.family === 'IPv6'
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}

/** What kept the gateway from starting, and the mend. */
function explainStart(error: unknown, { server }: Configuration): string {
  const { code, path } = error as NodeJS.ErrnoException;
  const { host, port, socketPath } = server.address;
  const where = socketPath ?? `${host === '' ? '*' : host}:${port}`;
  const file = path !== undefined && path !== socketPath;
  if (code === 'EADDRINUSE')
    return `server.address: ${where} is in use by another process; stop it or choose another port`;
  if (code === 'EACCES' && !file)
    return `server.address: no permission to listen on ${where}; take a port above 1023`;
  if (code === 'EADDRNOTAVAIL') return `server.address: this machine has no address ${host}`;
  if (code === 'ENOENT' && file) return `the file ${path} does not exist`;
  if (code === 'EACCES' && file)
    return `no permission to read ${path}; it must be readable by the user that runs Sallyport`;
  if (code?.startsWith('ERR_OSSL') || code?.startsWith('ERR_SSL')) {
    return `server.tls: the certificate or its key cannot be used (${messageOf(error)})`;
  }
  return messageOf(error);
}
