import type { CanonicalUrl } from '../lib/canonical-url.ts';

/** How much a rule demands. `bypass` asks nothing of the visitor. */
export type Level = 'bypass' | 'one_factor' | 'two_factor' | 'deny';

/** How much a visitor has shown: 0 nothing, 1 one factor, 2 two factors. */
export type AuthenticationLevel = 0 | 1 | 2;

/** Which URL is asked for, how, and from where: the resource and the action of a decision. */
export interface TargetRequest {
  readonly url: CanonicalUrl;
  /** Upper-case letters only. */
  readonly method: string;
  /** The client's address in canonical text, IPv4-mapped IPv6 already reduced to IPv4. */
  readonly ip: string;
}

/** Who is asking. An anonymous visitor has an empty `username`, no groups and no client. */
export interface Subject {
  readonly username: string;
  readonly groups: readonly string[];
  /** An OAuth 2.0 client that asks for itself. */
  readonly clientId?: string;
}

export const anonymous: Subject = Object.freeze({ username: '', groups: Object.freeze([]) });

/** What a proxy is to do. `rule` is the index of the deciding rule, -1 for the default policy. */
export interface Decision {
  readonly outcome: 'allow' | 'challenge' | 'deny';
  readonly required: Level;
  readonly rule: number;
}
