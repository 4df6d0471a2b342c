import { type GatewaySession, type GatewaySessions, levelOf } from '../authn/gateway-session.ts';
import { factorKind } from '../decision/factors.ts';
import type { Events } from '../events.ts';
import type { Throttle } from '../factors/throttle.ts';
import { addressShare } from '../lib/address-share.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { Timers } from '../lib/timers.ts';
import type { MailQueue } from '../notifier/mail-queue.ts';
import { elevationCodeMail } from '../notifier/messages.ts';
import type { OneTimeCodes } from '../storage/one-time-codes.ts';
import { randomText } from '../users/random-text.ts';
import { changeSession } from './change-session.ts';
import { type DeviceOf, mailContext } from './mail-context.ts';
import type { NoticeSource } from './notices.ts';

/**
 * The proof that is asked for before credentials change, also of somebody who is signed in: a one-time code from the
 * person's mail, or, where `skip_second_factor` says so, a second factor that was shown a moment ago. With
 * `require_second_factor`, who has a second factor must have shown it in this session as well; what is enrolled decides,
 * never a preference. It holds for a while, in this session, from this address.
 */
export interface Elevation {
  /** An elevation that is over, or was proven from another address, ends by this. Throws what the stores throw. */
  standingOf(session: GatewaySession, ip: string): Promise<ElevationStanding>;
  /** Mails a code to the person. A code from before is void. */
  start(session: GatewaySession, source: NoticeSource): Promise<CodeSent | 'no-address' | 'not-sent'>;
  /** Exactly one of several callers with the right code succeeds; null for all others, whatever the reason. */
  finish(attempt: CodeAttempt): Promise<RaisedSession | null>;
  /**
   * Makes a code void for who got the mail; one that was used already ends the session in which it counted. False when
   * there was neither.
   */
  revoke(id: string): Promise<boolean>;
}

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

export interface CodeAttempt {
  readonly session: GatewaySession;
  /** As it was typed. */
  readonly code: string;
  readonly ip: string;
  /** The session as it is now. */
  readonly find: () => Promise<GatewaySession | null>;
}

/** A session under its new token. */
export interface RaisedSession {
  readonly token: string;
  readonly session: GatewaySession;
}

export interface CodeSent {
  /** Names the code where it is revoked. */
  readonly id: string;
  /** The mail server has not taken the mail yet; it is tried again in the background. */
  readonly isDelayed: boolean;
}

/** `identity_validation.elevated_session`; times in milliseconds. */
export interface ElevationOptions {
  readonly code_lifespan: number;
  readonly elevation_lifespan: number;
  readonly characters: number;
  readonly require_second_factor: boolean;
  readonly skip_second_factor: boolean;
}

export interface ElevationDeps {
  readonly options: ElevationOptions;
  readonly sessions: GatewaySessions;
  /** Ends the session of this user with this public id; false when there is none. */
  readonly endSession: (username: string, publicId: string) => Promise<boolean>;
  readonly codes: OneTimeCodes;
  /** Null without a notifier: then only a second factor can be shown. */
  readonly mail: MailQueue | null;
  readonly throttle: Throttle;
  readonly hasSecondFactor: (username: string) => Promise<boolean>;
  readonly deviceOf: DeviceOf;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly events: Pick<Events, 'proofChecked' | 'elevated'>;
}

const PURPOSE = 'elevation';

/** No letter or digit that is taken for another one. */
export const CODE_ALPHABET = 'ABCDEFGHJKLMNPQRTUVWYXZ2346789';

/** Tries until a code is void, whoever makes them and from wherever. */
const TRIES = 5;

/** Milliseconds for which somebody waits to hear that his mail cannot be sent. */
const SEND_PATIENCE = 1000;

export function createElevation(deps: ElevationDeps): Elevation {
  const { options, sessions, codes, mail, throttle, clock, timers, random, events } = deps;

  const ownerOf = ({ userId, publicId }: GatewaySession) =>
    ({ username: userId, purpose: PURPOSE, sessionId: publicId }) as const;

  return {
    async standingOf(session, ip) {
      const now = clock.now();
      const { factors, elevation } = session.payload;
      const elevated =
        elevation !== undefined && now < elevation.until && addressShare(elevation.ip) === addressShare(ip);
      if (elevation && !elevated) {
        const { elevation: _over, ...payload } = session.payload;
        // Whoever changed the session meanwhile has the next request do this again.
        await sessions.update(session, payload);
      }
      const asksForFactor = options.require_second_factor || options.skip_second_factor;
      const enrolled = asksForFactor && (await deps.hasSecondFactor(session.userId));
      const hasTwo = levelOf(factors) === 2;
      const shownLately = factors.some(
        ({ method, at }) => factorKind[method] === 'possession' && now - at <= options.elevation_lifespan,
      );
      const needsSecondFactor = options.require_second_factor && enrolled && !hasTwo;
      const skipped = options.skip_second_factor && hasTwo && shownLately;
      return {
        mayChange: !needsSecondFactor && (elevated || skipped),
        elevated,
        expiresIn: elevated ? elevation.until - now : 0,
        needsSecondFactor,
        skipped,
        canSkip: options.skip_second_factor && enrolled,
      };
    },

    async start(session, source) {
      const now = clock.now();
      const context = mailContext(session.payload.profile, source, now, deps.deviceOf);
      if (!context) return 'no-address';
      if (!mail) return 'not-sent';
      const code = randomText(random, CODE_ALPHABET, options.characters);
      const id = random.bytes(24).toString('base64url');
      const expiresAt = now + options.code_lifespan;
      const ip = source.ip ?? '';
      await codes.insert({ ...ownerOf(session), id, code, ip, createdAt: now, expiresAt, attempts: TRIES });
      const revokeUrl = new URL(`revoke/one-time-code?id=${id}`, source.portalUrl).href;
      const enqueued = await mail.enqueue(elevationCodeMail(context, { code, revokeUrl, expiresAt }));
      if (enqueued.status === 'full') return 'not-sent';
      const outcome = await within(SEND_PATIENCE, enqueued.firstAttempt, timers);
      return outcome === 'dropped' ? 'not-sent' : { id, isDelayed: outcome !== 'sent' };
    },

    async finish({ session, code: typed, ip, find }) {
      const { userId: username } = session;
      const code = typed.trim().toUpperCase();
      const attempt = await throttle.begin({ username, ip, proof: 'elevation-code' });
      if (attempt === 'banned') return null;
      let result;
      try {
        result = await codes.consume(ownerOf(session), code, clock.now());
      } catch (error) {
        await attempt.takeBack();
        throw error;
      }
      const success = result === 'accepted';
      await (success ? attempt.succeeded() : attempt.failed());
      events.proofChecked({
        username,
        ip,
        proof: 'elevation-code',
        success,
        ...(!success && { reason: result }),
      });
      if (!success) return null;
      const until = clock.now() + options.elevation_lifespan;
      const raised = await changeSession(session, find, (current) =>
        sessions.rise(current, { ...current.payload, elevation: { until, ip } }),
      );
      if (raised) events.elevated({ username, ip });
      return raised;
    },

    async revoke(id) {
      const code = await codes.revoke(id, clock.now());
      if (!code) return false;
      return code.wasUsed ? deps.endSession(code.username, code.sessionId) : true;
    },
  };
}

/** What a promise says within `ms` milliseconds, else null. */
async function within<T>(ms: number, promise: Promise<T>, timers: Timers): Promise<T | null> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const cancel = timers.after(ms, () => resolve(null));
  try {
    return await Promise.race([promise, late]);
  } finally {
    cancel();
  }
}
