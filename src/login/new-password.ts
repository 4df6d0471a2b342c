import type { GatewaySessions } from '../authn/gateway-session.ts';
import type { Events } from '../events.ts';
import type { PasswordPolicy, PasswordRule } from '../factors/password-policy.ts';
import { addressShare } from '../lib/address-share.ts';
import type { Clock } from '../lib/clock.ts';
import type { ResetLinks } from '../storage/reset-links.ts';
import { isPossiblePassword, type UserBackend, type UserProfile } from '../users/backend.ts';
import type { Notices, NoticeSource } from './notices.ts';

/**
 * What a change and a reset of a password have in common: whether a new one is good enough, and what happens when it is
 * written. Every other session of the person ends, links to reset it are void, and the person is told.
 */
export interface NewPassword {
  /** Null when it is good enough, else why not. Throws `StrengthUnavailable`. */
  findFlaw(password: string, person: UserProfile): Promise<PasswordFlaw | null>;
  /** Throws what the stores and the user backend throw; then the old password still holds. */
  write(person: UserProfile, password: string, change: Change): Promise<Written>;
}

export type PasswordFlaw =
  /** Rules of `password_policy` that it breaks. */
  | { readonly kind: 'policy'; readonly rules: readonly PasswordRule[] }
  /** It is empty, or too long for anybody's. */
  | { readonly kind: 'impossible' };

export interface Change {
  readonly how: 'change' | 'reset';
  readonly source: NoticeSource;
  /** The public id of the session that goes on. */
  readonly except?: string;
}

export type Written =
  | { readonly status: 'changed' }
  /** The user backend takes no such password; the reason is a sentence for the person. */
  | { readonly status: 'refused'; readonly reason: string }
  /** The person is gone. */
  | { readonly status: 'unknown' };

/** A user backend that can be written. */
export type WritableUsers = UserBackend & Required<Pick<UserBackend, 'setPassword'>>;

export interface NewPasswordDeps {
  readonly users: WritableUsers;
  readonly policy: PasswordPolicy;
  readonly sessions: Pick<GatewaySessions, 'endAllOf'>;
  /** Null without a storage: there are no links then. */
  readonly links: Pick<ResetLinks, 'revokeAll'> | null;
  /** Null where nothing can be mailed. */
  readonly notices: Notices | null;
  readonly events: Pick<Events, 'passwordChanged'>;
  readonly clock: Clock;
  /** The password is written, and what should have ended with the old one may live on. */
  readonly onLeftover: (username: string, error: unknown) => void;
}

export function createNewPassword(deps: NewPasswordDeps): NewPassword {
  const { users, policy, sessions, links, notices, events, clock } = deps;

  const endAll = async (username: string, except: string | undefined): Promise<void> => {
    await sessions.endAllOf(username, 'password-changed', except);
    await links?.revokeAll(username, clock.now());
  };

  return {
    async findFlaw(password, { username, displayName, emails }) {
      if (!isPossiblePassword(password)) return { kind: 'impossible' };
      const rules = await policy.check(password, [username, displayName, ...emails]);
      return rules.length > 0 ? { kind: 'policy', rules } : null;
    },

    async write(person, password, { how, source, except }) {
      const { username } = person;
      // Once before, so that nothing is written while the stores cannot end anything; and once afterwards, for what was
      // begun with the old password in between.
      await endAll(username, except);
      const { ip } = source;
      const client = ip === null ? undefined : `form ${addressShare(ip)}`;
      const written = await users.setPassword(username, password, client);
      if (written.status !== 'changed') return written;
      await endAll(username, except).catch((error: unknown) => deps.onLeftover(username, error));
      events.passwordChanged({ username, ip, how });
      notices?.tell(person, source, { kind: 'password-changed', how });
      return written;
    },
  };
}
