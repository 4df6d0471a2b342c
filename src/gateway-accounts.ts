import type { GatewaySessions } from './authn/gateway-session.ts';
import type { Configuration } from './config/schema.ts';
import type { Events } from './events.ts';
import { passwordPolicySchema } from './factors/config.ts';
import type { PasswordFactor } from './factors/password-factor.ts';
import { createPasswordPolicy } from './factors/password-policy.ts';
import { openPasswordStrength } from './factors/password-strength.ts';
import type { Throttle } from './factors/throttle.ts';
import type { GatewayStorage } from './gateway-storage.ts';
import { createBackgroundJobs } from './lib/background-jobs.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import type { Random } from './lib/random.ts';
import { systemTimers } from './lib/timers.ts';
import { identityValidationSchema } from './login/config.ts';
import { createElevation } from './login/elevation.ts';
import { createNewPassword, type WritableUsers } from './login/new-password.ts';
import type { Notices } from './login/notices.ts';
import { createPasswordChange } from './login/password-change.ts';
import { createPasswordReset } from './login/password-reset.ts';
import { createReauthentication } from './login/reauthentication.ts';
import type { SecondFactor } from './login/second-factor.ts';
import type { AccountFlows } from './portal/account-routes.ts';
import { endByPublicId } from './portal/sessions-actions.ts';
import { deviceSummary } from './portal/sessions-device.ts';
import { createOneTimeCodes } from './storage/one-time-codes.ts';
import { createRateBuckets } from './storage/rate-buckets.ts';
import { createResetLinks } from './storage/reset-links.ts';
import type { UserBackend } from './users/backend.ts';

/** The wiring of what people do about their accounts. What is under way survives a reload. */
export interface GatewayAccounts {
  /** What a configuration makes of it. */
  flowsOf(config: Configuration, core: CoreParts): AccountFlows;
  /** Finishes what is under way, before the storage closes. */
  close(): Promise<void>;
}

interface GatewayAccountsDeps {
  /** Null without a storage: then nothing is mailed, and nothing that needs an elevation is offered. */
  readonly kept: GatewayStorage | null;
  readonly sessions: GatewaySessions;
  readonly notices: Notices | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: Events;
}

/** What a reload exchanges. */
interface CoreParts {
  readonly users: UserBackend;
  readonly password: PasswordFactor;
  readonly throttle: Throttle;
  readonly secondFactor: SecondFactor;
}

export function openGatewayAccounts(deps: GatewayAccountsDeps): GatewayAccounts {
  const { kept, sessions, notices, clock, random, logger, events } = deps;
  const timers = systemTimers;
  const strength = openPasswordStrength({ timers });
  const jobs = createBackgroundJobs({
    timers,
    onFailure: (error) => logger.error({ error }, 'a link to reset a password could not be mailed'),
  });
  const stored = kept && {
    mail: kept.mail,
    codes: createOneTimeCodes(kept.storage),
    links: createResetLinks(kept.storage),
    buckets: createRateBuckets(kept.storage),
  };
  const onLeftover = (username: string, error: unknown): void =>
    logger.error(
      { error, username },
      'a password was changed, and what began with the old one could not be ended entirely',
    );

  return {
    flowsOf(config, { users, password, throttle, secondFactor }) {
      const policy = createPasswordPolicy(config.password_policy ?? passwordPolicySchema.parse({}), {
        strength,
      });
      const validation = config.identity_validation ?? identityValidationSchema.parse({});
      const { password_reset: reset, password_change: change } = config.authentication_backend;
      const writable = isWritable(users) ? users : null;
      const newPassword =
        writable &&
        createNewPassword({
          users: writable,
          policy,
          sessions,
          links: stored?.links ?? null,
          notices,
          events,
          clock,
          onLeftover,
        });
      const { mail = null } = stored ?? {};
      return {
        rules: policy.rules,
        reauthentication: createReauthentication({ password, sessions, clock }),
        elevation:
          stored &&
          createElevation({
            options: validation.elevated_session,
            sessions,
            endSession: (username, publicId) => endByPublicId(sessions, username, publicId),
            codes: stored.codes,
            mail: stored.mail,
            throttle,
            hasSecondFactor: async (username) => (await secondFactor.enrolled(username)).length > 0,
            deviceOf: deviceSummary,
            clock,
            timers,
            random,
            events,
          }),
        change:
          stored && newPassword && !change.disable
            ? createPasswordChange({ password, sessions, newPassword, clock, onLeftover })
            : null,
        reset:
          stored && mail && writable && newPassword && !reset.disable && reset.custom_url === undefined
            ? createPasswordReset({
                lifespan: validation.reset_password.jwt_lifespan,
                users: writable,
                links: stored.links,
                buckets: stored.buckets,
                mail,
                newPassword,
                jobs,
                deviceOf: deviceSummary,
                clock,
                random,
                events,
                onFailure: (error) => logger.error({ error }, 'a new password could not be written'),
                onOverload: () =>
                  logger.warn({}, 'a password reset was not looked at: too many are under way'),
              })
            : null,
      };
    },

    async close() {
      await jobs.close();
      await strength.close();
    },
  };
}

function isWritable(users: UserBackend): users is WritableUsers {
  return users.setPassword !== undefined;
}
