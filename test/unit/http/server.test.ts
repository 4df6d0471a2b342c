import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { GatewayError } from '../../../src/http/errors.ts';
import { ok, seeOther, text } from '../../../src/http/reply.ts';
import type { RequestHead } from '../../../src/http/request-head.ts';
import type { Mount, Route, RouteRequest } from '../../../src/http/route.ts';
import { createHttpServer, type HttpContent, type HttpServer } from '../../../src/http/server.ts';
import { createTrustedProxies } from '../../../src/http/trusted-proxies.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Logger } from '../../../src/lib/logger.ts';
import { StoreUnavailable } from '../../../src/sessions/store.ts';
import { seededRandom } from '../../support/fake-clock.ts';
import { ask, openWire } from '../../support/wire.ts';

let logged: string[] = [];
const logger: Logger = {
  trace() {},
  debug() {},
  info() {},
  warn: (_fields, message) => void logged.push(message),
  error: (_fields, message) => void logged.push(message),
  child: () => logger,
  isEnabled: () => false,
};

let seen: RouteRequest[] = [];
let heads: RequestHead[] = [];
const note = (request: RouteRequest) => {
  seen.push(request);
  return ok({ path: request.path });
};

const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/',
    kind: 'page',
    handle: (request) => (seen.push(request), text(200, 'front page')),
  },
  { method: 'GET', path: '/api/state', kind: 'json', handle: note },
  { method: 'POST', path: '/api/state', kind: 'json', handle: note },
  { method: 'POST', path: '/api/firstfactor', kind: 'json', handle: note },
  { method: 'POST', path: '/api/small', kind: 'json', limit: 10, handle: note },
  {
    method: 'POST',
    path: '/form/login',
    kind: 'form',
    handle: (request) => (seen.push(request), seeOther('/')),
  },
  { method: 'GET', path: '/static/*', kind: 'asset', handle: () => text(200, 'bytes') },
  { method: 'GET', path: '/api/guarded', kind: 'json', guard: () => text(403, 'no'), handle: note },
  {
    method: 'GET',
    path: '/api/bug',
    kind: 'json',
    handle() {
      throw new TypeError('a secret detail');
    },
  },
  {
    method: 'GET',
    path: '/api/down',
    kind: 'json',
    handle: () => Promise.reject(new StoreUnavailable('a secret detail')),
  },
  {
    method: 'GET',
    path: '/bug',
    kind: 'page',
    handle() {
      throw new TypeError('a secret detail');
    },
  },
  ...(['json', 'page'] as const).map((kind): Route => ({
    method: 'GET',
    path: kind === 'json' ? '/api/often' : '/often',
    kind,
    handle() {
      throw new GatewayError('too-many-requests', undefined, { retryAfter: 60 });
    },
  })),
  {
    method: 'GET',
    path: '/forbidden',
    kind: 'page',
    handle() {
      throw new GatewayError('forbidden');
    },
  },
];

let authorize: HttpContent['authorize'];
const answer = (status: number, body = '') => ({
  status,
  headers: ['X-Order', String(status), 'Content-Length', String(Buffer.byteLength(body))],
  body,
});

const content = (mounts: readonly Mount[] = []): HttpContent => ({
  authorize: (head) => {
    heads.push(head);
    return authorize(head);
  },
  routes,
  mounts,
  trustedProxies: createTrustedProxies(undefined),
  problem: (request, status) => ({
    status,
    headers: { 'Content-Type': 'text/html; charset=utf-8', 'Content-Security-Policy': 'of the page' },
    body: `<p>problem ${status} ${request.path}</p>`,
  }),
});

let server: HttpServer;
let port: number;
async function start(options: { mounts?: readonly Mount[]; basePath?: string; maxHeaderSize?: number } = {}) {
  server = await createHttpServer(
    {
      tls: null,
      requireClientCertificate: false,
      basePath: options.basePath ?? '',
      maxHeaderSize: options.maxHeaderSize ?? 4096,
      idleTimeout: 1000,
    },
    content(options.mounts),
    { logger, random: seededRandom('server'), clock: systemClock },
  );
  await server.listen({ host: '127.0.0.1', port: 0 });
  port = (server.server.address() as AddressInfo).port;
}

beforeEach(async () => {
  seen = [];
  heads = [];
  logged = [];
  authorize = () => answer(200);
  await start();
});
afterEach(async () => {
  await server.close(0);
});
const restart = async (options: Parameters<typeof start>[0]): Promise<void> => {
  await server.close(0);
  await start(options);
};

const JSON_TYPE = ['Content-Type', 'application/json'] as const;
const FORM_TYPE = ['Content-Type', 'application/x-www-form-urlencoded'] as const;
const SAME = ['Sec-Fetch-Site', 'same-origin'] as const;

describe('routes', () => {
  test('every answer but assets is not kept, and none is framed or sniffed', async () => {
    for (const target of ['/', '/api/state', '/nowhere', '/api/nowhere', '/api/bug']) {
      const got = await ask(port, 'GET', target);
      expect(got.header('cache-control'), target).toBe('no-store');
      expect(got.header('x-content-type-options'), target).toBe('nosniff');
      expect(got.header('x-frame-options'), target).toBe('DENY');
      expect(got.header('content-security-policy'), target).toBeDefined();
      expect(got.header('x-request-id'), target).toMatch(/^[\w-]{12}$/);
      expect(got.all('set-cookie'), target).toEqual([]);
    }
    expect((await ask(port, 'GET', '/static/a.js')).header('cache-control')).toBeUndefined();
  });

  test('another method is 405 with Allow', async () => {
    const table = [
      ['POST', '/', 'GET, HEAD'],
      ['DELETE', '/', 'GET, HEAD'],
      ['PUT', '/api/state', 'GET, HEAD, POST'],
      ['GET', '/api/firstfactor', 'POST'],
      ['HEAD', '/api/firstfactor', 'POST'],
      ['OPTIONS', '/api/firstfactor', 'POST'],
      ['PATCH', '/api/state', 'GET, HEAD, POST'],
      ['GET', '/form/login', 'POST'],
      ['PROPFIND', '/api/state', 'GET, HEAD, POST'],
      ['TRACE', '/', 'GET, HEAD'],
      ['POST', '/static/a.js', 'GET, HEAD'],
    ] as const;
    for (const [method, target, allow] of table) {
      const got = await ask(
        port,
        method,
        target,
        method === 'POST' ? [SAME, JSON_TYPE] : [],
        method === 'POST' ? '{}' : '',
      );
      expect([got.status, got.header('allow')], `${method} ${target}`).toEqual([405, allow]);
    }
    expect(seen).toEqual([]);
  });

  test('an unknown path is a page for people and a line of text for programs', async () => {
    for (const target of ['/nowhere', '/apis', '/api2/x', '/Api/state', '/favicon.ico']) {
      const got = await ask(port, 'GET', target);
      expect([got.status, got.header('content-type')], target).toEqual([404, 'text/html; charset=utf-8']);
      expect(got.header('content-security-policy')).toBe('of the page');
    }
    for (const target of [
      '/api',
      '/api/',
      '/api/nowhere',
      '/api/state/',
      '/api/STATE',
      '/api//state',
      '/static',
      '/locales/x',
      '/.well-known/x',
      '/debug/vars',
      '/metrics',
    ]) {
      const got = await ask(port, 'GET', target);
      expect([got.status, got.header('content-type')], target).toEqual([404, 'text/plain; charset=utf-8']);
      expect(got.body.toString(), target).toBe('404 Not Found\n');
    }
  });

  test('a route has one spelling', async () => {
    for (const target of [
      '/api/%73tate',
      '/api%2fstate',
      '//api/state',
      '/api/./state',
      '/api/x/../state',
      '/api/state;a=b',
      '/api/state%00',
      '/api/state%',
      '/api\\state',
    ]) {
      const got = await ask(port, 'GET', target);
      expect([400, 404], target).toContain(got.status);
    }
    expect(seen).toEqual([]);
    expect((await ask(port, 'GET', '/api/state?a=%73')).status).toBe(200);
  });

  test('HEAD is GET without a body', async () => {
    const [got, head] = [await ask(port, 'GET', '/'), await ask(port, 'HEAD', '/')];
    expect(head.status).toBe(200);
    expect(head.body).toHaveLength(0);
    expect(head.header('content-length')).toBe(got.header('content-length'));
    expect((await ask(port, 'HEAD', '/nowhere')).status).toBe(404);
  });

  test('a guard answers in the place of the route', async () => {
    expect((await ask(port, 'GET', '/api/guarded')).status).toBe(403);
    expect(seen).toEqual([]);
  });

  test('a bug is 500, an outage 503 with Retry-After, and neither says more', async () => {
    const bug = await ask(port, 'GET', '/api/bug');
    expect([bug.status, bug.body.toString()]).toEqual([
      500,
      '{"status":"KO","message":"Internal Server Error"}',
    ]);
    const down = await ask(port, 'GET', '/api/down');
    expect([down.status, down.header('retry-after')]).toEqual([503, '2']);
    expect(down.body.toString()).toBe('{"status":"KO","message":"Service Unavailable"}');
    const page = await ask(port, 'GET', '/bug');
    expect([page.status, page.body.toString()]).toEqual([500, '<p>problem 500 /bug</p>']);
    expect((await ask(port, 'GET', '/forbidden')).body.toString()).toBe('<p>problem 403 /forbidden</p>');
    expect(logged).toEqual(['Internal Server Error', 'Service Unavailable', 'Internal Server Error']);
  });

  test('who asks too often is told when to come again, by both doors', async () => {
    for (const [path, body] of [
      ['/api/often', '{"status":"KO","message":"Too Many Requests"}'],
      ['/often', '<p>problem 429 /often</p>'],
    ] as const) {
      const often = await ask(port, 'GET', path);
      expect([often.status, often.header('retry-after'), often.body.toString()]).toEqual([429, '60', body]);
      expect(often.header('cache-control')).toContain('no-store');
    }
    expect(logged).toEqual([]);
  });
});

describe('bodies', () => {
  const post = (target: string, headers: Parameters<typeof ask>[3] = [], body = '') =>
    ask(port, 'POST', target, headers, body);

  test('JSON arrives as a value', async () => {
    expect((await post('/api/firstfactor', [JSON_TYPE], '{"a":[1,null,"ü"]}')).status).toBe(200);
    expect(seen[0]?.body).toEqual({ a: [1, null, 'ü'] });
    await post('/api/firstfactor', [['Content-Type', 'Application/JSON; charset=utf-8']], '5');
    expect(seen[1]?.body).toBe(5);
    await post('/api/firstfactor', [JSON_TYPE, ['Content-Length', '0']]);
    expect(seen[2]?.body).toBeUndefined();
  });

  test('a form arrives as its fields', async () => {
    expect((await post('/form/login', [SAME, FORM_TYPE], 'a=1&a=2&b=%C3%BC+x&__proto__=y')).status).toBe(303);
    const form = seen[0]?.body as URLSearchParams;
    expect(form.getAll('a')).toEqual(['1', '2']);
    expect(form.get('b')).toBe('ü x');
  });

  test('JSON routes take JSON only, form routes forms only', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/plain; application/json',
      'application/jsonp',
      '',
    ]) {
      const got = await post('/api/firstfactor', [SAME, ['Content-Type', type]], '{}');
      expect(got.status, type).toBe(415);
      expect(JSON.parse(got.body.toString())).toMatchObject({ status: 'KO' });
    }
    for (const type of ['text/plain', 'application/json', 'multipart/form-data; boundary=x']) {
      const got = await post('/form/login', [SAME, ['Content-Type', type]], '{}');
      expect([got.status, got.header('content-type')], type).toEqual([415, 'text/html; charset=utf-8']);
    }
    expect((await post('/api/firstfactor', [SAME], '{}')).status).toBe(415);
    expect((await post('/api/firstfactor', [SAME])).status).toBe(415);
    expect(seen).toEqual([]);
  });

  test('malformed JSON is 400', async () => {
    for (const body of [
      '{',
      '{"a":}',
      '{"a":1}}',
      'undefined',
      "{'a':1}",
      '\0',
      '{"a":1,}',
      'NaN',
      '[1',
      '"',
    ]) {
      const got = await post('/api/firstfactor', [JSON_TYPE], body);
      expect([got.status, JSON.parse(got.body.toString())], body).toEqual([
        400,
        { status: 'KO', message: 'The body cannot be read.' },
      ]);
    }
    expect(seen).toEqual([]);
    expect(logged).toEqual([]);
  });

  test('keys that would reach a prototype are ignored', async () => {
    await post(
      '/api/firstfactor',
      [JSON_TYPE],
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":1}',
    );
    const body = seen[0]?.body as object;
    expect(Object.keys(body)).not.toContain('__proto__');
    expect(Object.getPrototypeOf(body)).toBe(Object.prototype);
    expect('polluted' in {}).toBe(false);
    await post('/api/firstfactor', [JSON_TYPE], '{"a":{"\\u005f_proto__":{"polluted":1}}}');
    expect('polluted' in {}).toBe(false);
    expect((seen[1]?.body as { a: object } | undefined)?.a ?? {}).not.toHaveProperty('polluted');
  });

  test('deep nesting does no harm', async () => {
    const got = await post('/api/firstfactor', [JSON_TYPE], `${'['.repeat(8000)}${']'.repeat(8000)}`);
    expect([200, 400]).toContain(got.status);
    expect((await ask(port, 'GET', '/api/state')).status).toBe(200);
  });

  test('too large is 413, whether it is announced or not', async () => {
    const fits = JSON.stringify('x'.repeat(16 * 1024 - 2));
    expect((await post('/api/firstfactor', [JSON_TYPE], fits)).status).toBe(200);
    expect((await post('/api/firstfactor', [JSON_TYPE], `${fits} `)).status).toBe(413);
    const announced = await openWire(port);
    announced.send(
      'POST /api/firstfactor HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n',
    );
    await announced.until(/^HTTP\/1\.1 413 /);
    announced.socket.destroy();
    const chunks = `${'1000\r\n' + ' '.repeat(4096)}\r\n`.repeat(5);
    expect(
      (await post('/api/firstfactor', [JSON_TYPE, ['Transfer-Encoding', 'chunked']], `${chunks}0\r\n\r\n`))
        .status,
    ).toBe(413);
    expect((await post('/api/small', [JSON_TYPE], '"12345678"')).status).toBe(200);
    expect((await post('/api/small', [JSON_TYPE], '"123456789"')).status).toBe(413);
    const form = await post('/form/login', [SAME, FORM_TYPE], 'x'.repeat(16 * 1024 + 1));
    expect([form.status, form.header('content-type')]).toEqual([413, 'text/html; charset=utf-8']);
  });
});

describe('who may change something', () => {
  const statusOf = async (...headers: NonNullable<Parameters<typeof ask>[3]>): Promise<number> =>
    (await ask(port, 'POST', '/api/firstfactor', [JSON_TYPE, ...headers], '{}')).status;
  const form = async (...headers: NonNullable<Parameters<typeof ask>[3]>): Promise<number> =>
    (await ask(port, 'POST', '/form/login', [FORM_TYPE, ...headers], 'a=b')).status;

  test('the portal itself, by the names that a trusted proxy says it was reached under', async () => {
    const proxy = [
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', 'portal.example.com'],
    ] as const;
    expect(await statusOf(...proxy, ['Origin', 'https://portal.example.com'])).toBe(200);
    expect(await statusOf(...proxy, ['Origin', 'https://auth.example.com'])).toBe(403);
    expect(await statusOf(...proxy, ['Origin', 'http://portal.example.com'])).toBe(403);
    expect(await statusOf(['X-Forwarded-Proto', 'https'], ['Origin', 'https://auth.example.com'])).toBe(200);
    expect(
      await statusOf(
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'a.example.com:443'],
        ['Origin', 'https://a.example.com'],
      ),
    ).toBe(200);
    expect(
      await statusOf(
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'a.example.com:8443'],
        ['Origin', 'https://a.example.com:8443'],
      ),
    ).toBe(200);
    expect(await statusOf(['Origin', 'http://auth.example.com'])).toBe(200);
  });

  test('not another site', async () => {
    for (const site of ['cross-site', 'same-site', 'none']) {
      expect(await statusOf(['Sec-Fetch-Site', site]), site).toBe(403);
      expect(await form(['Sec-Fetch-Site', site], ['Origin', 'http://auth.example.com']), site).toBe(403);
    }
    expect(await statusOf(['Origin', 'https://evil.com'])).toBe(403);
    expect(await statusOf(['Origin', 'null'])).toBe(403);
    expect(await statusOf(SAME, ['Origin', 'https://evil.com'])).toBe(403);
    expect(await statusOf(SAME, ['Sec-Fetch-Site', 'cross-site'])).toBe(403);
    expect(await statusOf(['Origin', 'http://auth.example.com'], ['Origin', 'https://evil.com'])).toBe(403);
    expect(seen).toEqual([]);
  });

  test('a form needs a word of the browser; JSON without any is no browser', async () => {
    expect(await form()).toBe(403);
    expect(await form(SAME)).toBe(303);
    expect(await form(['Origin', 'http://auth.example.com'])).toBe(303);
    expect(await statusOf()).toBe(200);
    expect((await ask(port, 'POST', '/api/firstfactor', [['Content-Type', 'text/plain']], '{}')).status).toBe(
      403,
    );
  });

  test('a host or scheme that is none is 400, as JSON and as a page', async () => {
    for (const header of [
      ['X-Forwarded-Proto', 'ftp'],
      ['X-Forwarded-Proto', 'https, http'],
      ['X-Forwarded-Host', '<script>'],
      ['X-Forwarded-Host', 'a b'],
      ['X-Forwarded-Host', ''],
      ['X-Forwarded-For', 'nonsense'],
      ['Host', 'a@b'],
    ] as const) {
      const what = header.join(': ');
      expect(await statusOf(header), what).toBe(400);
      const page = await ask(port, 'GET', '/', [header]);
      expect([page.status, page.header('content-type')], what).toEqual([400, 'text/html; charset=utf-8']);
      expect(page.body.toString(), what).not.toContain('script');
      expect((await ask(port, 'GET', '/nowhere', [header])).status, what).toBe(404);
    }
    expect(await statusOf(['X-Forwarded-Host', 'a.example.com'], ['X-Forwarded-Host', 'b.example.com'])).toBe(
      400,
    );
    expect(seen).toEqual([]);
    expect(logged).toEqual([]);
  });
});

test('a route sees how the browser reached us, and from where', async () => {
  await ask(port, 'GET', '/api/state?a=1&a=2', [
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'Portal.Example.com:443'],
    ['X-Forwarded-For', '1.1.1.1'],
    ['X-Forwarded-For', '203.0.113.5'],
    ['X-Multi', 'a'],
    ['X-Multi', 'b'],
  ]);
  expect(seen[0]).toMatchObject({
    method: 'GET',
    path: '/api/state',
    ip: '203.0.113.5',
    scheme: 'https',
    host: 'portal.example.com',
    body: undefined,
  });
  expect(seen[0]?.query.getAll('a')).toEqual(['1', '2']);
  expect(seen[0]?.header('x-multi')).toBe('a, b');
  expect(seen[0]?.header('x-none')).toBeUndefined();
  await ask(port, 'GET', '/api/state');
  expect(seen[1]).toMatchObject({ ip: '127.0.0.1', scheme: 'http', host: 'auth.example.com' });
});

test('below the base path as well as at the root', async () => {
  await restart({ basePath: '/sso' });
  const table = [
    ['/sso', '/'],
    ['/sso/', '/'],
    ['/sso?rd=x', '/'],
    ['/', '/'],
    ['/sso/api/state', '/api/state'],
    ['/sso/api/state?x=/sso/', '/api/state'],
    ['/api/state', '/api/state'],
  ] as const;
  for (const [target, path] of table) {
    seen = [];
    expect((await ask(port, 'GET', target)).status, target).toBe(200);
    expect(seen[0]?.path, target).toBe(path);
  }
  for (const target of ['/ssoapi/state', '/sso/sso/api/state', '/SSO/api/state', '/sso//api/state']) {
    expect((await ask(port, 'GET', target)).status, target).toBe(404);
  }
  await ask(port, 'GET', '/sso/api/authz/forward-auth?a=b');
  expect(heads[0]?.target).toBe('/api/authz/forward-auth?a=b');
});

describe('authorization paths', () => {
  test('reach the decision before any route, with every method', async () => {
    for (const target of [
      '/api/authz/forward-auth',
      '/api/authz/',
      '/api/authz/x/y?z',
      '/api/verify',
      '/api/verify?a=b',
      '/api/verify/x',
    ]) {
      heads = [];
      expect((await ask(port, 'GET', target)).status, target).toBe(200);
      expect(heads.map((head) => head.target)).toEqual([target]);
    }
    for (const target of ['/api/verifyx', '/api/authz', '/API/verify', '/x/api/verify', '//api/verify']) {
      heads = [];
      expect((await ask(port, 'GET', target)).status, target).toBe(404);
      expect(heads, target).toEqual([]);
    }
    for (const method of ['POST', 'PUT', 'OPTIONS', 'DELETE', 'PROPFIND', 'HEAD']) {
      expect(
        (
          await ask(
            port,
            method,
            '/api/verify',
            [['X-Forwarded-Method', 'x']],
            method === 'HEAD' ? '' : 'a body',
          )
        ).status,
        method,
      ).toBe(200);
    }
  });

  test('a decision that fails is 500, never 2xx', async () => {
    authorize = () => {
      throw new Error('a bug');
    };
    const got = await ask(port, 'GET', '/api/verify');
    expect([got.status, got.body.toString(), got.header('cache-control')]).toEqual([500, '', 'no-store']);
    authorize = () => Promise.reject(new Error('a bug'));
    expect((await ask(port, 'GET', '/api/verify')).status).toBe(500);
    expect(logged).toHaveLength(2);
  });

  test('headers reach the decision as they were sent', async () => {
    await ask(port, 'GET', '/api/verify', [
      ['x-FORWARDED-host', 'a.example.com'],
      ['X-Forwarded-Host', 'b.example.com'],
      ['X_Original_URL', 'x'],
      ['__proto__', 'x'],
      ['Cookie', 'a=b'],
      ['Cookie', 'c=d'],
    ]);
    const [head] = heads;
    expect(head?.flaw('x-forwarded-host')).toBe('repeated');
    expect(head?.flaw('x-original-url')).toBe('aliased');
    expect(head?.header('cookie')).toBe('a=b; c=d');
    expect(head?.peer).toBe('127.0.0.1');
    expect(head?.secure).toBe(false);
  });

  test('the answer of HEAD has no body, and the connection goes on', async () => {
    authorize = () => answer(403, 'no\n');
    const wire = await openWire(port);
    wire.send('HEAD /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
    await wire.until(/\r\n\r\n/);
    wire.send('GET /api/verify HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const all = await wire.closed();
    expect(all.match(/HTTP\/1\.1 403/g)).toHaveLength(2);
    expect(all.split('\r\n\r\n')[1]).toMatch(/^HTTP\/1\.1/);
    expect(all.endsWith('no\n')).toBe(true);
  });

  test('pipelined requests are answered in their order', async () => {
    const delays = [30, 0, 10, 0];
    let count = 0;
    authorize = () => {
      const i = count++;
      const delay = delays[i] ?? 0;
      if (delay === 0) return answer(200 + i);
      return new Promise((resolve) => setTimeout(() => resolve(answer(200 + i)), delay));
    };
    const wire = await openWire(port);
    const request = 'GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n';
    wire.send(request.repeat(3) + request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    const all = await wire.closed();
    expect([...all.matchAll(/X-Order: (\d+)/g)].map(([, order]) => order)).toEqual([
      '200',
      '201',
      '202',
      '203',
    ]);
  });

  test('a pipelined mix of routes and decisions keeps its order too', async () => {
    const wire = await openWire(port);
    wire.send(
      'GET /api/state HTTP/1.1\r\nHost: a\r\n\r\nGET /api/verify HTTP/1.1\r\nHost: a\r\n\r\nGET /api/nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    const all = await wire.closed();
    expect([...all.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '200', '404']);
    expect(all.indexOf('X-Order')).toBeGreaterThan(all.indexOf('"/api/state"'));
  });

  test('a body that nobody reads does not hold up the next request', async () => {
    const wire = await openWire(port);
    const body = 'x'.repeat(200_000);
    wire.send(`POST /api/verify HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    wire.send('GET /api/verify HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect((await wire.closed()).match(/HTTP\/1\.1 200/g)).toHaveLength(2);
  });

  test('an upgrade is a plain request', async () => {
    authorize = () => answer(401);
    const got = await ask(port, 'GET', '/api/verify', [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Key', 'x'],
      ['Sec-WebSocket-Version', '13'],
    ]);
    expect(got.status).toBe(401);
    expect(
      (
        await ask(port, 'GET', '/api/state', [
          ['Connection', 'Upgrade'],
          ['Upgrade', 'h2c'],
        ])
      ).status,
    ).toBe(200);
  });

  test('a slow request does not hold up others', async () => {
    const slow = await openWire(port);
    slow.send('GET /api/verify HTTP/1.1\r\nHost: a\r\nX-Forw');
    const body = await openWire(port);
    body.send(
      'POST /api/firstfactor HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"a"',
    );
    for (let i = 0; i < 20; i++) expect((await ask(port, 'GET', '/api/verify')).status).toBe(200);
    expect(slow.received()).toBe('');
    slow.send('arded-Host: b\r\nConnection: close\r\n\r\n');
    expect(await slow.closed()).toMatch(/^HTTP\/1\.1 200/);
    expect(heads.at(-1)?.header('x-forwarded-host')).toBe('b');
    body.socket.destroy();
  });
});

describe('a connection of authorizations', () => {
  const REQUEST = 'GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n';
  const statuses = (text: string): string[] =>
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status = '']) => status);

  test('takes any request at any time, in any pieces', async () => {
    const wire = await openWire(port);
    wire.send(REQUEST);
    await wire.until(/X-Order/);
    wire.send('GET /api/state HTTP/1.1\r\nHost: a\r\n\r\n');
    await wire.until(/"\/api\/state"/);
    wire.send(REQUEST.slice(0, 30));
    await new Promise((resolve) => void setImmediate(resolve));
    wire.send(REQUEST.slice(30));
    await wire.until(/X-Order[^]*X-Order/);
    wire.send('GET /api/nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(statuses(await wire.closed())).toEqual(['200', '200', '200', '404']);
    expect(heads).toHaveLength(2);
  });

  test('answers what comes too early in its order', async () => {
    const finish: (() => void)[] = [];
    authorize = () => new Promise((resolve) => finish.push(() => resolve(answer(200 + finish.length))));
    const wire = await openWire(port);
    wire.send(REQUEST);
    await expect.poll(() => heads.length).toBe(1);
    wire.send('GET /api/state HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await ask(port, 'GET', '/api/state');
    expect(wire.received()).toBe('');
    finish[0]?.();
    const all = await wire.closed();
    expect(all.indexOf('X-Order')).toBeLessThan(all.indexOf('"/api/state"'));
    expect(statuses(all)).toHaveLength(2);
  });

  test('ends with the answer where the client has said its last word', async () => {
    let finish = (): void => {};
    authorize = () => new Promise((resolve) => (finish = () => resolve(answer(200))));
    const wire = await openWire(port);
    wire.socket.end(REQUEST);
    await expect.poll(() => heads.length).toBe(1);
    finish();
    expect(statuses(await wire.closed())).toEqual(['200']);
  });

  test('of HTTP/1.0 ends with its answer', async () => {
    const wire = await openWire(port);
    wire.send('GET /api/verify HTTP/1.0\r\nX-Forwarded-Host: b\r\n\r\n');
    expect(await wire.closed()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\n$/);
    expect(heads[0]?.header('x-forwarded-host')).toBe('b');
  });

  test('has a date, and no header that would be two', async () => {
    authorize = () => ({ ...answer(200), headers: ['X-Name', 'a\r\nX-Other: b'] });
    const got = await ask(port, 'GET', '/api/verify');
    expect([got.status, got.header('x-other')]).toEqual([500, undefined]);
    expect(Date.parse(got.header('date') ?? '')).toBeGreaterThan(0);
    expect(logged).toHaveLength(1);
  });

  test('a body beyond ASCII has its length in bytes', async () => {
    authorize = () => answer(403, 'nö\n');
    const got = await ask(port, 'GET', '/api/verify');
    expect(got.body.toString()).toBe('nö\n');
  });

  test('of a client that does not take its answers ends at the deadline, and the server with it', async () => {
    const wire = await openWire(port);
    wire.socket.pause();
    authorize = () => answer(403, 'x'.repeat(100_000));
    for (let i = 0; i < 200; i++) wire.send(REQUEST);
    wire.send(REQUEST.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    await expect.poll(() => heads.length).toBeGreaterThan(1);
    await server.close(50);
    expect(server.server.listening).toBe(false);
    wire.socket.destroy();
  });

  test('of a client that is gone before it is looked at asks nothing', async () => {
    for (let i = 0; i < 20; i++) {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.write(REQUEST, () => socket.resetAndDestroy());
      await once(socket, 'close');
    }
    expect((await ask(port, 'GET', '/api/verify')).status).toBe(200);
    expect(heads.map(({ peer }) => peer)).not.toContain('');
  });

  test('that waits is ended when the server closes', async () => {
    const wire = await openWire(port);
    wire.send(REQUEST);
    await wire.until(/X-Order/);
    await server.close(5000);
    expect(await wire.closed()).toContain('X-Order');
  });

  test('a client that goes away in the midst does no harm', async () => {
    let finish = (): void => {};
    authorize = () => new Promise((resolve) => (finish = () => resolve(answer(200))));
    const wire = await openWire(port);
    wire.send(REQUEST);
    await expect.poll(() => heads.length).toBe(1);
    wire.socket.resetAndDestroy();
    await wire.closed();
    finish();
    authorize = () => answer(200);
    expect((await ask(port, 'GET', '/api/verify')).status).toBe(200);
    expect(logged).toEqual([]);
  });
});

describe('what is no request, or too much of one', () => {
  const raw = async (bytes: string): Promise<string> => {
    const wire = await openWire(port);
    wire.send(bytes);
    return wire.closed();
  };

  test('31 KiB of headers are fine whatever is configured; far more are 431', async () => {
    const filler = (bytes: number) => [['X-Filler', 'x'.repeat(bytes)]] as const;
    expect((await ask(port, 'GET', '/api/verify', filler(31 * 1024))).status).toBe(200);
    expect((await ask(port, 'GET', '/api/state', filler(31 * 1024))).status).toBe(200);
    const many = Array.from({ length: 600 }, (_, i) => [`X-Filler-${i}`, 'x'.repeat(30)] as const);
    expect((await ask(port, 'GET', '/api/verify', [...many, ['X-Forwarded-Uri', '/last']])).status).toBe(200);
    expect(heads.at(-1)?.header('x-forwarded-uri')).toBe('/last');
    const got = await ask(port, 'GET', '/api/verify', filler(65 * 1024));
    expect([got.status, got.header('connection'), got.header('cache-control')]).toEqual([
      431,
      'close',
      'no-store',
    ]);
  });

  test('more than 32 KiB where it is configured', async () => {
    await restart({ maxHeaderSize: 100_000 });
    expect((await ask(port, 'GET', '/api/verify', [['X-Filler', 'x'.repeat(90_000)]])).status).toBe(200);
  });

  test.each([
    ['a folded header line', 'GET /api/verify HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: a\r\n b\r\n\r\n'],
    ['lines ended by LF alone', 'GET /api/verify HTTP/1.1\nHost: a\n\n'],
    ['one line ended by LF alone', 'GET /api/verify HTTP/1.1\r\nHost: a\nX-Forwarded-Host: b\r\n\r\n'],
    ['CR inside of a line', 'GET /api/verify HTTP/1.1\r\nHost: a\rX-Forwarded-Host: b\r\n\r\n'],
    [
      'length and chunks',
      'POST /api/verify HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'chunks and length',
      'POST /api/verify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n',
    ],
    [
      'two lengths',
      'POST /api/verify HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
    ],
    [
      'two equal lengths',
      'POST /api/verify HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello',
    ],
    ['a negative length', 'POST /api/verify HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n'],
    ['a length with a sign', 'POST /api/verify HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello'],
    [
      'an unknown transfer coding',
      'POST /api/verify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n',
    ],
    ['a blank before the colon', 'GET /api/verify HTTP/1.1\r\nHost : a\r\n\r\n'],
    ['a NUL in a header', 'GET /api/verify HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: a\0b\r\n\r\n'],
    ['no host', 'GET /api/verify HTTP/1.1\r\n\r\n'],
    ['a blank in the target', 'GET /api/verify x HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['an unknown version', 'GET /api/verify HTTP/7.3\r\nHost: a\r\n\r\n'],
    ['an unknown method', 'OPEN /api/verify HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['noise', '\x00\x01\x02\x03\xff\xfe\r\n\r\n'],
  ])('%s', async (_, bytes) => {
    const all = await raw(bytes);
    expect(all).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(all).toMatch(/\r\nConnection: close\r\n/i);
    expect(heads).toEqual([]);
    expect((await ask(port, 'GET', '/api/verify')).status).toBe(200);
  });

  test('nothing is smuggled behind a bad chunk', async () => {
    const all = await raw(
      'POST /api/verify HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\nGET /api/verify?smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    expect(heads.filter((head) => head.target.includes('smuggled'))).toEqual([]);
    expect(all).not.toMatch(/HTTP\/1\.1 200[^]*HTTP\/1\.1 200/);
  });

  test('a client that goes away in the middle does no harm', async () => {
    for (const part of [
      '',
      'GET',
      'GET /api/verify HTTP/1.1\r\nHost: a',
      'POST /api/firstfactor HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
    ]) {
      const wire = await openWire(port);
      wire.send(part);
      wire.socket.resetAndDestroy();
    }
    authorize = () => new Promise((resolve) => setTimeout(() => resolve(answer(200)), 20));
    const wire = await openWire(port);
    wire.send('GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => heads.length).toBe(1);
    wire.socket.resetAndDestroy();
    expect((await ask(port, 'GET', '/api/verify')).status).toBe(200);
  });
});

describe('mounts', () => {
  const upgraded: string[] = [];
  const mount: Mount = {
    host: 'app.example.com',
    handle: (request, response) => response.end(`mounted ${request.url}`),
    upgrade(request, socket) {
      upgraded.push(request.url ?? '');
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
    },
  };

  test('have their host to themselves, whatever the path', async () => {
    await restart({ mounts: [mount] });
    for (const host of ['app.example.com', 'APP.example.com', 'app.example.com:8443']) {
      expect((await ask(port, 'GET', '/api/verify', [['Host', host]])).body.toString(), host).toBe(
        'mounted /api/verify',
      );
    }
    expect(heads).toEqual([]);
    for (const host of ['auth.example.com', 'app.example.com.evil.com', 'xapp.example.com']) {
      expect((await ask(port, 'GET', '/api/state', [['Host', host]])).header('content-type'), host).toContain(
        'json',
      );
    }
  });

  test('only they are asked for upgrades', async () => {
    await restart({ mounts: [mount, { host: 'plain.example.com', handle: mount.handle }] });
    const upgrade = [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'x'],
    ] as const;
    expect((await ask(port, 'GET', '/ws', [['Host', 'app.example.com'], ...upgrade])).status).toBe(101);
    expect(upgraded).toEqual(['/ws']);
    expect((await ask(port, 'GET', '/ws', [['Host', 'plain.example.com'], ...upgrade])).body.toString()).toBe(
      'mounted /ws',
    );
    authorize = () => answer(401);
    expect((await ask(port, 'GET', '/api/verify', upgrade)).status).toBe(401);
  });
});

describe('a change of what is served, and the end', () => {
  test('new content holds for the next request; one under way finishes with what it began with', async () => {
    let finish = (): void => {};
    authorize = () => new Promise((resolve) => (finish = () => resolve(answer(401))));
    const before = ask(port, 'GET', '/api/verify');
    await expect.poll(() => heads.length).toBe(1);
    await server.use({ ...content(), authorize: () => answer(403), routes: [] });
    expect((await ask(port, 'GET', '/api/verify')).status).toBe(403);
    expect((await ask(port, 'GET', '/api/state')).status).toBe(404);
    finish();
    expect((await before).status).toBe(401);
  });

  test('what is under way is answered with Connection: close, idle connections end, new ones are refused', async () => {
    let finish = (): void => {};
    authorize = () => new Promise((resolve) => (finish = () => resolve(answer(200))));
    const idle = await openWire(port);
    idle.send('GET /api/state HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.until(/"OK"/);
    const busy = await openWire(port);
    busy.send('GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => heads.length).toBe(1);
    const closing = server.close(5000);
    await idle.closed();
    await expect(openWire(port)).rejects.toThrow();
    finish();
    expect(await busy.closed()).toMatch(/HTTP\/1\.1 200 [^]*Connection: close/);
    await closing;
  });

  test('what proxies are about to send is answered, on kept and on new connections', async () => {
    authorize = () => answer(200);
    const kept = await Promise.all(['GET /api/state', 'GET /api/verify'].map(() => openWire(port)));
    for (const wire of kept) {
      wire.send('GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
      await wire.until(/HTTP\/1\.1 200/);
    }
    const closing = server.close(5000);
    const [plain, other] = kept;
    plain?.send('GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
    other?.send('GET /api/state HTTP/1.1\r\nHost: a\r\n\r\n');
    const late = await openWire(port);
    late.send('GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
    for (const wire of [plain, other, late])
      expect(await wire?.closed()).toMatch(/HTTP\/1\.1 200 [^]*Connection: close[^]*$/i);
    await closing;
    await expect(openWire(port)).rejects.toThrow();
  });

  test('what does not end is cut at the deadline', async () => {
    authorize = () => new Promise(() => {});
    const busy = await openWire(port);
    busy.send('GET /api/verify HTTP/1.1\r\nHost: a\r\n\r\n');
    await expect.poll(() => heads.length).toBe(1);
    const start = performance.now();
    await server.close(50);
    expect(performance.now() - start).toBeLessThan(2000);
    await busy.closed();
  });

  test('a port that is taken is an error of listen', async () => {
    const other = await createHttpServer(
      { tls: null, requireClientCertificate: false, basePath: '', maxHeaderSize: 0, idleTimeout: 0 },
      content(),
      { logger, random: seededRandom('other'), clock: systemClock },
    );
    await expect(other.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});
