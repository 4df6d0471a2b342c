import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { TokenSealer } from '../lib/sealed-token.ts';
import {
  createTotpSecret,
  formatTotpSecret,
  matchTotpCode,
  type TotpKey,
  type TotpParameters,
  totpUrl,
} from './totp.ts';

/**
 * The time-based one-time password as a factor: who has one, whether a code is right, and how one is enrolled.
 *
 * An enrolment leaves no record until its code has been confirmed: the secret travels sealed with the person, bound to
 * him and to his session, for ten minutes. Not here: the throttle (ask it before `verify` and `finishEnrolment`), the
 * elevation that an enrolment and a removal need, the notices.
 */
export interface TotpFactor {
  /** What is known of the person's authenticator, without its secret; null for who has none. */
  find(username: string): Promise<TotpDetails | null>;
  /**
   * Checks a code and uses its step up, so that the same code is never right again, on no replica. Throws when the store
   * cannot say.
   */
  verify(username: string, code: string): Promise<TotpCheck>;
  /** What may be chosen at an enrolment, and what is chosen where nothing is said. */
  readonly choices: TotpChoices;
  /** Null when `choice` asks for what the configuration does not allow. */
  beginEnrolment(owner: EnrolmentOwner, choice?: Partial<TotpParameters>): TotpEnrolment | null;
  /** An enrolment that is under way, to be shown again; null when it is over. */
  resumeEnrolment(owner: EnrolmentOwner, sealed: string): TotpEnrolment | null;
  /**
   * Confirms an enrolment with a first code and stores it in the place of an earlier one. `prepare` runs in between: when it
   * throws nothing is stored, and the next code confirms.
   */
  finishEnrolment(
    owner: EnrolmentOwner,
    sealed: string,
    code: string,
    prepare?: () => Promise<void>,
  ): Promise<EnrolmentResult>;
  /** Whether there was one to remove. */
  remove(username: string): Promise<boolean>;
}

/** The user name and the public id of the session: an enrolment goes on only in the session in which it began. */
export interface EnrolmentOwner {
  readonly username: string;
  readonly session: string;
}

export interface TotpEnrolment {
  /** For the QR code; contains the secret. */
  readonly url: string;
  /** Base32, for typing in. */
  readonly secret: string;
  readonly parameters: TotpParameters;
  /** Goes to the browser and comes back with the first code. */
  readonly sealed: string;
}

export interface TotpChoices {
  readonly default: TotpParameters;
  readonly algorithms: readonly TotpParameters['algorithm'][];
  readonly digits: readonly TotpParameters['digits'][];
  readonly periods: readonly number[];
}

/** A failure is shown to the person as one, whatever the reason; the reasons are for the record of events. */
export type TotpCheck =
  | { readonly status: 'success'; readonly step: number }
  | { readonly status: 'failure'; readonly reason: 'not-enrolled' | 'wrong-code' | 'used-code' };

export type EnrolmentResult =
  | { readonly status: 'success' }
  | {
      readonly status: 'failure';
      /** 'expired' and 'invalid' mean to begin again, the others to type the next code. */
      readonly reason: 'expired' | 'invalid' | 'wrong-code' | 'used-code';
    };

export interface TotpDetails extends TotpParameters {
  readonly issuer: string;
  /** Milliseconds since the epoch, as all times here. */
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
}

export interface TotpCredential extends TotpDetails {
  readonly username: string;
  readonly secret: Uint8Array;
}

/** Where authenticators are kept, one for each person. Everything throws when the store cannot answer. */
export interface TotpStore {
  find(username: string): Promise<TotpCredential | null>;
  /** Puts it in the place of the person's earlier one. */
  replace(credential: TotpCredential): Promise<void>;
  remove(username: string): Promise<boolean>;
  /**
   * One insert on the unique key (username, start of the step): true for the caller whose row it is, false for all others,
   * for as long as the step could be accepted; false for steps that start before a recorded one, too. `start` is in seconds
   * since the epoch, so that steps of authenticators with different periods compare.
   */
  recordStep(username: string, start: number): Promise<boolean>;
  recordUse(username: string, at: number): Promise<void>;
}

/** What of `totp` in the configuration is needed here. */
export interface TotpOptions extends TotpParameters {
  readonly issuer: string;
  readonly skew: number;
  readonly secret_size: number;
  readonly allowed_algorithms: readonly TotpParameters['algorithm'][];
  readonly allowed_digits: readonly TotpParameters['digits'][];
  readonly allowed_periods: readonly number[];
  readonly disable_reuse_security_policy: boolean;
}

export interface TotpFactorDeps {
  readonly store: TotpStore;
  readonly sealer: TokenSealer;
  readonly random: Random;
  readonly clock: Clock;
  readonly logger: { readonly warn: (fields: Record<string, unknown>, message: string) => void };
}

/** Milliseconds. */
const ENROLMENT_LIFETIME = 600_000;

const PURPOSE = 'totp enrolment';

export function createTotpFactor(options: TotpOptions, deps: TotpFactorDeps): TotpFactor {
  const { store, sealer, random, clock } = deps;

  /** The step of the code, now used up. */
  const useCode = async (username: string, key: TotpKey, code: string): Promise<TotpCheck> => {
    const step = matchTotpCode(key, code, clock.now(), options.skew);
    if (step === null) return { status: 'failure', reason: 'wrong-code' };
    const start = step * key.period;
    if (!options.disable_reuse_security_policy && !(await store.recordStep(username, start))) {
      return { status: 'failure', reason: 'used-code' };
    }
    return { status: 'success', step };
  };

  const enrolmentOf = ({ username }: EnrolmentOwner, key: TotpKey, sealed: string): TotpEnrolment => {
    const { algorithm, digits, period } = key;
    const url = totpUrl(key, options.issuer, username);
    return { url, secret: formatTotpSecret(key.secret), parameters: { algorithm, digits, period }, sealed };
  };

  return {
    choices: {
      default: { algorithm: options.algorithm, digits: options.digits, period: options.period },
      algorithms: options.allowed_algorithms,
      digits: options.allowed_digits,
      periods: options.allowed_periods,
    },

    async find(username) {
      const found = await store.find(username);
      if (!found) return null;
      const { issuer, algorithm, digits, period, createdAt, lastUsedAt } = found;
      return { issuer, algorithm, digits, period, createdAt, lastUsedAt };
    },

    async verify(username, code) {
      const credential = await store.find(username);
      if (!credential) return { status: 'failure', reason: 'not-enrolled' };
      const check = await useCode(username, credential, code);
      if (check.status === 'success') {
        // The code is used up: to fail now because a date could not be written would cost the person the next one too.
        await store.recordUse(username, clock.now()).catch((cause: unknown) => {
          deps.logger.warn(
            { err: cause, username },
            'the last use of an authenticator could not be written down',
          );
        });
      }
      return check;
    },

    beginEnrolment(owner, choice = {}) {
      const { algorithm = options.algorithm, digits = options.digits, period = options.period } = choice;
      const isAllowed =
        options.allowed_algorithms.includes(algorithm) &&
        options.allowed_digits.includes(digits) &&
        options.allowed_periods.includes(period);
      if (!isAllowed) return null;
      const key = { algorithm, digits, period, secret: createTotpSecret(options.secret_size, random) };
      const sealed = sealer.seal(PURPOSE, bindingsOf(owner), formatKey(key), ENROLMENT_LIFETIME);
      return enrolmentOf(owner, key, sealed);
    },

    resumeEnrolment(owner, sealed) {
      const opened = sealer.open(PURPOSE, bindingsOf(owner), sealed);
      return typeof opened === 'string' ? null : enrolmentOf(owner, parseKey(opened.text), sealed);
    },

    async finishEnrolment(owner, sealed, code, prepare) {
      const opened = sealer.open(PURPOSE, bindingsOf(owner), sealed);
      if (typeof opened === 'string') return { status: 'failure', reason: opened };
      const key = parseKey(opened.text);
      const { username } = owner;
      const check = await useCode(username, key, code);
      if (check.status === 'failure') {
        return { status: 'failure', reason: check.reason === 'used-code' ? 'used-code' : 'wrong-code' };
      }
      await prepare?.();
      const now = clock.now();
      await store.replace({ ...key, username, issuer: options.issuer, createdAt: now, lastUsedAt: null });
      return { status: 'success' };
    },

    remove: (username) => store.remove(username),
  };
}

const bindingsOf = ({ username, session }: EnrolmentOwner): readonly string[] => [username, session];

const formatKey = ({ secret, ...parameters }: TotpKey): string =>
  JSON.stringify({ ...parameters, secret: Buffer.from(secret).toString('base64') });

/** Believed as it is: only `formatKey` writes what the seal of this purpose holds. */
function parseKey(text: string): TotpKey {
  const { secret, ...parameters } = JSON.parse(text) as TotpParameters & { readonly secret: string };
  return { ...parameters, secret: Buffer.from(secret, 'base64') };
}
