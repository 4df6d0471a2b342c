import { createHmac } from 'node:crypto';

import type { Events, Proof } from '../events.ts';
import { addressShare } from '../lib/address-share.ts';
import { BoundedMap } from '../lib/bounded-map.ts';
import type { Clock } from '../lib/clock.ts';
import type { MaybePromise } from '../lib/maybe-promise.ts';
import type { Random } from '../lib/random.ts';
import type { Timers } from '../lib/timers.ts';
import { createTurns } from '../lib/turns.ts';
import type { AttemptLog } from '../storage/attempt-log.ts';
import type { Bans, BanSubject } from '../storage/bans.ts';
import type { CountedAttempt as Counted, ThrottleCounters } from '../storage/throttle-counters.ts';
import { BackendUnavailable } from '../users/backend.ts';

/**
 * The one throttle on every path that takes a secret: attempts are counted before the secret is looked at, so that bursts
 * at one time and many replicas change nothing. Throws `StorageUnavailable` when it cannot count: then nothing is tried.
 *
 * The password has one budget wherever it is asked for (form, Basic, change of password): `max_retries` failures in
 * `find_time` ban the name or the address, as `modes` say, for `ban_time`. Every other secret has a budget of its own for
 * each person, so that a stranger's wrong passwords keep nobody from his second factor: `max_retries` in `ban_time`, without
 * a ban. A ban of an address refuses every secret from there, a ban of a name the password. Sessions go on.
 *
 * Not here: how often an address may ask at all (rate-limits.ts), and that a refusal looks like a failure (equal-time.ts).
 */
export interface Throttle {
  /**
   * Counts an attempt. 'banned': the secret must not be looked at; to the person it looks like a wrong one. Throws
   * `BackendUnavailable` where an address has so many attempts under way that its turn does not come: nothing was written.
   */
  begin(attempt: ThrottledAttempt): Promise<CountedAttempt | 'banned'>;
  /**
   * Whether somebody may pass whose password is known to be right without being looked at (it is remembered). Costs nothing
   * most of the time: a ban that another process or a command has made is seen within `BAN_AGE`, one of this process at
   * once. Throws `StorageUnavailable` when it cannot know.
   */
  allows(client: ThrottledClient): MaybePromise<boolean>;
}

export interface ThrottledClient {
  /** The backend's spelling where the person is known, what was typed where not. */
  readonly username: string;
  /** Canonical text. */
  readonly ip: string;
}

export interface ThrottledAttempt extends ThrottledClient {
  /** Nobody has this name: what was typed may be a password. It is told in the log of the process, and stored nowhere. */
  readonly isUnknown?: boolean;
  readonly proof: Proof;
  /** Where the person was going; for the log of attempts. The query is left out. */
  readonly target?: { readonly method: string; readonly url: string } | undefined;
}

/** Exactly one of the functions ends an attempt. None of them throws. */
export interface CountedAttempt {
  /**
   * Nobody has this name, and of this client it has been written lately that it tried such names: records that are kept
   * leave this one out.
   */
  readonly isRepeated: boolean;
  succeeded(): Promise<void>;
  failed(): Promise<void>;
  /** The secret could not be checked, as a backend did not answer: as if nothing had been tried. */
  takeBack(): Promise<void>;
}

/** `server.endpoints.rate_limits`: how often an address may ask, in all replicas together. */
export interface RateLimits {
  /** Null when there is room, else the milliseconds until there is. Throws `StorageUnavailable`. */
  take(route: LimitedRoute, ip: string): Promise<number | null>;
}

/** Each has a key, but `reset_password`: giving the new password, which is bounded where `reset_password_finish` is. */
export type LimitedRoute =
  | 'reset_password'
  | 'reset_password_start'
  | 'reset_password_finish'
  | 'second_factor_totp'
  | 'session_elevation_start'
  | 'session_elevation_finish';

/** `regulation`; spans in milliseconds. */
export interface Regulation {
  readonly modes: readonly ('user' | 'ip')[];
  /** 0: the password is not counted. */
  readonly max_retries: number;
  readonly find_time: number;
  readonly ban_time: number;
}

export interface ThrottleDeps {
  readonly counters: ThrottleCounters;
  readonly bans: Pick<Bans, 'insert' | 'findInForce'>;
  /** Null where nothing is kept. */
  readonly attempts: Pick<AttemptLog, 'insert'> | null;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly events: Pick<Events, 'banned' | 'attemptRefused'>;
  /** What was to be written after an attempt was not. Its count stands: nobody gains a try. */
  readonly onFault: (error: unknown) => void;
}

/** Milliseconds after which `allows` asks for bans again. */
export const BAN_AGE = 2000;
/**
 * Milliseconds in which one refusal of a client at a name stands in the log of attempts, and one attempt of a client at all
 * the names that nobody has: nobody fills a disk by being refused, or by inventing names.
 */
const REFUSAL_STEP = 10_000;
/** Passwords of one address that are looked at in this process at one time. */
const ADDRESS_LANES = 8;
/** Clients that are remembered; the oldest goes. */
const CLIENTS = 10_000;
/** Failures that a secret other than the password has where `max_retries` is 0: codes are short, and always limited. */
const CODE_RETRIES = 10;
/** Milliseconds for which an attempt waits for its turn at most, and keeps others waiting at most. */
const LONGEST_TURN = 5000;
/** Milliseconds to wait, and to count again, while attempts under way have used the budget up and may turn out to be right. */
const UNDECIDED = [50, 100, 200, 400, 800, 1600];

const PROOFS: Readonly<Record<Proof, { readonly isPassword: boolean; readonly logged: string }>> = {
  password: { isPassword: true, logged: '1FA' },
  basic: { isPassword: true, logged: '1FA' },
  'old-password': { isPassword: true, logged: 'Password' },
  totp: { isPassword: false, logged: 'TOTP' },
  'recovery-code': { isPassword: false, logged: 'RecoveryCode' },
  'elevation-code': { isPassword: false, logged: 'Elevation' },
  'reset-link': { isPassword: false, logged: 'Reset' },
};

const keyOf = ({ ip, username }: ThrottledClient): string => `${addressShare(ip)} ${username}`;

/** What is counted, and how many of it may be under way or wrong in a window. */
interface Budget {
  readonly kind: string;
  readonly subject: string;
  /** Whose secret it was, where the subject is an address. */
  readonly against?: string;
  readonly limit: number;
  readonly window: number;
  /** What using it up bans; null: nothing. */
  readonly bans: BanSubject | null;
}

type Used = Budget & { readonly counted: Counted };

export function createThrottle(regulation: Regulation, deps: ThrottleDeps): Throttle {
  const { counters, bans, attempts, clock, timers, random, events, onFault } = deps;
  const { modes, max_retries: retries, find_time: findTime, ban_time: banTime } = regulation;
  // Of this process only: nothing can be learnt from the digest of a mistyped password, and an unknown name has no secret.
  const nameKey = random.bytes(32);
  let askedAt = new BoundedMap<string, number>(CLIENTS);
  const turns = createTurns();
  let lane = 0;
  const writtenAt = new BoundedMap<string, number>(CLIENTS);

  const nameOf = ({ username, isUnknown }: Pick<ThrottledAttempt, 'username' | 'isUnknown'>): string => {
    if (!isUnknown) return username;
    const digest = createHmac('sha256', nameKey).update(username.normalize('NFKC').toLowerCase());
    return `unknown ${digest.digest('base64url')}`;
  };

  const budgetsOf = (attempt: ThrottledAttempt): readonly Budget[] => {
    const { proof, ip, isUnknown } = attempt;
    const name = nameOf(attempt);
    if (!PROOFS[proof].isPassword) {
      const limit = retries === 0 ? CODE_RETRIES : retries;
      return [{ kind: proof, subject: name, limit, window: banTime, bans: null }];
    }
    if (retries === 0) return [];
    const shared = { limit: retries, window: findTime };
    const share = addressShare(ip);
    return modes.map((kind) =>
      kind === 'user'
        ? { ...shared, kind, subject: name, bans: isUnknown ? null : { kind, subject: name } }
        : { ...shared, kind, subject: share, against: name, bans: { kind, subject: share } },
    );
  };

  const subjectsOf = ({ username, ip }: ThrottledClient, proof: Proof): readonly BanSubject[] => [
    { kind: 'ip', subject: addressShare(ip) },
    ...(PROOFS[proof].isPassword ? [{ kind: 'user' as const, subject: username }] : []),
  ];

  const use = (budgets: readonly Budget[], now: number): Promise<readonly Used[]> =>
    Promise.all(
      budgets.map(async (budget) => {
        const { kind, subject, window, against } = budget;
        return { ...budget, counted: await counters.count(kind, subject, now, window, against) };
      }),
    );

  const takeBack = async (used: readonly Used[]): Promise<void> => {
    await Promise.all(used.map(({ counted }) => counters.takeBack(counted)));
  };

  /** Resolves when it is the turn of who asks, or `LONGEST_TURN` is over before that. `finish` lets the next one go. */
  const queue = async (key: string): Promise<{ readonly isLate: boolean; readonly finish: () => void }> => {
    const { promise: ended, resolve: finish } = Promise.withResolvers<void>();
    const isLate = await new Promise<boolean>((go) => {
      const cancel = timers.after(LONGEST_TURN, () => go(true));
      void turns.take([key], async () => {
        cancel();
        go(false);
        const cancelEnd = timers.after(LONGEST_TURN, finish);
        await ended;
        cancelEnd();
      });
    });
    return { isLate, finish };
  };

  /**
   * Resolves when it is a password's turn in this process: those from one address `ADDRESS_LANES` at a time, or as many as
   * may fail, and those at one name one after another. So those of one moment do not refuse each other while each may be
   * right. At a name that is a courtesy, bounded in time: what is allowed is decided by the count. Of an address it is a
   * limit, whatever `modes` say: an address must not keep the database busy by inventing names. Answers how to let the next
   * one go.
   */
  const turnOf = async ({ proof, ip }: ThrottledAttempt, budgets: readonly Budget[]): Promise<() => void> => {
    if (!PROOFS[proof].isPassword) return () => {};
    const limits = budgets.filter(({ kind }) => kind === 'ip').map(({ limit }) => limit);
    const ofAddress = await queue(`ip ${addressShare(ip)} ${++lane % Math.min(ADDRESS_LANES, ...limits)}`);
    if (ofAddress.isLate) {
      ofAddress.finish();
      throw new BackendUnavailable('too many attempts of one address are under way');
    }
    const name = budgets.find(({ kind }) => kind === 'user');
    const ofName = name && (await queue(`user ${name.subject}`));
    return () => {
      ofName?.finish();
      ofAddress.finish();
    };
  };

  /** Null: refused. */
  const admit = async (
    attempt: ThrottledAttempt,
    budgets: readonly Budget[],
  ): Promise<readonly Used[] | null> => {
    const subjects = subjectsOf(attempt, attempt.proof);
    // Who is banned already costs one question and no writing.
    if (await bans.findInForce(subjects, clock.now())) return null;
    if (budgets.length === 0) return [];
    for (let round = 0; ; round++) {
      const now = clock.now();
      const used = await use(budgets, now);
      // Asked again after counting: a ban forgets what was counted, so who is counted after that sees the ban.
      const ban = await bans.findInForce(subjects, now);
      const over = used.filter(({ counted, limit }) => counted.count > limit);
      if (!ban && over.length === 0) return used;
      await takeBack(used);
      // Those who used the budget up may yet turn out to be right, as a client's that asks from many connections.
      const isUsedUp = over.some(({ counted, limit }) => counted.failed >= limit);
      const wait = isUsedUp ? undefined : UNDECIDED[round];
      if (ban || wait === undefined) return null;
      await pause(wait + ((random.bytes(1)[0] ?? 0) % wait));
    }
  };

  const pause = (ms: number): Promise<void> => new Promise((done) => void timers.after(ms, done));

  const ban = async ({ kind, subject }: BanSubject): Promise<void> => {
    const now = clock.now();
    const expiresAt = now + banTime;
    const reason = `${retries} failed attempts`;
    await bans.insert({ kind, subject, createdAt: now, expiresAt, source: 'regulation', reason });
    askedAt = new BoundedMap(CLIENTS);
    events.banned({ kind, subject, until: expiresAt });
    // The ban stands for them now; once it is over, or taken back, counting begins anew.
    await counters.clear(kind, subject);
  };

  const log = async (
    { proof, username, isUnknown, ip, target }: ThrottledAttempt,
    outcome: 'success' | 'failure' | 'banned',
  ): Promise<void> => {
    await attempts?.insert({
      at: clock.now(),
      username: isUnknown ? '' : username,
      ip,
      kind: PROOFS[proof].logged,
      outcome,
      method: target?.method ?? '',
      url: target?.url.replace(/[?#].*$/s, '') ?? '',
    });
  };

  /** Whether it has been written in the last `REFUSAL_STEP` that this client was refused here, or tried unknown names. */
  const isWritten = ({ ip, username, isUnknown, proof }: ThrottledAttempt): boolean => {
    const key = `${keyOf({ ip, username: isUnknown ? '' : username })} ${proof}`;
    const now = clock.now();
    const since = now - (writtenAt.get(key) ?? -Infinity);
    if (since >= 0 && since < REFUSAL_STEP) return true;
    writtenAt.set(key, now);
    return false;
  };

  const settle = async (...jobs: readonly Promise<void>[]): Promise<void> => {
    for (const result of await Promise.allSettled(jobs)) {
      if (result.status === 'rejected') onFault(result.reason);
    }
  };

  return {
    async begin(attempt) {
      const budgets = budgetsOf(attempt);
      const finish = await turnOf(attempt, budgets);
      const used = await admit(attempt, budgets).catch((error: unknown) => {
        finish();
        throw error;
      });
      if (!used) {
        finish();
        const { username, ip, proof } = attempt;
        events.attemptRefused({ username, ip, proof, why: 'banned' });
        if (!isWritten(attempt)) await settle(log(attempt, 'banned'));
        return 'banned';
      }
      const isRepeated = Boolean(attempt.isUnknown) && isWritten(attempt);
      const settleAndFinish = (...jobs: readonly Promise<void>[]): Promise<void> =>
        settle(...jobs).finally(finish);
      return {
        isRepeated,
        succeeded: () =>
          settleAndFinish(
            // Basic comes by itself with every request: if it forgot what others failed at, they had no limit.
            ...(attempt.proof === 'basic'
              ? [takeBack(used)]
              : used.map(({ kind, subject, against }) => counters.clear(kind, subject, against))),
            log(attempt, 'success'),
          ),
        failed: () =>
          settleAndFinish(
            ...used.map(async ({ counted, limit, bans: banned }) => {
              await counters.fail(counted);
              if (banned && counted.count >= limit) await ban(banned);
            }),
            ...(isRepeated ? [] : [log(attempt, 'failure')]),
          ),
        takeBack: () => settleAndFinish(takeBack(used)),
      };
    },

    allows(client) {
      const key = keyOf(client);
      const now = clock.now();
      const asked = askedAt.get(key);
      // A clock that was set back must not make what is known last.
      if (asked !== undefined && asked <= now && now - asked < BAN_AGE) return true;
      const known = askedAt;
      return bans.findInForce(subjectsOf(client, 'basic'), now).then((found) => {
        if (found) {
          known.delete(key);
          return false;
        }
        known.set(key, now);
        return true;
      });
    },
  };
}
