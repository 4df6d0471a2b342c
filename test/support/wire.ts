import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { type HeaderLine, type RawAnswer, exchange, requestBytes } from './raw-http.ts';

/** A connection on which bytes are sent as they are, and everything that comes back is kept. */
export interface Wire {
  readonly socket: Socket;
  send(bytes: string | Buffer): void;
  /** What came back so far. */
  received(): string;
  /** Waits until the text that came back matches; fails after 5 s. */
  until(pattern: RegExp): Promise<string>;
  /** Waits until the peer closes; answers all that came back. */
  closed(): Promise<string>;
}

const DEADLINE_MS = 5000;

export async function openWire(port: number): Promise<Wire> {
  const socket = connect(port, '127.0.0.1');
  const got = { text: '', isClosed: false };
  let wake = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    got.text += chunk.toString('latin1');
    wake();
  });
  socket.on('error', () => wake());
  socket.on('close', () => {
    got.isClosed = true;
    wake();
  });
  await once(socket, 'connect');
  const wait = async (done: () => boolean, what: string): Promise<string> => {
    const timer = setTimeout(() => socket.destroy(new Error('too late')), DEADLINE_MS);
    while (!done() && !got.isClosed) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    clearTimeout(timer);
    if (!done() || socket.errored?.message === 'too late') {
      throw new Error(`${what}: got ${JSON.stringify(got.text.slice(0, 500))}`);
    }
    return got.text;
  };
  return {
    socket,
    send: (bytes) => void socket.write(bytes),
    received: () => got.text,
    until: (pattern) => wait(() => pattern.test(got.text), `nothing matched ${pattern}`),
    closed: () => wait(() => got.isClosed, 'the peer did not close'),
  };
}

/** One request on a connection of its own. */
export function ask(
  port: number,
  method: string,
  target: string,
  headers: readonly HeaderLine[] = [],
  body = '',
): Promise<RawAnswer> {
  const hasHost = headers.some(([name]) => name.toLowerCase() === 'host');
  const host: readonly HeaderLine[] = hasHost ? [] : [['Host', 'auth.example.com']];
  return exchange({ port }, requestBytes(method, target, [...host, ...headers], body));
}
