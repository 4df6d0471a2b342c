import type { Scheme } from '../authn/scheme.ts';
import { type Reader } from './reader.ts';
import { readAuthRequest } from './readers/auth-request.ts';
import { readExtAuthz } from './readers/ext-authz.ts';
import { readForwardAuth } from './readers/forward-auth.ts';
import { readLegacy } from './readers/legacy.ts';
import type { Dialect } from './respond.ts';

/** One configured authorization endpoint, `/api/authz/<name>`. */
export interface Endpoint {
  readonly name: string;
  readonly dialect: Dialect;
  readonly schemes: readonly Scheme[];
  /** Whether a session cookie counts here, so that signing in at the portal helps. */
  readonly usesSessions: boolean;
}

export interface DialectTraits {
  readonly read: Reader;
  /** Methods of the authorization request itself; null: any, as it carries the original method. */
  readonly methods: ReadonlySet<string> | null;
  /** Whether the path may go on after the endpoint's name. */
  readonly prefix: boolean;
}

const ASKING: ReadonlySet<string> = new Set(['GET', 'HEAD']);

export const dialects: Readonly<Record<Dialect, DialectTraits>> = {
  'forward-auth': { read: readForwardAuth, methods: ASKING, prefix: false },
  'auth-request': { read: readAuthRequest, methods: ASKING, prefix: false },
  'ext-authz': { read: readExtAuthz, methods: null, prefix: true },
  legacy: { read: readLegacy, methods: null, prefix: true },
};

export interface EndpointMatch {
  readonly endpoint: Endpoint;
  readonly rest: string;
}

/** Finds the endpoint of a path below the base path. Names match as a whole and case-sensitively. */
export function createEndpointTable(endpoints: readonly Endpoint[]): (path: string) => EndpointMatch | null {
  const exact = new Map<string, Endpoint>();
  const prefixes: { readonly prefix: string; readonly endpoint: Endpoint }[] = [];
  for (const endpoint of endpoints) {
    const paths = [`/api/authz/${endpoint.name}`, ...(endpoint.name === 'legacy' ? ['/api/verify'] : [])];
    for (const path of paths) {
      exact.set(path, endpoint);
      if (dialects[endpoint.dialect].prefix) prefixes.push({ prefix: `${path}/`, endpoint });
    }
  }
  prefixes.sort((a, b) => b.prefix.length - a.prefix.length);
  return (path) => {
    const endpoint = exact.get(path);
    if (endpoint) return { endpoint, rest: '' };
    const found = prefixes.find(({ prefix }) => path.startsWith(prefix));
    return found ? { endpoint: found.endpoint, rest: path.slice(found.prefix.length - 1) } : null;
  };
}
