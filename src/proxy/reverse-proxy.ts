import type { IncomingMessage, ServerResponse } from 'node:http';

import httpProxy from '@fastify/http-proxy';
import { fastify, type FastifyRequest } from 'fastify';

import type { Authorize } from '../forward-auth/authorize.ts';
import type { Answer } from '../forward-auth/respond.ts';
import type { HeaderName, RequestHead } from '../http/request-head.ts';
import type { Mount } from '../http/route.ts';

/**
 * Sallyport's own small reverse proxy: one site in front of one application, every request decided first, in this process.
 * What a client says about its identity never reaches the application, nor does the session cookie.
 */
export interface ReverseProxyOptions {
  /** The site's host: lower case, without port. */
  readonly host: string;
  /** The application, for example `http://127.0.0.1:8080`. */
  readonly upstream: string;
  /** Cookies that are the gateway's own. */
  readonly cookieNames: readonly string[];
  readonly authorize: Authorize;
}

/** Ours to say, and nobody else's, in whatever spelling. */
const IDENTITY: ReadonlySet<string> = new Set([
  'remote-user',
  'remote-groups',
  'remote-name',
  'remote-email',
]);
/** Said by this proxy, from the connection. */
const FORWARDING = [
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-forwarded-method',
  'x-forwarded-uri',
];
const OWN: ReadonlySet<string> = new Set([
  ...IDENTITY,
  ...FORWARDING,
  'forwarded',
  'x-real-ip',
  'session-username',
]);

const DECISIONS = new WeakMap<IncomingMessage, Answer>();

export async function createReverseProxy(
  options: ReverseProxyOptions,
): Promise<Mount & { close(): Promise<void> }> {
  const { authorize } = options;
  const app = fastify({ logger: false, bodyLimit: Number.MAX_SAFE_INTEGER });

  app.addHook('onRequest', async (request, reply) => {
    const answer = await authorize(headOf(request.raw));
    if (answer.status === 200) {
      DECISIONS.set(request.raw, answer);
      return;
    }
    for (let i = 0; i < answer.headers.length; i += 2) {
      reply.header(answer.headers[i] as string, answer.headers[i + 1]);
    }
    await reply.code(answer.status).send(answer.body);
  });

  app.setErrorHandler((error, _request, reply) => {
    const status = (error as { statusCode?: number }).statusCode ?? 500;
    const text = status >= 500 ? '502 Bad Gateway: the application does not answer' : `${status} Bad Request`;
    void reply
      .code(status >= 500 ? 502 : status)
      .header('Cache-Control', 'no-store')
      .type('text/plain; charset=utf-8')
      .send(`${text}\n`);
  });

  const rewriteRequestHeaders = (
    request: FastifyRequest,
    headers: Record<string, unknown>,
  ): Record<string, string> => forwarded(request.raw, headers, options.cookieNames);
  await app.register(httpProxy, {
    upstream: options.upstream,
    websocket: true,
    disableCache: true,
    replyOptions: {
      rewriteRequestHeaders: (request, headers) => rewriteRequestHeaders(request as FastifyRequest, headers),
    },
    // The library's types know fewer options of WebSockets than the library.
    wsClientOptions: {
      rewriteRequestHeaders: (headers: Record<string, unknown>, request: FastifyRequest) =>
        rewriteRequestHeaders(request, headers),
    } as object,
  });
  await app.ready();

  return {
    host: options.host,
    handle: (request: IncomingMessage, response: ServerResponse) => app.routing(request, response),
    upgrade: (request, socket, head) => void app.server.emit('upgrade', request, socket, head),
    close: () => app.close(),
  };
}

/** The question that a proxy would ask about this request, without the detour over a connection. */
function headOf(request: IncomingMessage): RequestHead {
  const { headers } = request;
  const values: Partial<Record<HeaderName, string | undefined>> = {
    'x-forwarded-method': request.method,
    'x-forwarded-proto': 'https',
    'x-forwarded-host': headers.host,
    'x-forwarded-uri': request.url,
    'x-forwarded-for': request.socket.remoteAddress,
    cookie: headers.cookie,
    accept: headers.accept,
    authorization: headers.authorization,
    'x-requested-with': headers['x-requested-with'] as string | undefined,
  };
  return {
    method: 'GET',
    target: '/api/authz/forward-auth',
    peer: '127.0.0.1',
    secure: true,
    header: (name) => values[name],
    flaw: () => undefined,
  };
}

/** What the application is told: the client's headers without ours, then ours. */
function forwarded(
  request: IncomingMessage,
  headers: Record<string, unknown>,
  cookieNames: readonly string[],
): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (OWN.has(name.toLowerCase().replaceAll('_', '-')) || value === undefined) continue;
    out[name] = Array.isArray(value) ? value.join(', ') : (value as string);
  }
  if (out.cookie !== undefined) {
    const kept = out.cookie
      .split(';')
      .filter((pair) => !cookieNames.includes(pair.split('=', 1)[0]?.trim() ?? ''));
    if (kept.length > 0) out.cookie = kept.join(';').trim();
    else delete out.cookie;
  }
  const decided = DECISIONS.get(request)?.headers ?? [];
  for (let i = 0; i < decided.length; i += 2) {
    const name = (decided[i] as string).toLowerCase();
    if (IDENTITY.has(name)) out[name] = decided[i + 1] as string;
  }
  return {
    ...out,
    host: request.headers.host ?? '',
    'x-forwarded-for': request.socket.remoteAddress ?? '',
    'x-forwarded-host': request.headers.host ?? '',
    'x-forwarded-proto': 'https',
  };
}
