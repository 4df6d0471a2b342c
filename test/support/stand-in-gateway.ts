import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { HeaderLine } from './raw-http.ts';

/** A question as it arrived at the stand-in. */
export interface Question {
  readonly method: string;
  readonly target: string;
  readonly headers: readonly HeaderLine[];
  readonly bodyLength: number;
}

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

/** A gateway that does what a test tells it, to see how a proxy takes it. */
export interface StandInGateway {
  readonly port: number;
  readonly questions: Question[];
  /** Connections opened so far. */
  readonly connections: number;
  behave(behaviour: Behaviour): void;
  close(): Promise<void>;
}

/** Answers 200 without a body, as Sallyport does for a visitor who needs no identity, until it is told otherwise. */
export const allowAnybody: Behaviour = (_request, response) => {
  const identity = ['Remote-User', '', 'Remote-Groups', '', 'Remote-Name', '', 'Remote-Email', ''];
  response.writeHead(200, [...identity, 'Content-Length', '0']).end();
};

export async function startStandInGateway(): Promise<StandInGateway> {
  const questions: Question[] = [];
  let behaviour = allowAnybody;
  let connections = 0;
  const server = createServer({ keepAliveTimeout: 72_000, maxHeaderSize: 65_536 }, (request, response) => {
    let bodyLength = 0;
    request.on('data', (chunk: Buffer) => (bodyLength += chunk.length));
    request.on('end', () => {
      const headers: HeaderLine[] = [];
      for (let i = 0; i < request.rawHeaders.length; i += 2) {
        headers.push([request.rawHeaders[i] ?? '', request.rawHeaders[i + 1] ?? '']);
      }
      questions.push({ method: request.method ?? '', target: request.url ?? '', headers, bodyLength });
      behaviour(request, response);
    });
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    questions,
    get connections() {
      return connections;
    },
    behave(next) {
      behaviour = next;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
