import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { once } from 'node:events';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readPlainRequest } from '../../../src/http/plain-request.ts';
import { type HeaderName, readHead, type RequestHead } from '../../../src/http/request-head.ts';
import { seededRandom } from '../../support/fake-clock.ts';

const NAMES = [
  'host',
  'cookie',
  'accept',
  'authorization',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-uri',
  'x-original-method',
  'x-original-url',
] as const satisfies readonly HeaderName[];

const facts = (head: RequestHead): object => ({
  method: head.method,
  target: head.target,
  headers: NAMES.map((name) => [name, head.header(name), head.flaw(name)]),
});

const read = (text: string) => readPlainRequest(Buffer.from(text, 'latin1'), '127.0.0.1', false);
const request = (lines: readonly string[], start = 'GET /api/verify HTTP/1.1'): string =>
  [start, ...lines, '', ''].join('\r\n');

describe('a plain request', () => {
  test('method, target and headers as they were sent', () => {
    const plain = read(
      request([
        'Host: auth.example.com',
        'x-original-URL:https://a.example.com/',
        'Cookie: a=b',
        'cookie: c=d',
      ]),
    );
    expect(plain?.closes).toBe(false);
    expect(plain?.head).toMatchObject({
      method: 'GET',
      target: '/api/verify',
      peer: '127.0.0.1',
      secure: false,
    });
    expect(plain?.head.header('host')).toBe('auth.example.com');
    expect(plain?.head.header('x-original-url')).toBe('https://a.example.com/');
    expect(plain?.head.header('cookie')).toBe('a=b; c=d');
  });

  test.each([
    ['HTTP/1.1', [], false],
    ['HTTP/1.1', ['Connection: keep-alive'], false],
    ['HTTP/1.1', ['Connection: Close'], true],
    ['HTTP/1.0', [], true],
    ['HTTP/1.0', ['Connection: close'], true],
  ] as const)('%s with %j: whether the connection ends', (version, lines, closes) => {
    expect(read(request(['Host: a', ...lines], `GET / ${version}`))?.closes).toBe(closes);
  });

  test('blanks around a value are none of it; those within are', () => {
    const plain = read(
      request(['Host: \t a \t', 'Accept:  b  c\t', 'X-Forwarded-Uri:', 'X-Forwarded-For:   ']),
    );
    expect(plain?.head.header('host')).toBe('a');
    expect(plain?.head.header('accept')).toBe('b  c');
    expect(plain?.head.header('x-forwarded-uri')).toBe('');
    expect(plain?.head.header('x-forwarded-for')).toBe('');
  });

  test.each([
    ['nothing', ''],
    ['a beginning', 'GET /api/verify HTTP/1.1\r\nHost: a\r\n'],
    ['two', request(['Host: a']).repeat(2)],
    ['something behind it', `${request(['Host: a'])}x`],
    ['bytes before it', `\r\n${request(['Host: a'])}`],
    ['bare line feeds', 'GET / HTTP/1.1\nHost: a\n\n'],
    ['one bare line feed', 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n'],
    ['a bare carriage return', 'GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n'],
    ['a folded line', request(['Host: a', ' b'])],
    ['a blank before the colon', request(['Host : a'])],
    ['a line without a colon', request(['Host: a', 'b'])],
    ['a line without a name', request(['Host: a', ': b'])],
    ['NUL', request(['Host: a\0'])],
    ['another method', request(['Host: a'], 'BREW / HTTP/1.1')],
    ['a method in small letters', request(['Host: a'], 'get / HTTP/1.1')],
    ['another version', request(['Host: a'], 'GET / HTTP/2.0')],
    ['no version', request(['Host: a'], 'GET /')],
    ['an absolute target', request(['Host: a'], 'GET http://a/ HTTP/1.1')],
    ['a blank in the target', request(['Host: a'], 'GET /a b HTTP/1.1')],
    ['a target beyond ASCII', request(['Host: a'], 'GET /\xe9 HTTP/1.1')],
    ['no Host', request(['Accept: a'])],
    ['no header', 'GET / HTTP/1.1\r\n\r\n'],
    ['a body', request(['Host: a', 'Content-Length: 1'])],
    ['a length in another form', request(['Host: a', 'Content-Length: +0'])],
    ['two lengths', request(['Host: a', 'Content-Length: 0', 'content-length: 0'])],
    ['chunks', request(['Host: a', 'Transfer-Encoding: chunked'])],
    ['chunks under another name', request(['Host: a', 'transfer-encoding: identity'])],
    ['an expectation', request(['Host: a', 'Expect: 100-continue'])],
    ['an upgrade', request(['Host: a', 'Connection: upgrade', 'Upgrade: websocket'])],
    ['two Connection lines', request(['Host: a', 'Connection: close', 'Connection: keep-alive'])],
    ['Proxy-Connection', request(['Host: a', 'Proxy-Connection: close'])],
    ['a kept connection of HTTP/1.0', request(['Host: a', 'Connection: keep-alive'], 'GET / HTTP/1.0')],
    ['too many lines', request(['Host: a', ...Array.from({ length: 100 }, (_, i) => `X-${i}: y`)])],
    ['too much', request(['Host: a', `Cookie: ${'a'.repeat(16 * 1024)}`])],
  ])('not plain: %s', (_, text) => {
    expect(read(text)).toBeNull();
  });

  test('an empty length is a request without a body', () => {
    expect(read(request(['Host: a', 'Content-Length: 0'], 'POST / HTTP/1.1'))).not.toBeNull();
  });
});

/** Whatever is plain here must be the same one request to the complete parser. */
describe('beside the complete parser', () => {
  let server: Server;
  let seen: { facts: object; body: number; closes: boolean }[] = [];
  beforeAll(async () => {
    server = createServer((incoming, response) => {
      const entry = {
        facts: facts(readHead(incoming, incoming.url ?? '')),
        body: 0,
        closes: !response.shouldKeepAlive,
      };
      seen.push(entry);
      incoming.on('data', (chunk: Buffer) => (entry.body += chunk.length));
      response.end('answered');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  afterAll(() => server.close());

  const askParser = async (bytes: Buffer): Promise<typeof seen> => {
    seen = [];
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    // Half closed: whatever is incomplete is told to be so at once.
    socket.end(bytes);
    await once(socket, 'close');
    return seen;
  };

  const random = seededRandom('plain requests');
  const pick = <T>(items: readonly T[]): T => items[random.integer(items.length)] as T;
  const line = (): string => {
    const name = pick([
      ...NAMES,
      'Host',
      'X-Original-URL',
      'X_Original_URL',
      'X-Forwarded_For',
      'Content-Length',
      'Transfer-Encoding',
      'Connection',
      'Expect',
      'Upgrade',
      'TE',
      'Trailer',
      'Proxy-Connection',
      'Keep-Alive',
      'X-Anything',
      '__proto__',
    ]);
    const value = pick([
      '0',
      '1',
      'a',
      'close',
      'keep-alive',
      'Close',
      'chunked',
      'a, b',
      '',
      ' ',
      'h\xe4',
      '\t x \t',
      'a:b',
      '00',
    ]);
    return `${name}:${pick([' ', '', '  ', '\t'])}${value}`;
  };
  const mutate = (text: string): string => {
    const at = random.integer(text.length + 1);
    switch (random.integer(6)) {
      case 0:
        return (
          text.slice(0, at) +
          pick(['\r', '\n', '\r\n', ' ', '\t', ':', '\0', '\x7f', '\xff', 'a']) +
          text.slice(at)
        );
      case 1:
        return text.slice(0, at) + text.slice(at + 1);
      case 2:
        return text.replace('\r\n', pick(['\n', '\r', '\n\r']));
      case 3:
        return text + pick(['x', '\r\n', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n']);
      default:
        return text;
    }
  };

  test('3,000 requests, odd ones among them', async () => {
    let plain = 0;
    for (let i = 0; i < 3000; i++) {
      const start = `${pick(['GET', 'GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'BREW'])} ${pick(['/', '/api/verify?a=b', '/%2e', '*', '/a#b'])} ${pick(['HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2'])}`;
      const lines = ['Host: a', ...Array.from({ length: random.integer(5) }, line)];
      const text = mutate(request(lines, start));
      const bytes = Buffer.from(text, 'latin1');
      const own = readPlainRequest(bytes, '127.0.0.1', false);
      if (!own) continue;
      plain++;
      const told = JSON.stringify(text);
      const theirs = await askParser(bytes);
      expect(theirs.length, told).toBe(1);
      expect(theirs[0], told).toEqual({ facts: facts(own.head), body: 0, closes: own.closes });
    }
    // Enough of both kinds, or the comparison says nothing.
    expect(plain).toBeGreaterThan(300);
    expect(plain).toBeLessThan(2500);
  });
});
