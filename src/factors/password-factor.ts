import type { Proof } from '../events.ts';
import { addressShare } from '../lib/address-share.ts';
import {
  isPossiblePassword,
  type PasswordCheck,
  type UserBackend,
  type UserProfile,
} from '../users/backend.ts';
import type { EqualTime } from './equal-time.ts';
import type { Throttle, ThrottledAttempt } from './throttle.ts';

/**
 * The password as a factor, wherever it is asked for: counted before it is looked at, whatever way the name is spelt, and
 * failures alike in every respect: nobody of that name, disabled, wrong, banned.
 */
export interface PasswordFactor {
  /**
   * The person whose password it is; null when it does not hold, whatever the reason. What can be nobody's password is
   * refused without being counted or written down. Throws `BackendUnavailable` or `StorageUnavailable`; then nothing was
   * tried.
   */
  check(attempt: PasswordAttempt): Promise<UserProfile | null>;
  /** Resolves when a refusal may be answered that came without a check: as late as a wrong password. */
  refused(): Promise<void>;
}

export interface PasswordAttempt extends Pick<ThrottledAttempt, 'ip' | 'target'> {
  /** As typed. */
  readonly username: string;
  readonly password: string;
  readonly proof: Extract<Proof, 'password' | 'basic' | 'old-password'>;
}

export interface PasswordFactorDeps {
  readonly users: UserBackend;
  readonly throttle: Throttle;
  readonly equalTime: EqualTime;
  /** Called for each password that was looked at. `username` is the backend's spelling, or what was typed. */
  readonly onChecked: (event: {
    readonly username: string;
    readonly ip: string;
    readonly proof: PasswordAttempt['proof'];
    readonly success: boolean;
    /** Nobody has this name: what was typed may be a password. */
    readonly isUnknown: boolean;
    /** See `CountedAttempt`. */
    readonly isRepeated: boolean;
  }) => void;
}

export function createPasswordFactor(deps: PasswordFactorDeps): PasswordFactor {
  const { users, throttle, equalTime, onChecked } = deps;
  return {
    async check({ username: typed, password, ip, proof, target }) {
      const timed = equalTime.begin();
      if (!isPossiblePassword(password)) {
        await timed.refused();
        return null;
      }
      const person = await users.find(typed);
      const username = person?.username ?? typed;
      const isUnknown = !person;
      const attempt = await throttle.begin({ username, isUnknown, ip, proof, target });
      if (attempt === 'banned') {
        await timed.refused();
        return null;
      }
      let result: PasswordCheck;
      try {
        const client = `${proof === 'basic' ? 'basic' : 'form'} ${addressShare(ip)}`;
        result = await users.checkPassword(typed, password, client);
      } catch (error) {
        await attempt.takeBack();
        throw error;
      }
      const success = result.status === 'success';
      onChecked({ username, ip, proof, success, isUnknown, isRepeated: attempt.isRepeated });
      if (result.status === 'success') {
        timed.succeeded();
        await attempt.succeeded();
        return result.user;
      }
      await attempt.failed();
      await timed.failed();
      return null;
    },

    refused: () => equalTime.begin().refused(),
  };
}
