import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { CompletedFactor } from '../decision/factors.ts';
import type { Events } from '../events.ts';
import type { Throttle } from '../factors/throttle.ts';
import type { Clock } from '../lib/clock.ts';
import type { UserBackend } from '../users/backend.ts';
import { knowsOwnPassword } from './own-password.ts';
import { type RaisedSession, riseSession } from './rise-session.ts';

/** The password once more, by somebody who is signed in: the session goes on, under a new token, as freshly authenticated. */
export interface Reauthentication {
  /** Null when the password does not hold, whatever the reason. Throws what the stores and the user backend throw. */
  reauthenticate(session: GatewaySession, password: string, ip: string): Promise<RaisedSession | null>;
}

interface ReauthenticationDeps {
  readonly users: UserBackend;
  readonly sessions: GatewaySessions;
  readonly throttle: Throttle;
  readonly clock: Clock;
  readonly events: Pick<Events, 'proofChecked'>;
}

export function createReauthentication(deps: ReauthenticationDeps): Reauthentication {
  return {
    async reauthenticate(session, password, ip) {
      const own = { username: session.userId, password, ip, proof: 'password' } as const;
      if (!(await knowsOwnPassword(own, deps))) return null;
      const at = deps.clock.now();
      return riseSession(deps.sessions, session, (payload) => ({
        ...payload,
        factors: withPassword(payload.factors, at),
      }));
    },
  };
}

/** The factors with the password shown at this time. */
export function withPassword(factors: readonly CompletedFactor[], at: number): readonly CompletedFactor[] {
  return [{ method: 'password', at }, ...factors.filter(({ method }) => method !== 'password')];
}
