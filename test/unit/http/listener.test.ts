import { once } from 'node:events';
import { request } from 'node:http';
import { connect as connectPlain, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';

import { afterEach, describe, expect, test } from 'vitest';

import type { RequestHead } from '../../../src/http/request-head.ts';
import {
  createHttpServer,
  type HttpContent,
  type HttpOptions,
  type HttpServer,
} from '../../../src/http/server.ts';
import { createTrustedProxies } from '../../../src/http/trusted-proxies.ts';
import { type Authority, createAuthority, generateCertificate } from '../../../src/lib/certificates.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Logger } from '../../../src/lib/logger.ts';
import { systemRandom } from '../../../src/lib/random.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Listeners other than plain TCP. */

const ignore = (): void => {};
const logger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  child: () => logger,
  isEnabled: () => false,
};

let heads: RequestHead[] = [];
const content: HttpContent = {
  authorize(head) {
    heads.push(head);
    return { status: 200, headers: ['Content-Length', '0'], body: '' };
  },
  routes: [],
  mounts: [],
  trustedProxies: createTrustedProxies(undefined),
  problem: (_request, status) => ({ status }),
};

let server: HttpServer | undefined;
async function open(options: Partial<HttpOptions>): Promise<HttpServer> {
  heads = [];
  server = await createHttpServer(
    {
      tls: null,
      requireClientCertificate: false,
      basePath: '',
      maxHeaderSize: 0,
      idleTimeout: 0,
      ...options,
    },
    content,
    { logger, random: systemRandom, clock: systemClock },
  );
  return server;
}
afterEach(async () => {
  await server?.close(0);
  server = undefined;
});

test('a unix socket: its peers have no address', async () => {
  const folder = await temporaryFolder('listener');
  const path = join(folder.path, 'socket');
  await (await open({})).listen({ path });
  const asking = request({ socketPath: path, path: '/api/verify', headers: { host: 'a' } }).end();
  const [response] = (await once(asking, 'response')) as [{ statusCode: number; resume(): void }];
  response.resume();
  expect(response.statusCode).toBe(200);
  expect(heads[0]).toMatchObject({ peer: '', secure: false });
  await server?.close(0);
  await folder.remove();
});

describe('TLS', () => {
  const deps = { clock: systemClock, random: systemRandom };
  const issue = (issuer: Authority, host: string, extendedUsage = 'server-auth') =>
    generateCertificate(
      {
        key: { type: 'ecdsa', curve: 'P-256' },
        subject: { commonName: host },
        hosts: [host],
        notAfter: systemClock.now() + 3_600_000,
        issuer,
        extendedUsage: [extendedUsage],
      },
      deps,
    );
  const connectTo = async (ca: string, more: ConnectionOptions = {}): Promise<TLSSocket> => {
    const { port } = (server?.server.address() ?? {}) as AddressInfo;
    const socket = connect({ host: '127.0.0.1', port, servername: 'auth.example.com', ca, ...more });
    await once(socket, 'secureConnect');
    return socket;
  };
  const ask = (socket: TLSSocket): Promise<string> =>
    new Promise((resolve, reject) => {
      socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1')));
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed without an answer')));
      socket.write('GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
    });

  test('the connection counts as secure; older versions than 1.2 are refused', async () => {
    const authority = await createAuthority({}, deps);
    const { certificate: cert, privateKey: key } = await issue(authority, 'auth.example.com');
    await (await open({ tls: { cert, key } })).listen({ host: '127.0.0.1', port: 0 });
    const socket = await connectTo(authority.certificate);
    expect(await ask(socket)).toMatch(/^HTTP\/1\.1 200 /);
    expect(heads[0]).toMatchObject({ peer: '127.0.0.1', secure: true });
    socket.destroy();
    await expect(
      connectTo(authority.certificate, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }),
    ).rejects.toThrow();
  });

  test('a client that never speaks TLS does not hold up the end beyond the deadline', async () => {
    const { certificate: cert, privateKey: key } = await issue(await createAuthority({}, deps), 'a.example');
    const { listen, close, server: listener } = await open({ tls: { cert, key } });
    await listen({ host: '127.0.0.1', port: 0 });
    const { port } = listener.address() as AddressInfo;
    const silent = connectPlain(port, '127.0.0.1');
    const gone = once(silent, 'close');
    await once(silent, 'connect');
    await close(50);
    await gone;
    expect(listener.listening).toBe(false);
  });

  test('a new certificate is for new connections; open ones go on', async () => {
    const [before, after] = [await createAuthority({}, deps), await createAuthority({}, deps)];
    const first = await issue(before, 'auth.example.com');
    const second = await issue(after, 'auth.example.com');
    await (
      await open({ tls: { cert: first.certificate, key: first.privateKey } })
    ).listen({ host: '127.0.0.1', port: 0 });
    const old = await connectTo(before.certificate);
    server?.setCertificate({ cert: second.certificate, key: second.privateKey });
    const fresh = await connectTo(after.certificate);
    expect(await ask(fresh)).toMatch(/^HTTP\/1\.1 200 /);
    expect(await ask(old)).toMatch(/^HTTP\/1\.1 200 /);
    await expect(connectTo(before.certificate)).rejects.toThrow();
    expect(() => server?.setCertificate({ cert: 'nonsense', key: 'nonsense' })).toThrow();
    const still = await connectTo(after.certificate);
    for (const socket of [old, fresh, still]) socket.destroy();
  });

  test('where client certificates are asked for, nobody without one gets an answer', async () => {
    const [authority, stranger] = [await createAuthority({}, deps), await createAuthority({}, deps)];
    const { certificate: cert, privateKey: key } = await issue(authority, 'auth.example.com');
    const client = await issue(authority, 'proxy.example.com', 'client-auth');
    const foreign = await issue(stranger, 'proxy.example.com', 'client-auth');
    await (
      await open({ tls: { cert, key, ca: authority.certificate }, requireClientCertificate: true })
    ).listen({
      host: '127.0.0.1',
      port: 0,
    });
    const known = await connectTo(authority.certificate, {
      cert: client.certificate,
      key: client.privateKey,
    });
    expect(await ask(known)).toMatch(/^HTTP\/1\.1 200 /);
    known.destroy();
    for (const credentials of [{}, { cert: foreign.certificate, key: foreign.privateKey }]) {
      // In TLS 1.3 the refusal comes after the client's side of the handshake is done.
      const attempt = async (): Promise<string> => ask(await connectTo(authority.certificate, credentials));
      await expect(attempt()).rejects.toThrow();
    }
    expect(heads).toHaveLength(1);
  });
});
