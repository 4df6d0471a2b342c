import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';

import { identityHeaders } from '../../src/decision/identity-headers.ts';
import type { RequestHead } from '../../src/http/request-head.ts';
import { createReverseProxy } from '../../src/proxy/reverse-proxy.ts';
import { type EchoApplication, type Seen, startEchoApplication } from '../support/echo-application.ts';
import { exchange, type HeaderLine, type RawAnswer, requestBytes } from '../support/raw-http.ts';

/** Our own reverse proxy before a real application; the decision is a fake that reads the path. */
describe('the reverse proxy', () => {
  let application: EchoApplication;
  let proxy: Awaited<ReturnType<typeof createReverseProxy>>;
  let server: Server;
  let port: number;
  const asked: RequestHead[] = [];

  const john = identityHeaders({ username: 'john', displayName: 'Jöhn', emails: [], groups: ['dev'] });
  beforeAll(async () => {
    application = await startEchoApplication('app');
    proxy = await createReverseProxy({
      host: 'app.example.com',
      upstream: `http://127.0.0.1:${application.port}`,
      cookieNames: ['__Secure-sallyport'],
      authorize(head) {
        asked.push(head);
        return head.header('x-forwarded-uri')?.startsWith('/denied')
          ? {
              status: 403,
              headers: ['Content-Type', 'text/plain', 'Cache-Control', 'no-store'],
              body: '403 Forbidden\n',
            }
          : { status: 200, headers: [...john, 'Content-Length', '0'], body: '' };
      },
    });
    server = createServer((request, response) => proxy.handle(request, response));
    server.on('upgrade', (request, socket, head) => proxy.upgrade?.(request, socket, head));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await proxy.close();
    await application.close();
  });

  const ask = (
    method: string,
    target: string,
    headers: readonly HeaderLine[] = [],
    body = '',
  ): Promise<RawAnswer> =>
    exchange({ port }, requestBytes(method, target, [['Host', 'app.example.com'], ...headers], body));
  const seenBy = (answer: RawAnswer): Seen => JSON.parse(answer.body.toString()) as Seen;
  const valuesOf = (seen: Seen, name: string): string[] =>
    seen.headers
      .filter(([other]) => other.toLowerCase().replaceAll('_', '-') === name)
      .map(([, value]) => value);

  test('decides first: what is denied never reaches the application', async () => {
    const before = application.arrivals;
    const answer = await ask('POST', '/denied/x?y=1', [['Content-Type', 'text/plain']], 'body');
    expect(answer.status).toBe(403);
    expect(answer.header('cache-control')).toBe('no-store');
    expect(application.arrivals).toBe(before);
    const head = asked.at(-1);
    expect(head?.header('x-forwarded-uri')).toBe('/denied/x?y=1');
    expect(head?.header('x-forwarded-method')).toBe('POST');
    expect(head?.header('x-forwarded-host')).toBe('app.example.com');
  });

  test('passes on target, method, body and cookies, and says who it is', async () => {
    const body = 'x'.repeat(200_000);
    const answer = await ask(
      'PUT',
      '/a%20b/c?d=%26&e',
      [
        ['Content-Type', 'application/octet-stream'],
        ['Cookie', 'theme=dark; __Secure-sallyport=secret; lang=en'],
      ],
      body,
    );
    const seen = seenBy(answer);
    expect([seen.method, seen.target, seen.bodyLength]).toEqual(['PUT', '/a%20b/c?d=%26&e', body.length]);
    expect(valuesOf(seen, 'cookie')).toEqual(['theme=dark; lang=en']);
    expect(valuesOf(seen, 'remote-user')).toEqual(['john']);
    expect(valuesOf(seen, 'remote-name')).toEqual(['Jöhn']);
    expect(valuesOf(seen, 'host')).toEqual(['app.example.com']);
  });

  test('nothing that a client says about itself arrives, in no spelling', async () => {
    const forged: HeaderLine[] = [
      ['Remote-User', 'root'],
      ['remote_user', 'root'],
      ['REMOTE_GROUPS', 'root'],
      ['X-Forwarded-For', '10.0.0.1'],
      ['X_Forwarded_Host', 'root'],
      ['Forwarded', 'for=root'],
      ['X-Real-Ip', 'root'],
      ['Connection', 'close, Remote-User, X-Forwarded-For'],
    ];
    const seen = seenBy(await ask('GET', '/', forged));
    expect(JSON.stringify(seen)).not.toContain('root');
    expect(valuesOf(seen, 'remote-user')).toEqual(['john']);
    expect(valuesOf(seen, 'x-forwarded-for')).toEqual(['127.0.0.1']);
  });

  test("an application's own status is its own", async () => {
    for (const status of [401, 403, 500]) expect((await ask('GET', `/status/${status}`)).status).toBe(status);
  });

  test('WebSockets are decided and carried', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, {
      headers: { Host: 'app.example.com', Remote_User: 'root' },
    });
    const [first] = (await once(socket, 'message')) as [Buffer];
    const seen = JSON.parse(first.toString()) as Seen;
    expect(valuesOf(seen, 'remote-user')).toEqual(['john']);
    socket.send('hello');
    const [echo] = (await once(socket, 'message')) as [Buffer];
    expect(echo.toString()).toBe('hello');
    socket.terminate();

    const refused = new WebSocket(`ws://127.0.0.1:${port}/denied`, { headers: { Host: 'app.example.com' } });
    const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(403);
    refused.on('error', () => {});
    refused.terminate();
  });

  test('an application that is gone is a 502', async () => {
    const gone = await createReverseProxy({
      host: 'gone.example.com',
      upstream: 'http://127.0.0.1:1',
      cookieNames: [],
      authorize: () => ({ status: 200, headers: [...john], body: '' }),
    });
    const front = createServer((request, response) => gone.handle(request, response));
    front.listen(0, '127.0.0.1');
    await once(front, 'listening');
    const { port: frontPort } = front.address() as AddressInfo;
    const answer = await exchange(
      { port: frontPort },
      requestBytes('GET', '/', [['Host', 'gone.example.com']]),
    );
    expect(answer.status).toBe(502);
    front.close();
    await gone.close();
  });
});
