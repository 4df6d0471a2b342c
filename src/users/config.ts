import { ldapRules } from '../lib/address.ts';
import {
  address,
  choice,
  duration,
  durationOr,
  flag,
  integer,
  named,
  path,
  secret,
  section,
  text,
  url,
} from '../lib/schema.ts';
import { tlsSchema } from '../lib/tls-config.ts';
import { PBKDF2_ITERATIONS } from './password-options.ts';

const attribute = section({
  multi_valued: flag().prefault(false).describe('The attribute is a list.'),
  value_type: choice('string', 'integer', 'boolean').describe('Type of its values.'),
});

const saltLength = () => integer(8, 2_147_483_647).prefault(16).describe('Bytes of the salt.');
const keyLength = () => integer(16, 2_147_483_647).prefault(32).describe('Bytes of the digest.');

const passwordSchema = section({
  algorithm: choice('argon2', 'scrypt', 'pbkdf2', 'sha2crypt', 'bcrypt')
    .prefault('argon2')
    .describe('For new passwords; old digests of every kind go on working.'),
  argon2: section({
    variant: choice('argon2id', 'argon2i', 'argon2d').prefault('argon2id').describe('Variant.'),
    iterations: integer(1, 2_147_483_647).prefault(3).describe('Passes over the memory.'),
    memory: integer(8, 4_294_967_295)
      .prefault(65_536)
      .describe('Memory in KiB; at least 8 times the parallelism.'),
    parallelism: integer(1, 16_777_215).prefault(4).describe('Lanes.'),
    key_length: integer(4, 2_147_483_647).prefault(32).describe('Bytes of the digest.'),
    salt_length: saltLength(),
  })
    .superRefine((argon2, context) => {
      if (argon2.memory < 8 * argon2.parallelism) {
        context.addIssue({
          code: 'custom',
          path: ['memory'],
          message: `must be at least 8 times parallelism (${8 * argon2.parallelism}), found ${argon2.memory}`,
        });
      }
    })
    .prefault({})
    .describe('Argon2 (RFC 9106).'),
  scrypt: section({
    variant: choice('scrypt', 'yescrypt').prefault('scrypt').describe('Variant.'),
    iterations: integer(1, 58).prefault(16).describe('Cost as a power of two.'),
    block_size: integer(1).prefault(8).describe('Block size r.'),
    parallelism: integer(1, 1_073_741_823).prefault(1).describe('Parallelism p.'),
    key_length: keyLength(),
    salt_length: saltLength(),
  })
    .prefault({})
    .describe('scrypt (RFC 7914).'),
  pbkdf2: section({
    variant: choice('sha1', 'sha224', 'sha256', 'sha384', 'sha512')
      .prefault('sha512')
      .describe('Hash function.'),
    iterations: integer(100_000, 2_147_483_647)
      .optional()
      .describe('Rounds; the default depends on the variant, 310000 for sha512.'),
    salt_length: saltLength(),
  })
    .transform((pbkdf2) => ({
      ...pbkdf2,
      iterations: pbkdf2.iterations ?? PBKDF2_ITERATIONS[pbkdf2.variant],
    }))
    .prefault({})
    .describe('PBKDF2 (RFC 8018).'),
  sha2crypt: section({
    variant: choice('sha256', 'sha512').prefault('sha512').describe('Hash function.'),
    iterations: integer(1000, 999_999_999).prefault(50_000).describe('Rounds.'),
    salt_length: integer(1, 16).prefault(16).describe('Characters of the salt.'),
  })
    .prefault({})
    .describe('SHA-2 crypt.'),
  bcrypt: section({
    variant: choice('standard', 'sha256')
      .prefault('standard')
      .describe('`sha256` hashes first, so that long passwords count in full.'),
    cost: integer(10, 31).prefault(12).describe('Cost as a power of two.'),
  })
    .prefault({})
    .describe('bcrypt.'),
});

const fileSchema = section({
  path: path().describe('The users file (YAML).'),
  watch: flag()
    .prefault(false)
    .describe('Reads the file again when it changes; a bad file leaves the last good one in force.'),
  search: section({
    email: flag()
      .prefault(false)
      .describe('One may sign in with the mail address too; addresses must be unique.'),
    case_insensitive: flag()
      .prefault(false)
      .describe('Letter case of user names does not count; names in the file must be lower case.'),
  })
    .prefault({})
    .describe('How a typed name is looked up.'),
  extra_attributes: named(attribute)
    .prefault({})
    .describe('Attributes of your own that users may have under `extra`.'),
  password: passwordSchema.prefault({}).describe('How new passwords are hashed.'),
});

const ldapAttributes = [
  'distinguished_name',
  'username',
  'display_name',
  'family_name',
  'given_name',
  'middle_name',
  'nickname',
  'gender',
  'birthdate',

  'website',
  'profile',
  'picture',
  'zoneinfo',
  'locale',
  'phone_number',
  'phone_extension',
  'street_address',
  'locality',
  'region',
  'postal_code',
  'country',
  'mail',
  'member_of',
  'group_name',
] as const;
type LdapAttribute =
  | 'distinguished_name'
  | 'username'
  | 'display_name'
  | 'mail'
  | 'member_of'
  | 'group_name'
  | (string & Record<never, never>);

const optionalText = () => text({ minimum: 0 }).optional();

const attributeShape = Object.fromEntries(
  ldapAttributes.map((name) => [
    name,
    optionalText().describe(
      `LDAP attribute with the ${name.replaceAll('_', ' ')}; default by implementation.`,
    ),
  ]),
) as Record<LdapAttribute, ReturnType<typeof optionalText>>;

/** Starting values of each kind of directory. */
const implementations = {
  custom: {},
  activedirectory: {
    users_filter:
      '(&(|({username_attribute}={input})({mail_attribute}={input}))(sAMAccountType=805306368)(!(userAccountControl:1.2.840.113556.1.4.803:=2))(!(pwdLastSet=0))(|(!(accountExpires=*))(accountExpires=0)(accountExpires>={date-time:microsoft-nt})))',
    groups_filter: '(&(member={dn})(|(sAMAccountType=268435456)(sAMAccountType=536870912)))',
  },
  rfc2307bis: {
    users_filter:
      '(&(|({username_attribute}={input})({mail_attribute}={input}))(|(objectClass=inetOrgPerson)(objectClass=organizationalPerson)))',
    groups_filter:
      '(&(|(member={dn})(uniqueMember={dn}))(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers))(!(pwdReset=TRUE)))',
  },
  freeipa: {
    users_filter:
      '(&(|({username_attribute}={input})({mail_attribute}={input}))(objectClass=person)(!(nsAccountLock=TRUE))(krbPasswordExpiration>={date-time:generalized})(|(!(krbPrincipalExpiration=*))(krbPrincipalExpiration>={date-time:generalized})))',
    groups_filter: '(&(member={dn})(objectClass=groupOfNames))',
  },
  lldap: {
    users_filter: '(&(|({username_attribute}={input})({mail_attribute}={input}))(objectClass=person))',
    groups_filter: '(&(member={dn})(objectClass=groupOfUniqueNames))',
    additional_users_dn: 'OU=people',
    additional_groups_dn: 'OU=groups',
  },
  glauth: {
    users_filter:
      '(&(|({username_attribute}={input})({mail_attribute}={input}))(objectClass=posixAccount)(!(accountStatus=inactive)))',
    groups_filter: '(&(uniqueMember={dn})(objectClass=posixGroup))',
  },
} as const;

const plainAttributes = { username: 'uid', display_name: 'displayName', mail: 'mail', group_name: 'cn' };
const implementationAttributes: Readonly<
  Record<keyof typeof implementations, Readonly<Record<string, string>>>
> = {
  custom: plainAttributes,
  activedirectory: {
    ...plainAttributes,
    username: 'sAMAccountName',
    distinguished_name: 'distinguishedName',
    member_of: 'memberOf',
  },
  rfc2307bis: plainAttributes,
  freeipa: plainAttributes,
  lldap: { ...plainAttributes, display_name: 'cn' },
  glauth: { ...plainAttributes, username: 'cn', display_name: 'description' },
};

const ldapSchema = section({
  address: address(ldapRules).describe(
    'The directory: `ldaps://host:636`, `ldap://host:389` or `ldapi:///socket`.',
  ),
  implementation: choice('custom', 'activedirectory', 'rfc2307bis', 'freeipa', 'lldap', 'glauth')
    .prefault('custom')
    .describe('Kind of directory, which sets the defaults of filters and attributes.'),
  timeout: duration()
    .optional()
    .describe('How long connecting and each operation may take; default 20s for custom, else 5s.'),
  start_tls: flag().prefault(false).describe('Switches a plain connection to TLS.'),
  tls: tlsSchema.prefault({}).describe('TLS towards the directory.'),
  pooling: section({
    enable: flag().prefault(false).describe('Keeps connections.'),
    count: integer(1).prefault(5).describe('Connections that are kept.'),
    retries: integer(0).prefault(2).describe('Attempts to get a connection.'),
    timeout: duration().prefault('10s').describe('How long one waits for a connection.'),
  })
    .prefault({})
    .describe('Connections that are kept open.'),
  base_dn: text().describe('Where everything lies.'),
  additional_users_dn: optionalText().describe(
    'Put before `base_dn` for people; default `OU=people` for lldap.',
  ),
  additional_groups_dn: optionalText().describe(
    'Put before `base_dn` for groups; default `OU=groups` for lldap.',
  ),
  users_filter: optionalText().describe(
    'Finds a person by `{input}`; default by implementation, required for custom.',
  ),
  groups_filter: optionalText().describe(
    'Finds the groups of a person; default by implementation, required for custom.',
  ),
  group_search_mode: choice('filter', 'memberof').prefault('filter').describe('How groups are found.'),
  permit_referrals: flag().prefault(false).describe('Follows referrals to other servers.'),
  permit_unauthenticated_bind: flag()
    .prefault(false)
    .describe('Binds without a password; needs an empty password and no password reset.'),
  permit_feature_detection_failure: flag()
    .prefault(false)
    .describe('Goes on when the root entry cannot be read.'),
  user: optionalText().describe('Distinguished name of the service account.'),
  password: secret({ minimum: 0 }).optional().describe('Password of the service account.'),
  attributes: section({
    ...attributeShape,
    extra: named(
      section({
        name: text().optional().describe('Name here; default: that of the LDAP attribute.'),
        multi_valued: flag().prefault(false).describe('The attribute is a list.'),
        value_type: choice('string', 'integer', 'boolean').describe('Type of its values.'),
      }),
    )
      .prefault({})
      .describe('More LDAP attributes.'),
  })
    .prefault({})
    .describe('Names of LDAP attributes.'),
})
  .superRefine((ldap, context) => {
    const problem = (key: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [key], message });
    const filters = { users_filter: ldap.users_filter, groups_filter: ldap.groups_filter };
    for (const [key, filter] of Object.entries(filters)) {
      if (!filter) {
        if (ldap.implementation === 'custom') problem(key, 'is required for the implementation custom');
      } else if (!filter.startsWith('(') || !filter.endsWith(')')) {
        problem(key, 'must stand in parentheses');
      } else if (key === 'users_filter') {
        for (const placeholder of ['{username_attribute}', '{input}']) {
          if (!filter.includes(placeholder)) problem(key, `must contain ${placeholder}`);
        }
      }
    }
    if (ldap.permit_unauthenticated_bind) {
      if (ldap.password) problem('permit_unauthenticated_bind', 'must not be combined with a password');
    } else {
      if (!ldap.user) problem('user', 'is required unless permit_unauthenticated_bind is set');
      if (!ldap.password) problem('password', 'is required unless permit_unauthenticated_bind is set');
    }
  })
  .transform((ldap) => {
    const base: {
      users_filter?: string;
      groups_filter?: string;
      additional_users_dn?: string;
      additional_groups_dn?: string;
    } = implementations[ldap.implementation];
    const written = Object.fromEntries(
      Object.entries(ldap.attributes).filter(([, value]) => value !== undefined && value !== ''),
    );
    return {
      ...ldap,
      timeout: ldap.timeout ?? (ldap.implementation === 'custom' ? 20_000 : 5000),
      users_filter: ldap.users_filter || base.users_filter || '',
      groups_filter: ldap.groups_filter || base.groups_filter || '',
      additional_users_dn: ldap.additional_users_dn ?? base.additional_users_dn ?? '',
      additional_groups_dn: ldap.additional_groups_dn ?? base.additional_groups_dn ?? '',
      attributes: { ...implementationAttributes[ldap.implementation], ...written } as typeof ldap.attributes,
    };
  });

/** `authentication_backend` */
export const authenticationBackendSchema = section({
  refresh_interval: durationOr('always', 'disable')
    .optional()
    .describe(
      'How often what is known of a signed-in person is read again; default 5m, `always` for a file that is watched.',
    ),
  maximum_staleness: duration()
    .prefault('1h')
    .describe(
      'How long the last known details of a signed-in person hold while the backend does not answer; then its sessions are told to wait (503).',
    ),
  password_reset: section({
    disable: flag().prefault(false).describe('Takes the password reset away.'),
    custom_url: url('https', 'http').optional().describe('Where people reset their password instead.'),
  })
    .prefault({})
    .describe('Password reset.'),
  password_change: section({ disable: flag().prefault(false).describe('Takes the password change away.') })
    .prefault({})
    .describe('Password change.'),
  file: fileSchema.optional().describe('People from a YAML file. Either this or `ldap`.'),
  ldap: ldapSchema.optional().describe('People from an LDAP directory. Either this or `file`.'),
})
  .superRefine((backend, context) => {
    if ((backend.file === undefined) === (backend.ldap === undefined)) {
      const message =
        backend.file === undefined ? 'needs one of file and ldap' : 'must have only one of file and ldap';
      context.addIssue({ code: 'custom', path: [], message });
    }
    if (backend.ldap?.permit_unauthenticated_bind === true && !backend.password_reset.disable) {
      context.addIssue({
        code: 'custom',
        path: ['ldap', 'permit_unauthenticated_bind'],
        message: 'needs password_reset.disable: true',
      });
    }
  })
  .transform((backend) => ({
    ...backend,
    refresh_interval:
      backend.file?.watch === true ? ('always' as const) : (backend.refresh_interval ?? 300_000),
  }));
