import type { HeaderName, RequestHead } from '../http/request-head.ts';

/** What one dialect says of the request that a proxy asks about: text, not judged yet. */
export interface Reading {
  readonly scheme: string;
  readonly authority: string;
  readonly uri: string;
  readonly method: string;
  /** The portal that the proxy names, if it names one. */
  readonly portal: string | undefined;
}

/** The question cannot be understood; `invalid` names the header and what is wrong. */
export interface InvalidTarget {
  readonly invalid: string;
}

/** The request to an authorization endpoint, taken apart once. */
export interface AuthzRequest {
  readonly head: RequestHead;
  /** What follows the endpoint's name in the path, with its leading slash; empty when nothing follows. */
  readonly rest: string;
  /** The query of the authorization request itself, without the question mark. */
  readonly query: string;
}

/** A dialect's reader: pure, and exactly one source header for each fact. */
export type Reader = (request: AuthzRequest) => Reading | InvalidTarget;

/** What is wrong with a header that may be there at most once and in one spelling. */
function flawOf(head: RequestHead, name: HeaderName): InvalidTarget | null {
  const flaw = head.flaw(name);
  if (flaw === undefined) return null;
  return flaw === 'repeated'
    ? { invalid: `the header ${name} is there more than once` }
    : { invalid: `the header ${name} is also there with underscores` };
}

/**
 * The values of several headers by name, or the first that is repeated, aliased or (when required) missing.
 */
export function readHeaders<const N extends HeaderName, const O extends HeaderName = never>(
  head: RequestHead,
  required: readonly N[],
  optional: readonly O[] = [],
): (Readonly<Record<N, string>> & Readonly<Partial<Record<O, string>>>) | InvalidTarget {
  const out: Partial<Record<HeaderName, string>> = {};
  for (const name of required) {
    const flaw = flawOf(head, name);
    if (flaw) return flaw;
    const value = head.header(name);
    if (value === undefined || value === '') return { invalid: `the header ${name} is missing` };
    out[name] = value;
  }
  for (const name of optional) {
    const flaw = flawOf(head, name);
    if (flaw) return flaw;
    const value = head.header(name);
    if (value !== undefined) out[name] = value;
  }
  return out as Readonly<Record<N, string>> & Readonly<Partial<Record<O, string>>>;
}
