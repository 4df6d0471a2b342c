import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContextOptions, Server as TlsServer } from 'node:tls';

import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import { systemTimers } from '../lib/timers.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { Random } from '../lib/random.ts';
import { createApp } from './app.ts';
import { createFastLane, type LaneAnswer } from './fast-lane.ts';
import { type ListenAddress, listenOn } from './listen-on.ts';
import { readHead, type RequestHead } from './request-head.ts';
import { noRequestMeter, type RequestMeter } from './request-meter.ts';
import type { Mount, Reply, Route, RouteRequest } from './route.ts';
import type { TrustedProxies } from './trusted-proxies.ts';

/**
 * The HTTP server: the authorization endpoints go to `authorize` before any web framework sees them, hosts with a mount to
 * that, and everything else to the routes.
 */
export interface HttpServer {
  readonly server: Server;
  /** Replaces what requests are answered with; requests under way finish with what they began with. */
  use(content: HttpContent): Promise<void>;
  /** Changes the certificate for new connections. */
  setCertificate(certificate: SecureContextOptions): void;
  listen(address: ListenAddress): Promise<void>;
  /**
   * Answers with `Connection: close` from now on. Where somebody is or was here a moment ago it goes on accepting for another,
   * so that proxies leave without losing what they are about to send; then it refuses new ones, ends idle ones, answers what is under
   * way, and cuts what is left `deadline` ms after the call.
   */
  close(deadline: number): Promise<void>;
}

/** Everything that a reload exchanges. */
export interface HttpContent {
  readonly authorize: HotPath;
  readonly routes: readonly Route[];
  readonly mounts: readonly Mount[];
  readonly trustedProxies: TrustedProxies;
  /** A page that says what went wrong, for browsers. */
  readonly problem: (request: RouteRequest, status: number) => Reply;
}

export type HotPath = (head: RequestHead) => MaybePromise<{
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: string;
}>;

export interface HttpOptions {
  readonly tls: SecureContextOptions | null;
  /** Whether clients of the listener must show a certificate of `tls.ca`. */
  readonly requireClientCertificate: boolean;
  /** Empty, or `/segment`: served below it as well as at the root. */
  readonly basePath: string;
  /** Bytes of request headers; at least 32 KiB are always taken. */
  readonly maxHeaderSize: number;
  /** Milliseconds; idle connections are kept at least as long as the usual proxies keep theirs. */
  readonly idleTimeout: number;
}

const MIN_HEADER_SIZE = 32 * 1024;
/** Milliseconds. A proxy must be the first to close an idle connection, or it loses a request now and then. */
const MIN_IDLE = 120_000;
/** Milliseconds for which a server that closes still takes requests. */
const FAREWELL = 500;
/** Milliseconds after which nobody is expected to come again in the next moment. */
const RECENTLY = 5000;
/** Milliseconds for agreeing on TLS. */
const HANDSHAKE = 10_000;
const AUTHORIZATION = /^\/api\/(?:authz\/|verify(?:[/?]|$))/;

export async function createHttpServer(
  options: HttpOptions,
  content: HttpContent,
  deps: {
    readonly logger: Logger;
    readonly random: Random;
    readonly clock: Clock;
    readonly meter?: RequestMeter;
  },
): Promise<HttpServer> {
  const { logger, meter = noRequestMeter } = deps;
  const { basePath } = options;
  let draining = false;

  const prepare = async (next: HttpContent) => ({
    content: next,
    mounts: new Map(next.mounts.map((mount) => [mount.host, mount])),
    app: await createApp(next, { ...deps, isDraining: () => draining }),
  });
  let current = await prepare(content);

  const limits = {
    maxHeaderSize: Math.max(options.maxHeaderSize, MIN_HEADER_SIZE),
    headersTimeout: 10_000,
    requestTimeout: 15_000,
    // How often the two limits above are looked at.
    connectionsCheckingInterval: 1000,
    keepAliveTimeout: Math.max(options.idleTimeout, MIN_IDLE),
    shouldUpgradeCallback: (request: IncomingMessage) => mountOf(request.headers.host)?.upgrade !== undefined,
  };

  const mountOf = (host = ''): Mount | undefined =>
    current.mounts.size === 0 ? undefined : current.mounts.get(host.replace(/:\d+$/, '').toLowerCase());

  const withoutBase = (url: string): string => {
    if (basePath === '' || !url.startsWith(basePath)) return url;
    const rest = url.slice(basePath.length);
    return rest === '' ? '/' : rest.startsWith('/') ? rest : rest.startsWith('?') ? `/${rest}` : url;
  };

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    response.on('error', destroy);
    const mount = mountOf(request.headers.host);
    if (mount) return mount.handle(request, response);
    const target = withoutBase(request.url ?? '/');
    if (AUTHORIZATION.test(target)) return answer(request, response, target);
    request.url = target;
    const began = meter.begin();
    response.once('finish', () => meter.end('other', request.method ?? '', response.statusCode, began));
    current.app(request, response);
  };

  const answer = (request: IncomingMessage, response: ServerResponse, target: string): void => {
    let began: number | null = null;
    const finish = (answered: Awaited<ReturnType<HotPath>>): void => {
      send(request, response, answered);
      meter.end('authz', request.method ?? '', answered.status, began);
    };
    const fail = (error: unknown): void => {
      const answered = failed(error);
      if (response.headersSent) response.destroy();
      else finish(answered);
    };
    // Nothing of a body is wanted, but an unread one would hold the connection up.
    request.resume();
    try {
      const result = current.content.authorize(readHead(request, target));
      if (result instanceof Promise) {
        began = meter.begin();
        result.then(finish).catch(fail);
      } else finish(result);
    } catch (error) {
      fail(error);
    }
  };

  const send = (
    request: IncomingMessage,
    response: ServerResponse,
    { status, headers, body }: Awaited<ReturnType<HotPath>>,
  ): void => {
    const list = draining ? [...headers, 'Connection', 'close'] : (headers as string[]);
    response.writeHead(status, list);
    if (body === '' || request.method === 'HEAD') response.end();
    else response.end(body);
  };

  const failed = (error: unknown): LaneAnswer => {
    logger.error({ error }, 'an authorization request could not be answered');
    return FAILED;
  };

  const { tls } = options;
  const server: Server = tls
    ? createTlsServer(
        {
          ...tls,
          minVersion: 'TLSv1.2',
          handshakeTimeout: HANDSHAKE,
          requestCert: options.requireClientCertificate,
          rejectUnauthorized: options.requireClientCertificate,
          ...limits,
        },
        handle,
      )
    : createPlainServer(limits, handle);

  const event = tls ? 'secureConnection' : 'connection';
  const lane = createFastLane({
    answer(head) {
      head.target = withoutBase(head.target);
      if (!AUTHORIZATION.test(head.target) || mountOf(head.header('host'))) return null;
      return current.content.authorize(head);
    },
    failed,
    handOver: takeConnections(server, event, (socket) => lane.take(socket)),
    clock: deps.clock,
    meter,
    timers: systemTimers,
    firstTimeout: limits.headersTimeout,
    idleTimeout: limits.keepAliveTimeout,
  });

  let hasAddresses = true;
  server.on('listening', () => (hasAddresses = typeof server.address() === 'object'));
  server.prependListener(event, (socket: Socket) => {
    // Gone already: without an address it would pass for a peer at a Unix socket, and those are trusted.
    if (socket.remoteAddress === undefined && hasAddresses) socket.destroy();
  });

  /** All that were accepted, those whose TLS is not agreed on yet too, which `node:http` does not know. */
  const accepted = new Set<Socket>();
  let acceptedAt = Number.NEGATIVE_INFINITY;
  server.on('connection', (socket: Socket) => {
    acceptedAt = deps.clock.now();
    accepted.add(socket);
    socket.once('close', () => accepted.delete(socket));
  });

  server.on('clientError', refuse);
  server.on('tlsClientError', (_error, socket: Socket) => socket.destroy());
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const mount = mountOf(request.headers.host);
    if (mount?.upgrade) mount.upgrade(request, socket, head);
    else socket.destroy();
  });

  return {
    server,
    async use(next) {
      current = await prepare(next);
    },
    setCertificate(certificate) {
      if (tls) (server as unknown as TlsServer).setSecureContext({ ...certificate, minVersion: 'TLSv1.2' });
    },
    listen: (address) => listenOn(server, address, (error) => logger.error({ error }, 'the listener failed')),
    close: (deadline) =>
      new Promise((resolve) => {
        draining = true;
        lane.drain();
        const refuseMore = (): void => {
          server.close(() => {
            clearTimeout(cut);
            resolve();
          });
          server.closeIdleConnections();
          lane.endIdle();
        };
        const cut = setTimeout(() => {
          for (const socket of accepted) socket.destroy();
        }, deadline);
        const isVisited = accepted.size > 0 || deps.clock.now() - acceptedAt < RECENTLY;
        setTimeout(refuseMore, isVisited ? Math.min(FAREWELL, deadline) : 0);
      }),
  };
}

const FAILED: LaneAnswer = {
  status: 500,
  headers: ['Cache-Control', 'no-store', 'Content-Length', '0'],
  body: '',
};

/**
 * Gives new connections to `take`; answers the function that makes one the HTTP server's own after all, as if it had just
 * been accepted.
 */
function takeConnections(
  server: Server,
  event: 'connection' | 'secureConnection',
  take: (socket: Socket) => void,
): (socket: Socket) => void {
  const own = server.listeners(event) as ((socket: Socket) => void)[];
  // Where there is none, the server takes its connections in another way, and keeps them.
  if (own.length > 0) {
    server.removeAllListeners(event);
    server.on(event, take);
  }
  return (socket) => {
    for (const listener of own) listener.call(server, socket);
  };
}

function destroy(this: ServerResponse): void {
  this.destroy();
}

const REFUSALS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** What is no HTTP request, or too much of one. */
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = REFUSALS[error.code ?? ''] ?? '400 Bad Request';
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n`,
  );
}
