/** The root of the configuration: the sections of all folders, joined. */
import type { z } from 'zod';
import { accessControlSchema, definitionsSchema } from '../decision/config.ts';
import {
  defaultSecondFactorSchema,
  duoSchema,
  ntpSchema,
  passwordPolicySchema,
  rateLimitsSchema,
  regulationSchema,
  totpSchema,
  webauthnSchema,
} from '../factors/config.ts';
import { authzEndpointsSchema } from '../forward-auth/config.ts';
import { certificatesDirectorySchema, serverShape, telemetrySchema } from '../http/config.ts';
import { logSchema } from '../lib/log-config.ts';
import { flag, section } from '../lib/schema.ts';
import { identityValidationSchema } from '../login/config.ts';
import { notifierSchema } from '../notifier/config.ts';
import { identityProvidersSchema } from '../oidc/config.ts';
import { privacyPolicySchema, themeSchema } from '../portal/config.ts';
import { sessionSchema } from '../sessions/config.ts';
import { storageSchema } from '../storage/config.ts';
import { authenticationBackendSchema } from '../users/config.ts';
import { outlineOf } from './outline.ts';

const serverSchema = section({
  ...serverShape,
  endpoints: section({
    enable_pprof: flag().prefault(false).describe('Serves profiles under `/debug/pprof`.'),
    enable_expvars: flag().prefault(false).describe('Serves variables under `/debug/vars`.'),
    authz: authzEndpointsSchema,
    rate_limits: rateLimitsSchema.prefault({}).describe('How often one address may ask.'),
  })
    .prefault({})
    .describe('What is served besides the portal.'),
})
  .transform((server) => ({
    ...server,
    // The check asks over TCP.
    disable_healthcheck:
      server.disable_healthcheck || server.address.scheme === 'unix' || server.address.scheme === 'fd',
  }))
  .describe('The listener.');

/** The whole configuration file. */
export const configurationSchema = section({
  theme: themeSchema,
  certificates_directory: certificatesDirectorySchema,
  default_2fa_method: defaultSecondFactorSchema,
  server: serverSchema.prefault({}),
  log: logSchema.prefault({}).describe('The log.'),
  telemetry: telemetrySchema.prefault({}),
  authentication_backend: authenticationBackendSchema.describe(
    'Where people and their passwords come from: one of `file` and `ldap`.',
  ),
  session: sessionSchema.describe('Sessions and their cookies.'),
  access_control: accessControlSchema.prefault({}).describe('Who may see what.'),
  definitions: definitionsSchema.prefault({}).describe('Names for what several sections use.'),
  storage: storageSchema
    .optional()
    .describe('Database for what outlives a session: one of `local`, `mysql` and `postgres`.'),
  notifier: notifierSchema.optional().describe('How people are told things: one of `filesystem` and `smtp`.'),
  identity_validation: identityValidationSchema
    .optional()
    .describe('How people prove that they are themselves before they change credentials.'),
  totp: totpSchema.optional().describe('Time-based codes (RFC 6238).'),
  webauthn: webauthnSchema.optional().describe('Security keys and passkeys.'),
  duo_api: duoSchema.optional().describe('Duo push notifications.'),
  regulation: regulationSchema.prefault({}).describe('Bans after failed attempts.'),
  password_policy: passwordPolicySchema.optional().describe('What new passwords must be like.'),
  ntp: ntpSchema.optional().describe('Check of the clock at start.'),
  privacy_policy: privacyPolicySchema.optional().describe('Link to a privacy policy.'),
  identity_providers: identityProvidersSchema
    .optional()
    .describe('Sallyport as an identity provider for applications.'),
});

/** The configuration after parsing: keys as in the file, durations in milliseconds, defaults filled in, frozen. */
export type Configuration = z.output<typeof configurationSchema>;

export const configurationOutline = outlineOf(configurationSchema);
