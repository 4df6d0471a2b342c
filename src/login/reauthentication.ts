import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { CompletedFactor } from '../decision/factors.ts';
import type { PasswordFactor } from '../factors/password-factor.ts';
import type { Clock } from '../lib/clock.ts';
import { changeSession } from './change-session.ts';
import type { RaisedSession } from './elevation.ts';

/** The password once more, by somebody who is signed in: the session goes on, under a new token, as freshly authenticated. */
export interface Reauthentication {
  /** Null when the password does not hold, whatever the reason. Throws what the stores and the user backend throw. */
  reauthenticate(attempt: PasswordOnceMore): Promise<RaisedSession | null>;
}

interface PasswordOnceMore {
  readonly session: GatewaySession;
  readonly password: string;
  readonly ip: string;
  /** The session as it is now. */
  readonly find: () => Promise<GatewaySession | null>;
}

interface ReauthenticationDeps {
  readonly password: PasswordFactor;
  readonly sessions: GatewaySessions;
  readonly clock: Clock;
}

export function createReauthentication(deps: ReauthenticationDeps): Reauthentication {
  return {
    async reauthenticate({ session, password, ip, find }) {
      const { userId: username } = session;
      const person = await deps.password.check({ username, password, ip, proof: 'password' });
      if (person?.username !== username) return null;
      const at = deps.clock.now();
      return changeSession(session, find, (current) =>
        deps.sessions.rise(current, {
          ...current.payload,
          factors: withPassword(current.payload.factors, at),
        }),
      );
    },
  };
}

/** The factors with the password shown at this time. */
export function withPassword(factors: readonly CompletedFactor[], at: number): readonly CompletedFactor[] {
  return [{ method: 'password', at }, ...factors.filter(({ method }) => method !== 'password')];
}
