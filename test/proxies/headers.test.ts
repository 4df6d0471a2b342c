import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../support/environment.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { exchange, requestBytes } from '../support/raw-http.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';

/** The questions of proxies that do not run here, byte by byte, put to a real gateway. */
const fixtures = join(root, 'test/fixtures/headers');

const loginFor = (rd: string, rm: string): string =>
  `https://auth.example.com/?${new URLSearchParams({ rd, rm }).toString()}`;
const john = ['john', 'dev,admins', 'John Doe', 'john@example.com'];
const nobody = ['', '', '', ''];
const identity = ['Remote-User', 'Remote-Groups', 'Remote-Name', 'Remote-Email'];

interface Expected {
  readonly status: number;
  readonly location?: string;
  readonly identity?: readonly string[];
}

const expectations: Readonly<Record<string, Expected>> = {
  'haproxy-anonymous': { status: 302, location: loginFor('https://app1.example.com/page?q=1&r=%2F', 'GET') },
  'haproxy-signed-in': { status: 200, identity: john },
  'haproxy-upload': { status: 200, identity: john },
  'haproxy-anonymous-upload': { status: 303, location: loginFor('https://app1.example.com/upload', 'POST') },
  'haproxy-script': { status: 401, location: loginFor('https://app1.example.com/api/list', 'GET') },
  'haproxy-denied': { status: 403 },
  'haproxy-bypass': { status: 200, identity: nobody },
  'traefik-anonymous': { status: 302, location: loginFor('https://app1.example.com/page?q=1&r=%2F', 'GET') },
  'traefik-signed-in': { status: 200, identity: john },
  'traefik-post': { status: 303, location: loginFor('https://app1.example.com/form', 'POST') },
  'traefik-port': { status: 302, location: loginFor('https://app1.example.com:8443/page', 'GET') },
  'traefik-websocket': { status: 200, identity: john },
  'traefik-forged-prefix': { status: 302, location: loginFor('https://app1.example.com/page', 'GET') },
};

describe('questions of proxies, byte by byte', () => {
  let folder: TemporaryFolder;
  let gateway: GatewayProcess;
  let session: string;

  beforeAll(async () => {
    folder = await temporaryFolder('headers');
    gateway = await startGatewayProcess(join(import.meta.dirname, 'fixtures'), folder.path);
    const answer = await exchange(
      { port: gateway.port },
      requestBytes(
        'POST',
        '/api/firstfactor',
        [
          ['Host', 'auth.example.com'],
          ['X-Forwarded-Proto', 'https'],
          ['X-Forwarded-Host', 'auth.example.com'],
          ['X-Forwarded-For', '203.0.113.10'],
          ['Origin', 'https://auth.example.com'],
          ['Sec-Fetch-Site', 'same-origin'],
          ['Content-Type', 'application/json'],
        ],
        JSON.stringify({ username: 'john', password: 'pw-john-Correct1', keepMeLoggedIn: false }),
      ),
    );
    session = /__Secure-sallyport=([^;]+)/.exec(answer.all('set-cookie').join('\n'))?.[1] ?? '';
    if (session === '') throw new Error(`cannot sign in: ${answer.status} ${answer.body.toString()}`);
  });
  afterAll(async () => {
    await gateway?.stop();
    await folder?.remove();
  });

  it('every fixture has its expectation', async () => {
    const files = await readdir(fixtures);
    expect(files.map((file) => file.replace('.http', '')).sort()).toEqual(Object.keys(expectations).sort());
  });

  it.each(Object.entries(expectations))('%s', async (name, expected) => {
    const text = await readFile(join(fixtures, `${name}.http`), 'utf8');
    const lines = text
      .replace('<session>', session)
      .split('\n')
      .filter((line) => !line.startsWith('#'));
    const answer = await exchange({ port: gateway.port }, Buffer.from(lines.join('\r\n')));
    const location = answer.header('location');
    const utf8 = identity.map((header) =>
      Buffer.from(answer.header(header) ?? 'missing', 'latin1').toString(),
    );
    expect({
      status: answer.status,
      ...(location !== undefined && { location: decodeURIComponent(location) }),
      ...(answer.status === 200 && { identity: utf8 }),
      caching: answer.header('cache-control'),
    }).toEqual({
      ...expected,
      ...(expected.location !== undefined && { location: decodeURIComponent(expected.location) }),
      caching: 'no-store',
    });
  });
});
