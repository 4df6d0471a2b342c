import type { GatewayPayload, GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { Events } from '../events.ts';
import type { RecoveryCodes } from '../factors/recovery-codes.ts';
import type { TotpParameters } from '../factors/totp.ts';
import type {
  EnrolmentOwner,
  EnrolmentResult,
  TotpChoices,
  TotpDetails,
  TotpEnrolment,
  TotpFactor,
} from '../factors/totp-factor.ts';
import type { Notice, Notices, NoticeSource } from '../login/notices.ts';
import { changeSession } from '../login/change-session.ts';
import type { Preferences } from '../storage/preferences.ts';

/** A request that changes something, as mails and records tell of it. */
export type FactorSource = NoticeSource & { readonly ip: string };

/** The person's own session, and how it is read again. */
export interface OwnSession {
  readonly session: GatewaySession;
  readonly find: () => Promise<GatewaySession | null>;
}

/**
 * What a person does with the second factors of his own. Everything throws when storage or session store cannot answer.
 * Who may do it is asked before, by the guards of the routes.
 */
export interface FactorActions {
  /** What he has, and what there is to have. */
  overview(username: string): Promise<FactorOverview>;
  /** False when this installation offers no such method. Only a wish: what is enrolled decides. */
  prefer(username: string, method: string): Promise<boolean>;
  /** Null where one-time passwords are switched off, and where nothing is stored. */
  readonly totp: TotpActions | null;
  /** Makes a new set, shown this once; null for who has no second factor that they could stand for. */
  renewRecoveryCodes(session: GatewaySession, from: FactorSource): Promise<readonly string[] | null>;
}

export interface TotpActions {
  readonly choices: TotpChoices;
  /**
   * Begins an enrolment in the place of another one of this session; it holds ten minutes. Null when the choice is not
   * allowed, 'gone' when the session has ended meanwhile.
   */
  begin(own: OwnSession, choice: Partial<TotpParameters>): Promise<TotpEnrolment | 'not-allowed' | 'gone'>;
  /** The enrolment that is under way in this session. */
  pending(session: GatewaySession): TotpEnrolment | null;
  /**
   * Confirms it with a first code. The new authenticator takes the place of an earlier one; then the person's other
   * sessions end, as somebody else may hold that one.
   */
  finish(own: OwnSession, code: string, from: FactorSource): Promise<EnrolmentResult>;
  cancel(own: OwnSession): Promise<void>;
  /** Ends the person's other sessions, and removes it with the recovery codes. False when there was none. */
  remove(session: GatewaySession, from: FactorSource): Promise<boolean>;
}

export interface FactorOverview {
  readonly totp: TotpDetails | null;
  readonly recoveryCodes: number;
  /** In the spelling of Authelia. */
  readonly available: readonly ApiMethod[];
  /** What is offered first; empty where nothing is offered. */
  readonly method: ApiMethod | '';
}

export type ApiMethod = 'totp';

export interface FactorActionDeps {
  /** Null where nothing is stored. */
  readonly account: {
    readonly totp: TotpFactor | null;
    readonly recoveryCodes: RecoveryCodes;
    readonly preferences: Preferences;
  } | null;
  readonly sessions: GatewaySessions;
  readonly events: Pick<Events, 'factorAdded' | 'factorRemoved' | 'recoveryCodesMade'>;
  readonly notices: Notices | null;
}

const NOTHING: FactorOverview = { totp: null, recoveryCodes: 0, available: [], method: '' };

export function createFactorActions({ account, sessions, events, notices }: FactorActionDeps): FactorActions {
  const tell = (session: GatewaySession, from: FactorSource, notice: Notice): void =>
    notices?.tell(session.payload.profile, from, notice);

  const endOthers = async (session: GatewaySession, from: FactorSource): Promise<void> => {
    const count = await sessions.endAllOf(session.userId, 'revoked', session.publicId);
    if (count > 0) tell(session, from, { kind: 'sessions-ended', count, by: 'person' });
  };

  const update = (
    { session, find }: OwnSession,
    change: (payload: GatewayPayload) => GatewayPayload,
  ): Promise<GatewaySession | null> =>
    changeSession(session, find, (current) => sessions.update(current, change(current.payload)));

  if (!account) {
    return {
      overview: async () => NOTHING,
      prefer: async () => false,
      totp: null,
      renewRecoveryCodes: async () => null,
    };
  }
  const { totp, recoveryCodes, preferences } = account;
  const available: readonly ApiMethod[] = totp ? ['totp'] : [];

  return {
    async overview(username) {
      const [credential = null, left, preferred] = await Promise.all([
        totp?.find(username),
        recoveryCodes.count(username),
        preferences.findSecondFactorMethod(username),
      ]);
      const method = available.find((one) => one === preferred) ?? available[0] ?? '';
      return { totp: credential, recoveryCodes: left, available, method };
    },

    async prefer(username, method) {
      if (!available.some((one) => one === method)) return false;
      await preferences.setSecondFactorMethod(username, method);
      return true;
    },

    totp: totp && createTotpActions(totp),

    async renewRecoveryCodes(session, from) {
      const { userId: username } = session;
      if (!(await totp?.find(username))) return null;
      const codes = await recoveryCodes.renew(username);
      events.recoveryCodesMade({ username, ip: from.ip });
      tell(session, from, { kind: 'recovery-codes-made' });
      return codes;
    },
  };

  function createTotpActions(factor: TotpFactor): TotpActions {
    return {
      choices: factor.choices,

      async begin(own, choice) {
        const enrolment = factor.beginEnrolment(ownerOf(own.session), choice);
        if (!enrolment) return 'not-allowed';
        const { sealed: totpEnrolment } = enrolment;
        const changed = await update(own, (payload) => ({ ...payload, totpEnrolment }));
        return changed ? enrolment : 'gone';
      },

      pending(session) {
        const { totpEnrolment: sealed } = session.payload;
        return sealed === undefined ? null : factor.resumeEnrolment(ownerOf(session), sealed);
      },

      // Not counted: who confirms has been shown the secret, and gains nothing by guessing.
      async finish(own, code, from) {
        const { session } = own;
        const { totpEnrolment: sealed } = session.payload;
        if (sealed === undefined) return { status: 'failure', reason: 'expired' };
        const { userId: username } = session;
        const isReplacing = (await factor.find(username)) !== null;
        // Once before, so that nothing is stored while the stores cannot end anything; and once afterwards, for what was
        // begun with the earlier one in between. What is left of a factor that was taken away by somebody else stands for
        // no new one.
        const prepare = (): Promise<void> =>
          isReplacing ? endOthers(session, from) : recoveryCodes.remove(username);
        const result = await factor.finishEnrolment(ownerOf(session), sealed, code, prepare);
        if (result.status === 'failure') return result;
        events.factorAdded({ username, ip: from.ip, factor: 'totp' });
        tell(session, from, { kind: 'factor-added', factor: 'totp' });
        if (isReplacing) await endOthers(session, from);
        await update(own, (payload) =>
          payload.totpEnrolment === sealed ? withoutEnrolment(payload) : payload,
        );
        return result;
      },

      async cancel(own) {
        if (own.session.payload.totpEnrolment !== undefined) await update(own, withoutEnrolment);
      },

      async remove(session, from) {
        const { userId: username } = session;
        // First, also when nothing is left to remove: so a removal that failed half-way is mended by asking once more.
        await endOthers(session, from);
        await recoveryCodes.remove(username);
        if (!(await factor.remove(username))) return false;
        events.factorRemoved({ username, ip: from.ip, factor: 'totp' });
        tell(session, from, { kind: 'factor-removed', factor: 'totp' });
        // Once more, for what was begun with it in between.
        await endOthers(session, from);
        return true;
      },
    };
  }
}

const ownerOf = ({ userId, publicId }: GatewaySession): EnrolmentOwner => ({
  username: userId,
  session: publicId,
});

function withoutEnrolment(payload: GatewayPayload): GatewayPayload {
  const { totpEnrolment, ...rest } = payload;
  return totpEnrolment === undefined ? payload : rest;
}
