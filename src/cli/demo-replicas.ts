import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';

import type { Mount } from '../http/route.ts';
import { openReplicaPool, type ReplicaPool } from '../proxy/replica-pool.ts';
import { createReverseProxy } from '../proxy/reverse-proxy.ts';
import { COOKIE_NAME, type DemoFiles, PORTAL, writeReplica } from './demo-files.ts';
import type { CliIo } from './io.ts';
import { whoami } from './whoami.ts';

export interface ReplicaOptions {
  readonly folder: string;
  readonly port: number;
  readonly replicas: number;
  /** `redis://host:port` or `postgres://user:password@host:port/database`; null: a redis-server of our own. */
  readonly store: string | null;
}

/** Milliseconds after which one replica is killed, and after which it is started again. */
const KILL_AFTER = 20_000;
const BACK_AFTER = 10_000;
const BODY_LIMIT = 64 * 1024;

/**
 * The demo with several gateways that share their sessions: a small front on the demo's port, the replicas behind it, and a
 * store. After a while one replica is killed, and whoever is signed in stays so.
 */
export async function runReplicas(
  files: DemoFiles,
  options: ReplicaOptions,
  io: CliIo,
): Promise<{ close(): Promise<void> }> {
  const { folder, port, replicas } = options;
  const children = new Set<ChildProcess>();
  const start = (command: string, args: readonly string[]): ChildProcess => {
    const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
    children.add(child);
    child.once('close', () => children.delete(child));
    child.once('error', () => children.delete(child));
    return child;
  };

  const store = options.store ?? (await startRedis(start));
  const places = await Promise.all(
    Array.from({ length: replicas }, async (_, i) => {
      const replicaPort = await freePort();
      return { port: replicaPort, configuration: writeReplica(folder, i + 1, { port, replicaPort, store }) };
    }),
  );
  // The same program that runs now, with a configuration of its own.
  const program = [...process.execArgv, process.argv[1] ?? ''];
  const launch = ({ configuration }: { readonly configuration: string }): ChildProcess =>
    start(process.execPath, [...program, '--config', configuration]);
  const gateways = places.map(launch);

  const application = createServer(whoami);
  application.listen(0, '127.0.0.1');
  await once(application, 'listening');
  const upstream = `http://127.0.0.1:${(application.address() as AddressInfo).port}`;
  const pool = openReplicaPool(places.map((place) => place.port));
  const proxies = await Promise.all(
    files.sites.map((host) =>
      createReverseProxy({ host, upstream, cookieNames: [COOKIE_NAME], authorize: pool.authorize }),
    ),
  );
  const sites = new Map<string, Mount>(proxies.map((proxy) => [proxy.host, proxy]));

  const front = createTlsServer(
    { cert: readFileSync(join(folder, 'certificate.pem')), key: readFileSync(join(folder, 'key.pem')) },
    (request, response) => {
      const host = hostOf(request);
      const site = sites.get(host);
      if (site) site.handle(request, response);
      else if (host === PORTAL) void pass(pool, request, response);
      else response.writeHead(421).end();
    },
  );
  front.on('upgrade', (request: IncomingMessage, socket, head: Buffer) => {
    const site = sites.get(hostOf(request));
    if (site?.upgrade) site.upgrade(request, socket, head);
    else socket.destroy();
  });
  front.listen(port, '127.0.0.1');
  await once(front, 'listening');
  await Promise.all(places.map((place) => ready(place.port)));

  const timers: NodeJS.Timeout[] = [];
  timers.push(
    setTimeout(() => {
      const [victim] = gateways;
      io.out(
        `\nReplica 1 (process ${victim?.pid}) is killed now. Reload the page: you are still signed in.\n`,
      );
      victim?.kill('SIGKILL');
      timers.push(
        setTimeout(() => {
          gateways[0] = launch(places[0] as (typeof places)[number]);
          io.out('Replica 1 is started again.\n');
        }, BACK_AFTER),
      );
    }, KILL_AFTER),
  );

  return {
    async close() {
      for (const timer of timers) clearTimeout(timer);
      front.close();
      front.closeAllConnections();
      application.close();
      application.closeAllConnections();
      pool.close();
      await Promise.all([...proxies.map((proxy) => proxy.close()), ...[...children].map(end)]);
    },
  };
}

/** A redis-server for the demo alone, on a socket in its folder. */
async function startRedis(
  start: (command: string, args: readonly string[]) => ChildProcess,
): Promise<string> {
  const port = await freePort();
  const settings = { port: String(port), bind: '127.0.0.1', save: '', appendonly: 'no', loglevel: 'warning' };
  const child = start(
    'redis-server',
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  );
  const failed = await Promise.race([
    once(child, 'error').then(() => true),
    once(child, 'spawn').then(() => false),
  ]);
  if (failed) {
    throw new Error(
      'several replicas share their sessions in Redis or PostgreSQL: install redis-server, or name a store with --store redis://host:port or --store postgres://user:password@host:port/database',
    );
  }
  return `redis://127.0.0.1:${port}`;
}

/** Hands a request for the portal to a replica, as a proxy does. */
async function pass(pool: ReplicaPool, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > BODY_LIMIT) return void response.writeHead(413, { Connection: 'close' }).end();
      chunks.push(chunk);
    }
    const headers: string[] = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      const name = request.rawHeaders[i] as string;
      if (!/^(?:x[-_]forwarded[-_]|connection$|keep-alive$|transfer-encoding$|content-length$)/i.test(name)) {
        headers.push(name, request.rawHeaders[i + 1] as string);
      }
    }
    headers.push('X-Forwarded-Proto', 'https', 'X-Forwarded-Host', request.headers.host ?? '');
    headers.push('X-Forwarded-For', request.socket.remoteAddress ?? '', 'Content-Length', String(size));
    const { method = 'GET', url: target = '/' } = request;
    const answer = await pool.ask({ method, target, headers, body: Buffer.concat(chunks) });
    response.writeHead(answer.status, withoutHops(answer.headers)).end(answer.body);
  } catch {
    if (!response.headersSent) response.writeHead(503, { 'Retry-After': '2', 'Cache-Control': 'no-store' });
    response.end('503 Service Unavailable\n');
  }
}

function withoutHops(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    if (!/^(?:connection|keep-alive|transfer-encoding)$/i.test(name))
      kept.push(name, headers[i + 1] as string);
  }
  return kept;
}

function hostOf(request: IncomingMessage): string {
  return (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when a replica answers; a replica that cannot start is told by its own words on standard error. */
async function ready(port: number): Promise<void> {
  const pool = openReplicaPool([port]);
  try {
    for (let tries = 0; tries < 200; tries++) {
      try {
        const question = {
          method: 'GET',
          target: '/api/health',
          headers: ['host', 'x'],
          body: Buffer.alloc(0),
        };
        if ((await pool.ask(question)).status === 200) return;
      } catch {
        // Not yet.
      }
      await new Promise((resolve) => void setTimeout(resolve, 50));
    }
    throw new Error('a replica did not start, see above');
  } finally {
    pool.close();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill('SIGTERM');
  const cut = setTimeout(() => child.kill('SIGKILL'), 3000);
  await closed;
  clearTimeout(cut);
}
