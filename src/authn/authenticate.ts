import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { AuthnRequest, Challenge, Identity, Scheme, SchemeResult } from './scheme.ts';

export interface Authentication {
  readonly identity: Identity | null;
  /** Credentials were given and do not hold. */
  readonly failed: boolean;
  /** The challenge of the last scheme that was asked, if it has one. */
  readonly challenge: Challenge | null;
}

/** Asks the schemes in order until one recognises somebody or refuses. A promise only where a scheme had to ask somebody. */
export function authenticate(
  schemes: readonly Scheme[],
  request: AuthnRequest,
  from = 0,
): MaybePromise<Authentication> {
  for (let i = from; i < schemes.length; i++) {
    const scheme = schemes[i] as Scheme;
    const result = scheme.authenticate(request);
    if (result instanceof Promise) {
      return result.then((settled) => conclude(scheme, settled) ?? authenticate(schemes, request, i + 1));
    }
    const done = conclude(scheme, result);
    if (done) return done;
  }
  return { identity: null, failed: false, challenge: schemes.at(-1)?.challenge ?? null };
}

function conclude(scheme: Scheme, result: SchemeResult): Authentication | null {
  if (result === 'skip') return null;
  if (result === 'failure') return { identity: null, failed: true, challenge: scheme.challenge };
  return { identity: result, failed: false, challenge: scheme.challenge };
}
