import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

import type { MaybePromise } from '../lib/maybe-promise.ts';

/**
 * A route as data. Status 405 with `Allow`, the CSRF check, body limits and headers follow from the table of all routes:
 *  - `json`: answers JSON envelopes; a body must be `application/json`.
 *  - `form`: takes a form post without script and answers a redirect (303) or a page.
 *  - `page`: GET and HEAD of HTML.
 *  - `asset`: GET and HEAD of bytes.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below the base path, beginning with a slash; `*` at the end takes the rest. */
  readonly path: string;
  readonly kind: 'json' | 'form' | 'page' | 'asset';
  /** Answers in the place of `handle` when the visitor may not use the route. */
  readonly guard?: (request: RouteRequest) => MaybePromise<Reply | null>;
  /** Answers whatever the Host is, also none, as health checks by HTTP/1.0 have it. `host` is empty then. Default: false. */
  readonly anyHost?: boolean;
  /** Bytes of body; default 16 KiB. */
  readonly limit?: number;
  readonly handle: (request: RouteRequest) => MaybePromise<Reply>;
}

/** A request as a route sees it: forwarding headers already reduced to what trusted proxies said. */
export interface RouteRequest {
  readonly id: string;
  readonly method: string;
  /** Below the base path, without query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The client's address. */
  readonly ip: string;
  /** How the browser reached us. `host` is lower case and carries the port if there is one. */
  readonly scheme: 'http' | 'https';
  readonly host: string;
  /** The value of a header, by lower-case name. */
  header(name: string): string | undefined;
  /** What was posted: a JSON value, URLSearchParams of a form, or undefined. */
  readonly body: unknown;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** `Set-Cookie` values. */
  readonly cookies?: readonly string[];
  readonly body?: string | Buffer;
}

/**
 * An engine of its own below a path or on a host (the reverse proxy of the demo and of outposts). It gets Node's objects
 * after the trust of the peer was checked, and no route, CSRF check or header of the portal applies.
 */
export interface Mount {
  /** Lower case, without port. */
  readonly host: string;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  readonly upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
}
