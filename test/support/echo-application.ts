import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { HeaderLine } from './raw-http.ts';

/** What an application saw of one request. */
export interface Seen {
  readonly application: string;
  readonly method: string;
  readonly target: string;
  /** As received, in order; values as UTF-8. */
  readonly headers: readonly HeaderLine[];
  readonly bodyLength: number;
  readonly bodySha256: string;
}

export interface EchoApplication {
  readonly port: number;
  /** How many requests and WebSocket handshakes have arrived. */
  readonly arrivals: number;
  /** Their targets, in order. */
  readonly targets: readonly string[];
  close(): Promise<void>;
}

/**
 * An application that knows nothing of Sallyport. Every answer carries `X-Application: <name>` and tells as JSON what
 * arrived; `/status/<code>` answers with that status. A WebSocket gets the same as its first message, then its own
 * messages back.
 */
export async function startEchoApplication(name: string): Promise<EchoApplication> {
  const targets: string[] = [];
  const see = (request: IncomingMessage, body: Buffer): string => {
    const headers: HeaderLine[] = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
      headers.push([
        request.rawHeaders[i] ?? '',
        Buffer.from(request.rawHeaders[i + 1] ?? '', 'latin1').toString(),
      ]);
    }
    const seen: Seen = {
      application: name,
      method: request.method ?? '',
      target: request.url ?? '',
      headers,
      bodyLength: body.length,
      bodySha256: createHash('sha256').update(body).digest('hex'),
    };
    return JSON.stringify(seen);
  };

  const server = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
    targets.push(request.url ?? '');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const status = Number(/^\/status\/(\d{3})$/.exec(request.url ?? '')?.[1] ?? 200);
      response.writeHead(status, {
        'Content-Type': 'application/json',
        'X-Application': name,
        'Set-Cookie': 'application=1',
      });
      response.end(see(request, Buffer.concat(chunks)));
    });
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) => {
    targets.push(request.url ?? '');
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.send(see(request, Buffer.alloc(0)));
      webSocket.on('message', (data, isBinary) => webSocket.send(data, { binary: isBinary }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get arrivals() {
      return targets.length;
    },
    targets,
    async close() {
      for (const client of sockets.clients) client.terminate();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
