import type { IncomingMessage, ServerResponse } from 'node:http';

import { fastify, type FastifyReply, type FastifyRequest } from 'fastify';

import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import { isOwnRequest } from './csrf.ts';
import { GatewayError } from './errors.ts';
import { ko, text } from './reply.ts';
import type { Reply, Route, RouteRequest } from './route.ts';
import { noStore, nothingAllowed, securityHeaders } from './security-headers.ts';
import type { HttpContent } from './server.ts';

export interface AppDeps {
  readonly logger: Logger;
  readonly random: Random;
  readonly isDraining: () => boolean;
}

/** Bytes. The largest form has a name, a password and a target. */
const BODY_LIMIT = 16 * 1024;
/** Prefixes below which nothing is a page: an unknown path there is a plain 404. */
const NO_PAGE = /^\/(?:api|static|locales|form|\.well-known|debug|metrics)(?:\/|$)/;
const STATE_CHANGING: ReadonlySet<string> = new Set(['POST', 'PUT', 'DELETE', 'PATCH']);

/** No route has a schema: the framework's compilers for them, a third of its code, are not loaded. */
function noSchemas(): never {
  throw new Error('routes have no schemas');
}

/** The routes, served by the web framework. What is common to all of them follows from the table. */
export async function createApp(
  content: HttpContent,
  deps: AppDeps,
): Promise<(request: IncomingMessage, response: ServerResponse) => void> {
  const { logger, random, isDraining } = deps;
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    logger: false,
    exposeHeadRoutes: true,
    genReqId: () => random.bytes(9).toString('base64url'),
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, ignoreDuplicateSlashes: false },
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    // A malformed path is answered like an unknown one.
    frameworkErrors: (_error, request, reply) => {
      void send(request, reply, text(400, '400 Bad Request'));
    },
  });

  const send = (request: FastifyRequest, reply: FastifyReply, answer: Reply, route?: Route): FastifyReply => {
    const asset = route?.kind === 'asset' && answer.status < 400;
    reply.code(answer.status).headers({
      ...securityHeaders,
      ...(asset ? {} : noStore),
      ...nothingAllowed,
      'X-Request-Id': request.id,
      ...answer.headers,
      ...(isDraining() && { Connection: 'close' }),
    });
    for (const cookie of answer.cookies ?? []) reply.header('Set-Cookie', cookie);
    return reply.send(answer.body ?? '');
  };

  const refuse = (
    request: FastifyRequest,
    reply: FastifyReply,
    error: GatewayError,
    route?: Route,
  ): FastifyReply => {
    const retry: Record<string, string> =
      error.retryAfter === null ? {} : { 'Retry-After': String(error.retryAfter) };
    if (route?.kind === 'json') return send(request, reply, ko(error.status, error.message, retry), route);
    const path = pathOf(request);
    if (NO_PAGE.test(path) && route?.kind !== 'form') {
      return send(request, reply, text(error.status, `${error.status} ${error.message}`, retry), route);
    }
    const page = content.problem(routeRequest(request, content, undefined, undefined), error.status);
    return send(request, reply, { ...page, headers: { ...retry, ...page.headers } }, route);
  };

  app.removeAllContentTypeParsers();
  const parseJson = app.getDefaultJsonParser('remove', 'remove');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parseJson(request, String(body), done);
  });
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => {
      done(null, new URLSearchParams(String(body)));
    },
  );

  const methodsOf = new Map<string, Set<string>>();
  for (const route of content.routes) {
    const methods = methodsOf.get(route.path) ?? new Set();
    methods.add(route.method);
    if (route.method === 'GET') methods.add('HEAD');
    methodsOf.set(route.path, methods);
  }

  for (const route of content.routes) {
    app.route({
      method: route.method,
      url: route.path,
      bodyLimit: route.limit ?? BODY_LIMIT,
      config: { route },
      onRequest: async (request) => {
        // Routes have one spelling: a percent-encoded one is another path.
        if (pathOf(request).includes('%')) throw new GatewayError('not-found');
        if (STATE_CHANGING.has(request.method)) checkSource(request, content, route);
      },
      handler: async (request, reply) => {
        const seen = routeRequest(request, content, route, request.body);
        const answer = (await route.guard?.(seen)) ?? (await route.handle(seen));
        return send(request, reply, answer, route);
      },
    });
  }

  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    const allowed = allowedMethods(methodsOf, path);
    if (allowed) return send(request, reply, text(405, '405 Method Not Allowed', { Allow: allowed }));
    return refuse(request, reply, new GatewayError('not-found'));
  });

  app.setErrorHandler((thrown, request, reply) => {
    const route = (request.routeOptions.config as { route?: Route } | undefined)?.route;
    const error = toGatewayError(thrown);
    if (error.status >= 500) {
      logger.error({ request_id: request.id, path: pathOf(request), error: thrown }, error.message);
    }
    return refuse(request, reply, error, route);
  });

  await app.ready();
  return (request, response) => app.routing(request, response);
}

function pathOf(request: FastifyRequest): string {
  const url = request.raw.url ?? '/';
  const mark = url.indexOf('?');
  return mark === -1 ? url : url.slice(0, mark);
}

function allowedMethods(methodsOf: ReadonlyMap<string, ReadonlySet<string>>, path: string): string | null {
  const found = [...methodsOf].find(([route]) =>
    route.endsWith('*') ? path.startsWith(route.slice(0, -1)) : route === path,
  );
  return found ? [...found[1]].sort().join(', ') : null;
}

/** The CSRF check, and the type of body that the kind of route takes. */
function checkSource(request: FastifyRequest, content: HttpContent, route: Route): void {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  const expected = route.kind === 'form' ? 'application/x-www-form-urlencoded' : 'application/json';
  const { scheme, host } = reached(request, content);
  const own = isOwnRequest({
    site: request.headers['sec-fetch-site'],
    origin: request.headers.origin,
    portal: `${scheme}://${host}`,
    json: type === 'application/json',
  });
  if (!own) throw new GatewayError('cross-site');
  // What has no body has no type. A form of another site cannot send DELETE.
  if (request.method === 'DELETE' && type === undefined && !hasBody(request)) return;
  if (type !== expected) throw new GatewayError('media-type', `The body must be ${expected}.`);
}

function hasBody({ headers }: FastifyRequest): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** How the browser reached us: what a trusted proxy says, else the connection itself. */
function reached(request: FastifyRequest, content: HttpContent): { scheme: 'http' | 'https'; host: string } {
  const trusted = content.trustedProxies.isTrusted(request.raw.socket.remoteAddress ?? '');
  const own = 'encrypted' in request.raw.socket ? 'https' : 'http';
  const scheme = (trusted ? one(request, 'x-forwarded-proto') : undefined) ?? own;
  const host = (trusted ? one(request, 'x-forwarded-host') : undefined) ?? one(request, 'host') ?? '';
  if (scheme !== 'https' && scheme !== 'http') {
    throw new GatewayError('bad-request', 'The header x-forwarded-proto is neither http nor https.');
  }
  if (!/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(host)) {
    throw new GatewayError('bad-request', 'The host is malformed.');
  }
  return { scheme, host: host.toLowerCase().replace(scheme === 'https' ? /:443$/ : /:80$/, '') };
}

function one(request: FastifyRequest, name: string): string | undefined {
  const values = request.raw.headersDistinct[name];
  if (values && values.length > 1)
    throw new GatewayError('bad-request', `The header ${name} is there more than once.`);
  return values?.[0];
}

function routeRequest(
  request: FastifyRequest,
  content: HttpContent,
  route: Route | undefined,
  body: unknown,
): RouteRequest {
  const url = request.raw.url ?? '/';
  const mark = url.indexOf('?');
  const peer = request.raw.socket.remoteAddress ?? '';
  const trusted = content.trustedProxies.isTrusted(peer);
  const forwardedFor = trusted ? request.raw.headersDistinct['x-forwarded-for']?.join(', ') : undefined;
  const ip = content.trustedProxies.clientOf(peer, forwardedFor);
  // An error page must not fail for the error that it tells of.
  if (ip === null && route) throw new GatewayError('bad-request', 'The header x-forwarded-for is malformed.');
  return {
    id: request.id,
    method: request.method,
    path: pathOf(request),
    query: new URLSearchParams(mark === -1 ? '' : url.slice(mark + 1)),
    ip: ip ?? '',
    ...(route && !route.anyHost ? reached(request, content) : { scheme: 'https', host: '' }),
    header: (name) => {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    body,
  };
}

/** By name: who throws them stands right of this folder. */
const OUTAGES: ReadonlySet<string> = new Set([
  'StoreUnavailable',
  'BackendUnavailable',
  'StorageUnavailable',
  'StrengthUnavailable',
]);

/** Errors of the framework about the client's request keep their status; everything else is a bug or an outage. */
function toGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const { name, statusCode } = thrown as { name?: string; statusCode?: number };
  if (name !== undefined && OUTAGES.has(name)) {
    return new GatewayError('unavailable', undefined, { cause: thrown });
  }
  if (statusCode === 413) return new GatewayError('too-large');
  if (statusCode === 415) return new GatewayError('media-type');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new GatewayError('malformed-body');
  return new GatewayError('internal', undefined, { cause: thrown });
}
