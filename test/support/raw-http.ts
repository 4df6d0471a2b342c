/**
 * HTTP/1.1 as bytes: what is given is what is sent, also where a proper client would refuse (dots and backslashes in the
 * path, repeated headers, odd spellings).
 */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export type HeaderLine = readonly [name: string, value: string];

export interface RawAnswer {
  readonly status: number;
  readonly headers: readonly HeaderLine[];
  readonly body: Buffer;
  /** Milliseconds from the first byte sent to the end of the answer. */
  readonly elapsedMs: number;
  /** The first value of a header. */
  header(name: string): string | undefined;
  all(name: string): string[];
}

export interface Destination {
  readonly port: number;
  /** TLS with this name (SNI), the certificate checked against `authority`. */
  readonly tls?: { readonly servername: string; readonly authority: string };
  /** The address from which to connect, another one of 127.0.0.0/8. */
  readonly from?: string | undefined;
}

const DEADLINE_MS = 15_000;

/** The bytes of one request. Without a `Connection` header, `Connection: close` is added. */
export function requestBytes(
  method: string,
  target: string,
  headers: readonly HeaderLine[],
  body: string | Buffer = '',
): Buffer {
  const named = (name: string): boolean => headers.some(([other]) => other.toLowerCase() === name);
  const lines = [
    `${method} ${target} HTTP/1.1`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(named('connection') ? [] : ['Connection: close']),
    ...(body.length > 0 && !named('transfer-encoding') ? [`Content-Length: ${Buffer.byteLength(body)}`] : []),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.from(body)]);
}

/** Sends bytes on a new connection and reads one answer. Rejects when the peer closes without one. */
export async function exchange(destination: Destination, bytes: Buffer): Promise<RawAnswer> {
  const socket = open(destination);
  const timer = setTimeout(
    () => socket.destroy(new Error(`no answer within ${DEADLINE_MS} ms`)),
    DEADLINE_MS,
  );
  try {
    await once(socket, destination.tls ? 'secureConnect' : 'connect');
    const start = performance.now();
    const isHead = bytes.subarray(0, 5).toString() === 'HEAD ';
    const reading = readAnswer(socket, isHead, start);
    socket.write(bytes);
    return await reading;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function open({ port, tls, from }: Destination): Socket {
  const where = { host: '127.0.0.1', port, ...(from === undefined ? {} : { localAddress: from }) };
  return tls ? connectTls({ ...where, servername: tls.servername, ca: tls.authority }) : connectTcp(where);
}

async function readAnswer(socket: Socket, isHead: boolean, start: number): Promise<RawAnswer> {
  let buffer = Buffer.alloc(0);
  let ended = false;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    buffer = Buffer.concat([buffer, chunk]);
    const answer = parseAnswer(buffer, isHead, ended, start);
    if (answer) return answer;
  }
  ended = true;
  const answer = parseAnswer(buffer, isHead, ended, start);
  if (!answer)
    throw new Error(
      `the connection was closed without a whole answer: ${JSON.stringify(buffer.toString('latin1', 0, 200))}`,
    );
  return answer;
}

function parseAnswer(bytes: Buffer, isHead: boolean, ended: boolean, start: number): RawAnswer | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1] ?? Number.NaN);
  if (Number.isNaN(status))
    throw new Error(`not an HTTP answer: ${JSON.stringify(statusLine.slice(0, 100))}`);
  const rest = bytes.subarray(end + 4);
  if (status < 200 && status !== 101) return parseAnswer(rest, isHead, ended, start);
  const headers = lines.map((line): HeaderLine => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  const all = (name: string): string[] =>
    headers.filter(([other]) => other.toLowerCase() === name.toLowerCase()).map(([, value]) => value);
  const hasBody = !isHead && status !== 101 && status !== 204 && status !== 304;
  const body = hasBody
    ? readBody(rest, all('transfer-encoding')[0], all('content-length')[0], ended)
    : Buffer.alloc(0);
  if (!body) return undefined;
  return { status, headers, body, elapsedMs: performance.now() - start, header: (name) => all(name)[0], all };
}

function readBody(
  bytes: Buffer,
  encoding: string | undefined,
  length: string | undefined,
  ended: boolean,
): Buffer | undefined {
  if (encoding === 'chunked') {
    const parts: Buffer[] = [];
    let at = 0;
    for (;;) {
      const line = bytes.indexOf('\r\n', at);
      if (line === -1) return undefined;
      const size = Number.parseInt(bytes.toString('latin1', at, line), 16);
      if (size === 0) return Buffer.concat(parts);
      if (bytes.length < line + 2 + size + 2) return undefined;
      parts.push(bytes.subarray(line + 2, line + 2 + size));
      at = line + 2 + size + 2;
    }
  }
  if (length === undefined) return ended ? bytes : undefined;
  return bytes.length >= Number(length) ? bytes.subarray(0, Number(length)) : undefined;
}
