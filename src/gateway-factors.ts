import type { GatewaySessions } from './authn/gateway-session.ts';
import type { Configuration } from './config/schema.ts';
import type { Events } from './events.ts';
import { createRecoveryCodes, type RecoveryCodes } from './factors/recovery-codes.ts';
import { totpSchema } from './factors/config.ts';
import { createTotpFactor, type TotpFactor } from './factors/totp-factor.ts';
import type { GatewayThrottle } from './gateway-throttle.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import type { Random } from './lib/random.ts';
import { createTokenSealer } from './lib/sealed-token.ts';
import type { Notices } from './login/notices.ts';
import { createSecondFactor, noSecondFactor, type SecondFactor } from './login/second-factor.ts';
import { createPreferences, type Preferences } from './storage/preferences.ts';
import { createRecoveryCodeRows } from './storage/recovery-codes.ts';
import type { Storage } from './storage/storage.ts';
import { createTotpCredentials } from './storage/totp-credentials.ts';

/** The wiring of second factors. */
export interface GatewayFactors {
  readonly secondFactor: SecondFactor;
  /** Null where there is no storage: then nobody can have a second factor. */
  readonly account: {
    /** Null where codes are switched off. */
    readonly totp: TotpFactor | null;
    readonly recoveryCodes: RecoveryCodes;
    readonly preferences: Preferences;
  } | null;
}

interface GatewayFactorsDeps extends GatewayThrottle {
  readonly storage: Storage | null;
  readonly sessions: GatewaySessions;
  readonly notices: Notices | null;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: Events;
}

/** What is sealed is good in every process with the same `session.secret`. */
export function createGatewayFactors(
  config: Configuration,
  { storage, random, clock, logger, ...deps }: GatewayFactorsDeps,
): GatewayFactors {
  if (!storage) return { secondFactor: noSecondFactor, account: null };
  const { secret = random.bytes(32).toString('base64url'), accepted_secrets: accepted } = config.session;
  const sealer = createTokenSealer([secret, ...accepted], { random, clock });
  const options = config.totp ?? defaultTotp;
  const store = createTotpCredentials(storage);
  const totp = options.disable ? null : createTotpFactor(options, { store, sealer, random, clock, logger });
  const recoveryCodes = createRecoveryCodes(createRecoveryCodeRows(storage), { random });
  return {
    secondFactor: createSecondFactor({ ...deps, totp, recoveryCodes, clock }),
    account: { totp, recoveryCodes, preferences: createPreferences(storage) },
  };
}

/** Where the section `totp` is absent. */
const defaultTotp = totpSchema.parse({});
