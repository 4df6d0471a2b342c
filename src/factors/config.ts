import type { z } from 'zod';
import { udpRules } from '../lib/address.ts';
import {
  address,
  choice,
  duration,
  flag,
  integer,
  list,
  secret,
  section,
  text,
  unique,
  words,
} from '../lib/schema.ts';

/** `default_2fa_method` */
export const defaultSecondFactorSchema = choice('', 'totp', 'webauthn', 'mobile_push')
  .prefault('')
  .describe('Second factor that is offered first to who has not chosen; must be enabled.');

const digits = () => choice(6, 8);

/** `totp` */
export const totpSchema = section({
  disable: flag().prefault(false).describe('Switches time-based codes off.'),
  issuer: text().prefault('Authelia').describe('Name that authenticator apps show.'),
  algorithm: choice('SHA1', 'SHA256', 'SHA512').prefault('SHA1').describe('Hash function of new secrets.'),
  digits: digits().prefault(6).describe('Length of a code.'),
  period: integer(15).prefault(30).describe('Seconds for which a code holds.'),
  skew: integer(0).prefault(1).describe('Periods before and after the present one that are accepted too.'),
  secret_size: integer(20).prefault(32).describe('Bytes of new secrets.'),
  allowed_algorithms: words('SHA1', 'SHA256', 'SHA512')
    .prefault(['SHA1'])
    .describe('What people may choose; `algorithm` is always among them.'),
  allowed_digits: unique(digits())
    .prefault([6])
    .describe('What people may choose; `digits` is always among them.'),
  allowed_periods: unique(integer(15))
    .prefault([30])
    .describe('What people may choose; `period` is always among them.'),
  disable_reuse_security_policy: flag().prefault(false).describe('Accepts a code twice. Dangerous.'),
}).transform((totp) => ({
  ...totp,
  allowed_algorithms: withFirst(totp.algorithm, totp.allowed_algorithms),
  allowed_digits: withFirst(totp.digits, totp.allowed_digits),
  allowed_periods: withFirst(totp.period, totp.allowed_periods),
}));

function withFirst<T>(first: T, rest: readonly T[]): T[] {
  return [...new Set([first, ...rest])];
}

const aaguids = () =>
  list(
    text({
      name: 'AAGUID',
      pattern: [
        /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
        'must be an AAGUID such as 08987058-cadc-4b81-b6e1-30de50dcbe96',
      ],
    }),
  );

const statuses = [
  'NOT_FIDO_CERTIFIED',
  'FIDO_CERTIFIED',
  'USER_VERIFICATION_BYPASS',
  'ATTESTATION_KEY_COMPROMISE',
  'USER_KEY_REMOTE_COMPROMISE',

  'USER_KEY_PHYSICAL_COMPROMISE',
  'UPDATE_AVAILABLE',
  'REVOKED',
  'SELF_ASSERTION_SUBMITTED',
  'FIDO_CERTIFIED_L1',
  'FIDO_CERTIFIED_L1plus',
  'FIDO_CERTIFIED_L2',
  'FIDO_CERTIFIED_L2plus',
  'FIDO_CERTIFIED_L3',
  'FIDO_CERTIFIED_L3plus',
];
const compromised = [
  'ATTESTATION_KEY_COMPROMISE',
  'USER_VERIFICATION_BYPASS',
  'USER_KEY_REMOTE_COMPROMISE',
  'USER_KEY_PHYSICAL_COMPROMISE',
  'REVOKED',
];

/** `webauthn` */
export const webauthnSchema = section({
  disable: flag().prefault(false).describe('Switches security keys and passkeys off.'),
  enable_passkey_login: flag().prefault(false).describe('A passkey may stand for the password.'),
  experimental_enable_passkey_uv_two_factors: flag()
    .prefault(false)
    .describe('A passkey that verified its user counts as two factors.'),
  experimental_enable_passkey_upgrade: flag()
    .prefault(false)
    .describe('Turns credentials into passkeys where the browser can.'),
  display_name: text().prefault('Authelia').describe('Name that browsers show.'),
  attestation_conveyance_preference: choice('none', 'indirect', 'direct')
    .prefault('indirect')
    .describe('How much a key tells about its make.'),
  timeout: duration().prefault('60s').describe('How long the ceremony may take.'),
  filtering: section({
    prohibit_backup_eligibility: flag().prefault(false).describe('Refuses credentials that can be copied.'),
    permitted_aaguids: aaguids().prefault([]).describe('Only these makes.'),
    prohibited_aaguids: aaguids().prefault([]).describe('Not these makes.'),
  })
    .superRefine((filtering, context) => {
      if (filtering.permitted_aaguids.length > 0 && filtering.prohibited_aaguids.length > 0) {
        context.addIssue({
          code: 'custom',
          path: ['prohibited_aaguids'],
          message: 'must not be combined with permitted_aaguids',
        });
      }
    })
    .prefault({})
    .describe('Which authenticators may be registered.'),
  selection_criteria: section({
    attachment: choice('', 'platform', 'cross-platform').prefault('').describe('Built in, or carried along.'),
    discoverability: choice('discouraged', 'preferred', 'required')
      .prefault('preferred')
      .describe('Whether the key keeps the credential itself.'),
    user_verification: choice('discouraged', 'preferred', 'required')
      .prefault('preferred')
      .describe('Whether the key asks for a PIN or a finger.'),
  })
    .prefault({})
    .describe('What is asked of authenticators.'),
  metadata: section({
    enabled: flag().prefault(false).describe('Checks authenticators against the FIDO metadata service.'),
    cache_policy: choice('strict', 'relaxed')
      .prefault('strict')
      .describe('Whether old metadata is used when the service cannot be reached.'),
    validate_trust_anchor: flag().prefault(true).describe('The attestation must lead to a known root.'),
    validate_entry: flag().prefault(true).describe('The make must be listed.'),
    validate_entry_permit_zero_aaguid: flag()
      .prefault(false)
      .describe('A make that does not tell its name is accepted.'),
    validate_status: flag().prefault(true).describe('The status of the make is looked at.'),
    validate_status_permitted: words(...statuses)
      .prefault([])
      .describe('Statuses of which one must be there.'),
    validate_status_prohibited: words(...statuses)
      .prefault(compromised)
      .describe('Statuses that must not be there.'),
  })
    .prefault({})
    .describe('FIDO metadata.'),
});

/** `duo_api`; `disable` is true when nothing is configured. */
export const duoSchema = section({
  disable: flag().prefault(false).describe('Switches Duo off.'),
  hostname: text({ minimum: 0 })
    .prefault('')
    .describe('Host of the API. This and the two keys: all or none.'),
  integration_key: secret({ minimum: 0 }).prefault('').describe('Integration key.'),
  secret_key: secret({ minimum: 0 }).prefault('').describe('Secret key.'),
  enable_self_enrollment: flag().prefault(false).describe('People may enrol themselves.'),
})
  .superRefine((duo, context) => {
    const keys = ['hostname', 'integration_key', 'secret_key'] as const;
    const missing = keys.filter((key) => duo[key] === '');
    if (duo.disable || missing.length === 0 || missing.length === keys.length) return;
    for (const key of missing)
      context.addIssue({ code: 'custom', path: [key], message: 'is required when Duo is used' });
  })
  .transform((duo) => ({ ...duo, disable: duo.disable || duo.hostname === '' }));

/** `regulation` */
export const regulationSchema = section({
  modes: words('user', 'ip')
    .prefault(['user'])
    .describe('What is banned: the name, the address (IPv6: its /64), or both.'),
  max_retries: integer(0)
    .prefault(3)
    .describe(
      'Wrong passwords before a ban; 0 switches bans off. As many wrong codes of one kind a person has in `ban_time`; with 0, ten.',
    ),
  find_time: duration().prefault('2m').describe('Span in which wrong passwords count; at most `ban_time`.'),
  ban_time: duration().prefault('5m').describe('How long a ban lasts.'),
}).superRefine((regulation, context) => {
  if (regulation.find_time > regulation.ban_time) {
    context.addIssue({ code: 'custom', path: ['find_time'], message: 'must not be longer than ban_time' });
  }
});

/** `password_policy` */
export const passwordPolicySchema = section({
  standard: section({
    enabled: flag().prefault(false).describe('Asks for length and kinds of characters.'),
    min_length: integer(1).prefault(8).describe('Bytes at least.'),
    max_length: integer(0).prefault(0).describe('Bytes at most; 0 for no limit.'),
    require_uppercase: flag().prefault(false).describe('At least one upper-case letter.'),
    require_lowercase: flag().prefault(false).describe('At least one lower-case letter.'),
    require_number: flag().prefault(false).describe('At least one digit.'),
    require_special: flag().prefault(false).describe('At least one other character.'),
  })
    .superRefine((standard, context) => {
      if (standard.max_length !== 0 && standard.max_length < standard.min_length) {
        context.addIssue({
          code: 'custom',
          path: ['max_length'],
          message: `must be at least min_length (${standard.min_length}), or 0`,
        });
      }
    })
    .prefault({})
    .describe('Rules about characters.'),
  zxcvbn: section({
    enabled: flag().prefault(false).describe('Estimates how hard a password is to guess.'),
    min_score: integer(0, 4).prefault(3).describe('Least score, 1 to 4; 0 means the default.'),
  })
    .transform((zxcvbn) => ({ ...zxcvbn, min_score: zxcvbn.min_score || 3 }))
    .prefault({})
    .describe('Estimate; not together with `standard`.'),
}).superRefine((policy, context) => {
  if (policy.standard.enabled && policy.zxcvbn.enabled) {
    context.addIssue({
      code: 'custom',
      path: ['zxcvbn', 'enabled'],
      message: 'must not be combined with password_policy.standard',
    });
  }
});

/** `ntp` */
export const ntpSchema = section({
  address: address(udpRules)
    .prefault('udp://time.cloudflare.com:123')
    .describe('Time server that is asked at start.'),
  version: choice(3, 4).prefault(4).describe('Version of the protocol.'),
  max_desync: duration().prefault('3s').describe('How far the clock may be off.'),
  disable_startup_check: flag().prefault(false).describe('Does not ask.'),
  disable_failure: flag().prefault(false).describe('Starts with a clock that is wrong.'),
});

const limits = [
  'reset_password_start',
  'reset_password_finish',
  'second_factor_totp',
  'second_factor_duo',
  'session_elevation_start',

  'session_elevation_finish',
  'openid_connect_token',
  'openid_connect_pushed_authorization_request',
  'openid_connect_userinfo',
  'openid_connect_introspection',
  'openid_connect_revocation',
] as const;

const bucketSchema = section({
  period: duration({ minimum: 10_000 }).describe('Span of time, at least 10s.'),
  requests: integer(1).describe('Requests in that span.'),
});

const limitSchema = section({
  enable: flag().prefault(true).describe('Whether requests are limited.'),
  buckets: list(bucketSchema).optional().describe('All of them must have room; default by endpoint.'),
});

const limitShape = Object.fromEntries(
  limits.map((name) => [
    name,
    limitSchema.prefault({}).describe(`Limits of ${name.replaceAll('_', ' ')}, by address.`),
  ]),
) as Record<(typeof limits)[number], z.ZodPrefault<typeof limitSchema>>;

/** `server.endpoints.rate_limits`. Absent buckets: the default of the endpoint. */
export const rateLimitsSchema = section(limitShape);
