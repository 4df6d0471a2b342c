import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { formatMetrics, METRICS_TYPE, type MetricFamily } from '../lib/metrics.ts';
import { type ListenAddress, listenOn } from './listen-on.ts';
import { securityHeaders } from './security-headers.ts';

/**
 * The listener of `telemetry.metrics`: GET of one path, and nothing else. It stands apart from the listener of the portal, so
 * that no proxy can reach it by mistake; it asks nobody who he is, so it belongs on an inner network.
 */
export interface MetricsListener {
  readonly server: Server;
  listen(address: ListenAddress): Promise<void>;
  close(): Promise<void>;
}

export interface MetricsListenerOptions {
  readonly path: string;
  /** Bytes of request headers. */
  readonly maxHeaderSize: number;
  /** Milliseconds for a request to come, for the answer to go, and for which a connection is kept without a request. */
  readonly readTimeout: number;
  readonly writeTimeout: number;
  readonly idleTimeout: number;
}

/** Whoever reads metrics needs few. */
const MOST_CONNECTIONS = 64;

export function createMetricsListener(
  options: MetricsListenerOptions,
  deps: { readonly read: () => Promise<readonly MetricFamily[]>; readonly onError: (error: unknown) => void },
): MetricsListener {
  let reading: Promise<readonly MetricFamily[]> | null = null;
  /** Those who ask at the same time get one reading. */
  const read = (): Promise<readonly MetricFamily[]> =>
    (reading ??= deps.read().finally(() => {
      reading = null;
    }));

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    response.on('error', () => response.destroy());
    response.setTimeout(options.writeTimeout, () => response.destroy());
    request.resume();
    const path = (request.url ?? '').replace(/\?.*$/, '');
    if (path !== options.path) return answer(request, response, 404, '404 Not Found\n');
    if (request.method !== 'GET' && request.method !== 'HEAD')
      return answer(request, response, 405, '405 Method Not Allowed\n', { Allow: 'GET, HEAD' });
    try {
      const body = formatMetrics(await read());
      answer(request, response, 200, body, { 'Content-Type': METRICS_TYPE });
    } catch (error) {
      deps.onError(error);
      answer(request, response, 500, '500 Internal Server Error\n');
    }
  };

  const server = createServer(
    {
      maxHeaderSize: options.maxHeaderSize,
      headersTimeout: options.readTimeout,
      requestTimeout: options.readTimeout,
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: options.idleTimeout,
    },
    (request, response) => void handle(request, response),
  );
  server.maxConnections = MOST_CONNECTIONS;

  return {
    server,
    listen: (address) => listenOn(server, address, deps.onError),
    close: () =>
      new Promise((resolve) => {
        if (!server.listening) return resolve();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    ...securityHeaders,
    'Cache-Control': 'no-store',
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
