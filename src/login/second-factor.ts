import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { Events } from '../events.ts';
import type { RecoveryCodes } from '../factors/recovery-codes.ts';
import type { RateLimits, Throttle } from '../factors/throttle.ts';
import type { TotpFactor } from '../factors/totp-factor.ts';
import type { Clock } from '../lib/clock.ts';
import { changeSession } from './change-session.ts';
import type { SecondFactorMethod } from './next-step.ts';
import type { Notices, NoticeSource } from './notices.ts';

/** The second factor of a person who is signed in: what he has, and showing it. */
export interface SecondFactor {
  /** What people can add here. */
  readonly offered: readonly SecondFactorMethod[];
  /**
   * What this person has. Recovery codes stand for another factor that he has: without one they are nothing. Throws when
   * the storage cannot say.
   */
  enrolled(username: string): Promise<readonly SecondFactorMethod[]>;
  /**
   * Checks a code, uses it up, and raises the session under a new token. What is counted is counted before the code is
   * looked at. Throws when storage or session store cannot answer; then nothing was risen, and the code may be gone.
   */
  complete(attempt: SecondFactorAttempt): Promise<SecondFactorResult>;
}

export interface SecondFactorAttempt {
  readonly session: GatewaySession;
  readonly method: SecondFactorMethod;
  /** As it was typed. */
  readonly code: string;
  /** Where the person was going; for the log of attempts. */
  readonly target?: { readonly method: string; readonly url: string } | undefined;
  readonly from: NoticeSource & { readonly ip: string };
  /** The session as it is now. */
  readonly find: () => Promise<GatewaySession | null>;
}

export type SecondFactorResult =
  | { readonly status: 'success'; readonly session: GatewaySession; readonly token: string }
  /** Wrong, used, banned, not enrolled: one answer for all. */
  | { readonly status: 'failure' }
  /** Milliseconds until the address may ask again. */
  | { readonly status: 'rate-limited'; readonly retryAfter: number };

export interface SecondFactorDeps {
  /** Null where codes are switched off. */
  readonly totp: TotpFactor | null;
  readonly recoveryCodes: RecoveryCodes;
  readonly throttle: Throttle;
  readonly rateLimits: RateLimits;
  readonly sessions: GatewaySessions;
  readonly clock: Clock;
  readonly events: Pick<Events, 'proofChecked' | 'attemptRefused' | 'recoveryCodeUsed'>;
  readonly notices: Notices | null;
}

/** Whether a code holds; why not is for the record of events. */
type Verdict =
  | { readonly holds: true; readonly recoveryCodesLeft?: number }
  | { readonly holds: false; readonly reason: string };

/** Nobody has a second factor where nothing is stored. */
export const noSecondFactor: SecondFactor = {
  offered: [],
  enrolled: async () => [],
  complete: async () => ({ status: 'failure' }),
};

export function createSecondFactor(deps: SecondFactorDeps): SecondFactor {
  const { totp, recoveryCodes, throttle, rateLimits, sessions, clock, events } = deps;

  const verify: Record<SecondFactorMethod, (username: string, code: string) => Promise<Verdict>> = {
    async totp(username, code) {
      if (!totp) return { holds: false, reason: 'not-enrolled' };
      const check = await totp.verify(username, code);
      return check.status === 'success' ? { holds: true } : { holds: false, reason: check.reason };
    },
    async 'recovery-code'(username, code) {
      if (!(await totp?.find(username))) return { holds: false, reason: 'not-enrolled' };
      // Before, because afterwards nothing may fail that is no proof.
      const left = (await recoveryCodes.count(username)) - 1;
      const isGood = await recoveryCodes.use(username, code);
      return isGood ? { holds: true, recoveryCodesLeft: left } : { holds: false, reason: 'wrong-code' };
    },
  };

  /** Counted first, so that parallel guesses and other replicas change nothing. */
  const check = async ({ session, method, code, from, target }: SecondFactorAttempt): Promise<Verdict> => {
    const who = { username: session.userId, ip: from.ip, proof: method };
    const counted = await throttle.begin({ ...who, target });
    if (counted === 'banned') return { holds: false, reason: 'banned' };
    let verdict: Verdict;
    try {
      verdict = await verify[method](session.userId, code);
    } catch (error) {
      await counted.takeBack();
      throw error;
    }
    events.proofChecked({
      ...who,
      success: verdict.holds,
      ...(!verdict.holds && { reason: verdict.reason }),
    });
    await (verdict.holds ? counted.succeeded() : counted.failed());
    return verdict;
  };

  const tellOfRecoveryCode = ({ session, from }: SecondFactorAttempt, left: number): void => {
    events.recoveryCodeUsed({ username: session.userId, ip: from.ip, left });
    deps.notices?.tell(session.payload.profile, from, { kind: 'recovery-code-used', left });
  };

  return {
    offered: totp ? ['totp'] : [],

    async enrolled(username) {
      const [credential, left] = await Promise.all([totp?.find(username), recoveryCodes.count(username)]);
      if (!credential) return [];
      return left > 0 ? ['totp', 'recovery-code'] : ['totp'];
    },

    async complete(attempt) {
      const { session, method, from, find } = attempt;
      const retryAfter = await rateLimits.take('second_factor_totp', from.ip);
      if (retryAfter !== null) {
        events.attemptRefused({ username: session.userId, ip: from.ip, proof: method, why: 'rate-limit' });
        return { status: 'rate-limited', retryAfter };
      }
      const verdict = await check(attempt);
      if (!verdict.holds) return { status: 'failure' };
      if (verdict.recoveryCodesLeft !== undefined) tellOfRecoveryCode(attempt, verdict.recoveryCodesLeft);
      const at = clock.now();
      const risen = await changeSession(session, find, (current) => {
        const others = current.payload.factors.filter((factor) => factor.method !== method);
        return sessions.rise(current, { ...current.payload, factors: [...others, { method, at }] });
      });
      return risen ? { status: 'success', ...risen } : { status: 'failure' };
    },
  };
}
