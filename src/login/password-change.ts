import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { PasswordFactor } from '../factors/password-factor.ts';
import type { Clock } from '../lib/clock.ts';
import { changeSession } from './change-session.ts';
import type { RaisedSession } from './elevation.ts';
import type { NewPassword, PasswordFlaw } from './new-password.ts';
import type { NoticeSource } from './notices.ts';
import { withPassword } from './reauthentication.ts';

/** A new password for somebody who is signed in and knows the old one. The elevation is asked for before. */
export interface PasswordChange {
  /** Throws what the stores, the throttle and the user backend throw; then the old password still holds. */
  change(session: GatewaySession, request: ChangeRequest): Promise<ChangeResult>;
}

export interface ChangeRequest {
  readonly oldPassword: string;
  readonly newPassword: string;
  readonly source: NoticeSource & { readonly ip: string };
  /** The session as it is now. */
  readonly find: () => Promise<GatewaySession | null>;
}

export type ChangeResult =
  /** The session goes on under a new token; null when it has ended meanwhile. */
  | { readonly status: 'changed'; readonly raised: RaisedSession | null }
  /** The old password is wrong, or too often it was. */
  | { readonly status: 'wrong' }
  | { readonly status: 'same' }
  | { readonly status: 'weak'; readonly flaw: PasswordFlaw }
  | { readonly status: 'refused'; readonly reason: string }
  | { readonly status: 'unknown' };

export interface PasswordChangeDeps {
  readonly password: PasswordFactor;
  readonly sessions: GatewaySessions;
  readonly newPassword: NewPassword;
  readonly clock: Clock;
  /** The password is written, and the session could not be given its new token. */
  readonly onLeftover: (username: string, error: unknown) => void;
}

export function createPasswordChange(deps: PasswordChangeDeps): PasswordChange {
  return {
    async change(session, { oldPassword, newPassword, source, find }) {
      const { profile } = session.payload;
      const { username } = profile;
      // What was typed is compared, not what is stored: it tells nothing.
      if (newPassword === oldPassword && newPassword !== '') return { status: 'same' };
      const flaw = await deps.newPassword.findFlaw(newPassword, profile);
      if (flaw) return { status: 'weak', flaw };
      const { ip } = source;
      const person = await deps.password.check({
        username,
        password: oldPassword,
        ip,
        proof: 'old-password',
      });
      if (person?.username !== username) return { status: 'wrong' };
      const except = session.publicId;
      const written = await deps.newPassword.write(profile, newPassword, { how: 'change', source, except });
      if (written.status !== 'changed') return written;
      const at = deps.clock.now();
      const raised = await changeSession(session, find, (current) =>
        deps.sessions.rise(current, {
          ...current.payload,
          factors: withPassword(current.payload.factors, at),
        }),
      ).catch((error: unknown) => {
        deps.onLeftover(username, error);
        return null;
      });
      return { status: 'changed', raised };
    },
  };
}
