import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { type ClientOptions, WebSocket } from 'ws';
import type { Seen } from '../support/echo-application.ts';
import type { HeaderLine } from '../support/raw-http.ts';

export interface WebSocketAttempt {
  /** 101 when it opened. */
  readonly status: number;
  /** What the application saw of the handshake. */
  readonly seen?: Seen;
  /** What came back for `hello`. */
  readonly echo?: string;
}

/** Opens wss://app1.example.com/socket through a proxy, exchanges one message, and closes it. */
export async function openWebSocket(
  port: number,
  authority: string,
  headers: readonly HeaderLine[],
): Promise<WebSocketAttempt> {
  const options: ClientOptions & ConnectionOptions = {
    ca: authority,
    servername: 'app1.example.com',
    headers: { Host: 'app1.example.com', Origin: 'https://app1.example.com', ...Object.fromEntries(headers) },
    handshakeTimeout: 10_000,
  };
  const socket = new WebSocket(`wss://127.0.0.1:${port}/socket`, options);
  try {
    return await new Promise<WebSocketAttempt>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('unexpected-response', (_request, response: IncomingMessage) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0 });
      });
      socket.once('message', (first) => {
        const seen = JSON.parse(String(first)) as Seen;
        once(socket, 'message').then(([data]) => resolve({ status: 101, seen, echo: String(data) }), reject);
        socket.send('hello');
      });
    });
  } finally {
    socket.on('error', () => {});
    socket.terminate();
  }
}
