import { type CompletedFactor, factorKind } from '../decision/factors.ts';
import type { AuthenticationLevel } from '../decision/target.ts';
import type { Session, Sessions } from '../sessions/sessions.ts';
import type { UserProfile } from '../users/backend.ts';

/** What the gateway keeps in a session. The level is computed, never stored. */
export interface GatewayPayload {
  readonly factors: readonly CompletedFactor[];
  readonly profile: UserProfile;
  /** When the profile was last read from the user backend, in milliseconds since 1970. */
  readonly refreshedAt: number;
  /** Where the sign-in came from. */
  readonly device: Device;
  /** SHA-256 (base64url) of the cookie that binds what is changed at the portal to the browser that signed in. */
  readonly portalBinding: string;
  /** The right to change factors and passwords for a while; absent where it was not proven. */
  readonly elevation?: Elevation;
  /** The one enrolment of an authenticator that is under way here, sealed; it ends by itself. */
  readonly totpEnrolment?: string;
}

/** Proven by a fresh code from the person's mail, from one address. */
export interface Elevation {
  /** Milliseconds since 1970. */
  readonly until: number;
  /** The client's address; from another one it does not hold. */
  readonly ip: string;
}

export interface Device {
  /** What the browser called itself: printable ASCII, at most 512 characters; empty when it said nothing. */
  readonly userAgent: string;
  /** The client's address. */
  readonly ip: string;
}

export type GatewaySession = Session<GatewayPayload>;
export type GatewaySessions = Sessions<GatewayPayload>;

/** Each kind of proof counts once. */
export function levelOf(factors: readonly CompletedFactor[]): AuthenticationLevel {
  const first = factors[0];
  if (!first) return 0;
  for (const { method } of factors) if (factorKind[method] !== factorKind[first.method]) return 2;
  return 1;
}
