import { afterAll, beforeAll, expect, test } from 'vitest';

import { seededRandom } from '../support/fake-clock.ts';
import { exchange, type HeaderLine, requestBytes } from '../support/raw-http.ts';
import { openWire } from '../support/wire.ts';
import { type InProcessGateway, startInProcess } from './in-process.ts';

/** Malformed questions by the thousand, over real connections, the same ones each time. */

let gateway: InProcessGateway;
beforeAll(async () => {
  gateway = await startInProcess();
});
afterAll(() => gateway.stop());

const random = seededRandom('fuzz of the gateway');
const pick = <T>(list: readonly T[]): T => {
  const one = list[random.integer(list.length)];
  if (one === undefined) throw new Error('an empty list');
  return one;
};
const chance = (percent: number): boolean => random.integer(100) < percent;

const ENDPOINTS = [
  '/api/authz/forward-auth',
  '/api/authz/auth-request',
  '/api/authz/ext-authz',
  '/api/authz/ext-authz/x',
  '/api/verify',
  '/api/authz/legacy',
];
const NAMES = [
  'Host',
  'Cookie',
  'Accept',
  'Authorization',
  'Proxy-Authorization',
  'Session-Username',
  'X-Requested-With',
  'X-Authelia-URL',
  'X-Forwarded-For',
  'X-Forwarded-Host',
  'X-Forwarded-Method',
  'X-Forwarded-Proto',
  'X-Forwarded-URI',
  'X-Original-Method',
  'X-Original-URL',
  'Content-Length',
  'Transfer-Encoding',
  'Connection',
  'Upgrade',
  'Expect',
  'X-Forwarded-Port',
  'Forwarded',
  'Remote-User',
  'Remote-Groups',
  '__proto__',
  'constructor',
];
/** Protected one and all: no answer may be 2xx. */
const HOSTS = [
  'app.example.com',
  'two.example.com',
  'admin.example.com',
  'nothing.example.com',
  'app.example.org',
  'APP.example.com:443',
  'home.example.com',
];
const PIECES = [
  'https://app.example.com/',
  'https',
  'http',
  'wss',
  '://',
  '/',
  '//',
  '\\',
  '?',
  '#',
  '@',
  ':',
  ';',
  ',',
  '%',
  '%00',
  '%2e%2e%2f',
  '%252e',
  '..',
  ' ',
  '\t',
  '\0',
  '\x01',
  '\x7f',
  '\xff',
  '\xc3\xbc',
  '\xc0\xaf',
  'open.example.com',
  'public',
  'GET',
  'OPTIONS',
  'get',
  'text/html',
  '*/*',
  'XMLHttpRequest',
  'Basic',
  'Bearer',
  'am9objpzZWNyZXQ=',
  'authelia_session=',
  'A'.repeat(43),
  'A'.repeat(500),
  '203.0.113.5',
  '::1',
  '[::1]',
  '127.0.0.1',
  '999.1.1.1',
  'john',
  'admin',
  '<script>',
  "' or 1=1",
  '${jndi:x}',
  '%s%n',
  '0',
  '-1',
  '9'.repeat(30),
  'chunked',
  'keep-alive',
  '100-continue',
  'websocket',
  '"',
  '=',
  '&rd=',
  'auth=basic',
  'authelia_url=https://evil.com/',
];

const noise = (): string => Array.from({ length: random.integer(5) }, () => pick(PIECES)).join('');

function nameOf(name: string): string {
  switch (random.integer(8)) {
    case 0:
      return name.toLowerCase();
    case 1:
      return name.toUpperCase();
    case 2:
      return name.replaceAll('-', '_');
    case 3:
      return name.replace('-', '_');
    default:
      return name;
  }
}

/** A question that would be understood, about a protected host. */
function wellFormed(): HeaderLine[] {
  const host = pick(HOSTS);
  return [
    ['Host', host],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', host],
    ['X-Forwarded-URI', '/a?b=c'],
    ['X-Forwarded-Method', 'GET'],
    ['X-Original-URL', `https://${host}/a?b=c`],
    ['X-Original-Method', 'GET'],
    ['Accept', 'text/html'],
  ];
}

/** The same, spoiled: lines dropped, doubled, renamed, overwritten and added. No line names the host that is open. */
function spoiled(): HeaderLine[] {
  const lines = wellFormed().flatMap((line): HeaderLine[] => {
    const [name, value] = line;
    switch (random.integer(10)) {
      case 0:
        return [];
      case 1:
        return [line, [nameOf(name), noise()]];
      case 2:
        return [[nameOf(name), value]];
      case 3:
        return [[name, noise()]];
      case 4:
        return [[name, value + noise()]];
      default:
        return [line];
    }
  });
  for (let more = random.integer(4); more > 0; more--) lines.push([nameOf(pick(NAMES)), noise()]);
  if (chance(5)) lines.push(['X-Filler', 'x'.repeat(random.integer(40_000))]);
  if (chance(50)) lines.sort(() => random.integer(3) - 1);
  return lines.filter(([, value]) => !value.includes('open.example.com'));
}

test('3,000 malformed questions: never 2xx, never 5xx, never a crash', { timeout: 120_000 }, async () => {
  const statuses = new Map<number, number>();
  const one = async (): Promise<void> => {
    const target = pick(ENDPOINTS) + (chance(30) ? `?${noise().replaceAll(/[^!-~]/g, '')}` : '');
    const method = pick(['GET', 'GET', 'GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PROPFIND', 'BREW']);
    const bytes = requestBytes(method, target, spoiled(), chance(10) ? 'a body that nobody reads' : '');
    // Header lines hold one byte for each character.
    const wire = Buffer.from(bytes.toString('utf8'), 'latin1');
    let status: number;
    try {
      ({ status } = await exchange({ port: gateway.port }, wire));
    } catch (cause) {
      throw new Error(`no answer to ${JSON.stringify(wire.toString('latin1'))}`, { cause });
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (status < 300 || status >= 500)
      throw new Error(`${status} for ${JSON.stringify(wire.toString('latin1'))}`);
  };
  for (let i = 0; i < 3000; i += 20) await Promise.all(Array.from({ length: 20 }, one));
  // Not all of it is turned away at the first sight.
  for (const status of [302, 400, 401, 403])
    expect(statuses.get(status) ?? 0, String(status)).toBeGreaterThan(20);
  expect(
    gateway.log.filter(({ level, message }) => level === 'error' && !message.startsWith('Unsuccessful 1FA')),
  ).toEqual([]);
  const alive = await exchange(
    { port: gateway.port },
    requestBytes('GET', '/api/health', [['Host', 'auth.example.com']]),
  );
  expect(alive.status).toBe(200);
});

test('300 streams of noise: never 2xx, never 5xx, never a crash', { timeout: 60_000 }, async () => {
  for (let i = 0; i < 300; i += 10) {
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        const start = chance(50) ? `GET ${pick(ENDPOINTS)} HTTP/1.1\r\nHost: ${pick(HOSTS)}\r\n` : '';
        const tail = Array.from({ length: 20 }, () =>
          pick([...PIECES, '\r\n', '\n', '\r', '\r\n\r\n', ': ']),
        ).join('');
        const wire = await openWire(gateway.port);
        wire.send(Buffer.from(`${start}${tail.replaceAll('open.example.com', '')}`, 'latin1'));
        wire.socket.end();
        const text = await wire.closed();
        expect(text).not.toMatch(/HTTP\/1\.1 [25]\d\d/);
      }),
    );
  }
  const alive = await exchange(
    { port: gateway.port },
    requestBytes('GET', '/api/health', [['Host', 'auth.example.com']]),
  );
  expect(alive.status).toBe(200);
});
