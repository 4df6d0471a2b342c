import type { GatewaySession } from '../authn/gateway-session.ts';

/** How a session stands before credentials may change: what was shown, and what is missing. */
export interface ElevationStanding {
  /** Whether credentials may be changed now. */
  readonly mayChange: boolean;
  /** Whether a code was given here, from this address, and still holds. */
  readonly elevated: boolean;
  /** Milliseconds for which it holds; 0 when it does not. */
  readonly expiresIn: number;
  /** A second factor is demanded besides, is enrolled, and was not shown in this session. */
  readonly needsSecondFactor: boolean;
  /** A second factor that was shown a moment ago stands for the code. */
  readonly skipped: boolean;
  /** It would, if it was shown. */
  readonly canSkip: boolean;
}

export interface Elevation {
  /** An elevation that is over, or was proven from another address, ends by this. Throws what the stores throw. */
  standingOf(session: GatewaySession, ip: string): Promise<ElevationStanding>;
}
