import type { z } from 'zod';
import {
  choice,
  describe,
  duration,
  flag,
  integer,
  list,
  named,
  scalar,
  secret,
  section,
  text,
  url,
  words,
} from '../lib/schema.ts';

const signing = [
  'none',
  'HS256',
  'HS384',
  'HS512',
  'RS256',
  'RS384',
  'RS512',
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
] as const;
const asymmetric = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'] as const;
const encryption = [
  'none',
  'RSA1_5',
  'RSA-OAEP',
  'RSA-OAEP-256',
  'A128KW',
  'A192KW',
  'A256KW',
  'A128GCMKW',
  'A192GCMKW',
  'A256GCMKW',
  'dir',

  'ECDH-ES',
  'ECDH-ES+A128KW',
  'ECDH-ES+A192KW',
  'ECDH-ES+A256KW',
  'PBES2-HS256+A128KW',
  'PBES2-HS384+A192KW',
  'PBES2-HS512+A256KW',
] as const;
const contentEncryption = [
  'A128CBC-HS256',
  'A192CBC-HS384',
  'A256CBC-HS512',
  'A128GCM',
  'A192GCM',
  'A256GCM',
] as const;
const grants = [
  'authorization_code',
  'implicit',
  'refresh_token',
  'client_credentials',
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:ietf:params:oauth:grant-type:jwt-bearer',
] as const;
const responseTypes = [
  'code',
  'id_token',
  'token',
  'id_token token',
  'code id_token',
  'code token',
  'code id_token token',
] as const;
const responseModes = [
  'query',
  'fragment',
  'form_post',
  'jwt',
  'query.jwt',
  'fragment.jwt',
  'form_post.jwt',
] as const;
const authMethods = [
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'none',
] as const;
const policies = ['one_factor', 'two_factor', 'deny'] as const;
const tokens = [
  'access_token',
  'authorize_code',
  'id_token',
  'refresh_token',
  'device_code',
  'jwt_secured_authorization',
] as const;
const tokenDefaults = {
  access_token: '1h',
  authorize_code: '1m',
  id_token: '1h',
  refresh_token: '90m',
  device_code: '10m',
  jwt_secured_authorization: '5m',
} as const;

const keyId = () =>
  text({
    name: 'key id',
    pattern: [
      /^[A-Za-z0-9]([A-Za-z0-9._~-]{0,98}[A-Za-z0-9])?$/,
      'must be a key id: at most 100 letters, digits, . _ ~ or -',
    ],
  });

/** One redirect URI: absolute, of any scheme, or the out-of-band URN. */
const redirectUri = scalar({ name: 'absolute URI', json: { type: 'string', format: 'uri' } }, (value) => {
  if (typeof value !== 'string' || !URL.canParse(value)) throw new Error('must be an absolute URI');
  if (value.includes('#')) throw new Error('must have no fragment (#)');
  return value;
});

const origin = scalar({ name: 'origin or `*`', json: { type: 'string' } }, (value) => {
  if (value === '*') return '*';
  if (typeof value !== 'string' || !/^https?:\/\/[^/?#@\s]+\/?$/.test(value) || !URL.canParse(value)) {
    throw new Error('must be an origin: scheme and host only, such as https://app.example.com, or *');
  }
  return new URL(value).origin;
});

const jwkSchema = section({
  key_id: keyId().optional().describe('Name of the key; default: from its thumbprint.'),
  use: choice('sig', 'enc').prefault('sig').describe('For signatures or for encryption.'),
  algorithm: text().optional().describe('Algorithm; default by the kind of key.'),
  key: secret().describe('The key, PEM.'),
  certificate_chain: text({ name: 'PEM' }).optional().describe('Certificate of the key and its chain.'),
});

const tokenShape = <S extends z.ZodType>(
  make: (token: (typeof tokens)[number]) => S,
): Record<(typeof tokens)[number], S> =>
  Object.fromEntries(tokens.map((token) => [token, make(token)])) as Record<(typeof tokens)[number], S>;
const optionalLifespans = () =>
  tokenShape((token) =>
    duration()
      .optional()
      .describe(`How long a ${token.replaceAll('_', ' ')} holds.`),
  );
const grantNames = [
  'authorize_code',
  'device_code',
  'implicit',
  'client_credentials',
  'refresh_token',
  'jwt_bearer',
] as const;
const grantLifespans = section(optionalLifespans());

const lifespansSchema = section({
  ...tokenShape((token) =>
    duration()
      .prefault(tokenDefaults[token])
      .describe(`How long a ${token.replaceAll('_', ' ')} holds.`),
  ),
  custom: named(
    section({
      ...optionalLifespans(),
      grants: section(
        Object.fromEntries(
          grantNames.map((name) => [
            name,
            grantLifespans.optional().describe(`For the grant ${name.replaceAll('_', ' ')}.`),
          ]),
        ) as Record<(typeof grantNames)[number], z.ZodOptional<typeof grantLifespans>>,
      )
        .prefault({})
        .describe('By grant.'),
    }),
  )
    .prefault({})
    .describe('Lifespans by name, for clients.'),
});

const signedResponses = ['authorization', 'id_token', 'access_token', 'userinfo', 'introspection'] as const;
const endpoints = ['token', 'revocation', 'introspection', 'pushed_authorization_request'] as const;

type ResponseKey =
  `${(typeof signedResponses)[number]}_${'signed_response_alg' | 'encrypted_response_alg' | 'encrypted_response_enc'}`;
type KeyIdKey =
  `${(typeof signedResponses)[number]}_${'signed_response_key_id' | 'encrypted_response_key_id'}`;
type MethodKey = `${(typeof endpoints)[number]}_endpoint_auth_method`;
type MethodAlgorithmKey = `${(typeof endpoints)[number]}_endpoint_auth_signing_alg`;

const responseShape = Object.fromEntries(
  signedResponses.flatMap((response): [string, z.ZodType][] => {
    const what = response.replaceAll('_', ' ');
    const isAlwaysSigned = response === 'authorization' || response === 'id_token';
    return [
      [
        `${response}_signed_response_alg`,
        choice(...signing)
          .prefault(isAlwaysSigned ? 'RS256' : 'none')
          .describe(`Signature of the ${what} response.`),
      ],
      [`${response}_signed_response_key_id`, keyId().optional().describe(`Key for that signature.`)],
      [
        `${response}_encrypted_response_alg`,
        choice(...encryption)
          .prefault('none')
          .describe(`Encryption of the key for the ${what} response.`),
      ],
      [
        `${response}_encrypted_response_enc`,
        choice(...contentEncryption)
          .prefault('A128CBC-HS256')
          .describe(`Encryption of the ${what} response.`),
      ],
      [`${response}_encrypted_response_key_id`, keyId().optional().describe('Key for that encryption.')],
    ];
  }),
) as Record<ResponseKey, z.ZodType<string>> & Record<KeyIdKey, z.ZodOptional<z.ZodType<string>>>;

const methodShape = Object.fromEntries(
  endpoints.flatMap((endpoint): [string, z.ZodType][] => [
    [
      `${endpoint}_endpoint_auth_method`,
      choice(...authMethods)
        .optional()
        .describe(
          `How the client proves itself to the ${endpoint.replaceAll('_', ' ')} endpoint; default client_secret_basic, none for public clients.`,
        ),
    ],
    [
      `${endpoint}_endpoint_auth_signing_alg`,
      choice(...signing)
        .optional()
        .describe('Algorithm of the assertion.'),
    ],
  ]),
) as Record<MethodKey, z.ZodOptional<z.ZodType<(typeof authMethods)[number]>>> &
  Record<MethodAlgorithmKey, z.ZodOptional<z.ZodType<string>>>;

const clientSchema = section({
  client_id: text({
    pattern: [/^[A-Za-z0-9._~-]{1,100}$/, 'must have 1 to 100 letters, digits or . _ ~ -'],
  }).describe('Name of the client for machines; unique.'),
  client_name: text().optional().describe('Name of the client for people; default `client_id`.'),
  client_secret: secret().optional().describe('Digest of the secret.'),
  public: flag().prefault(false).describe('The client can keep no secret.'),
  sector_identifier_uri: url('https').optional().describe('Gives people another subject for each sector.'),
  redirect_uris: list(redirectUri).prefault([]).describe('Where answers may go; compared letter by letter.'),
  request_uris: list(url('https')).prefault([]).describe('Where request objects may be fetched.'),
  audience: list(text()).prefault([]).describe('Audiences that may be asked for.'),
  scopes: list(text())
    .prefault(['openid', 'groups', 'profile', 'email'])
    .describe('Scopes that may be asked for.'),
  grant_types: words(...grants)
    .optional()
    .describe('Grants; default from the response types.'),
  response_types: words(...responseTypes)
    .prefault(['code'])
    .describe('Response types.'),
  response_modes: words(...responseModes)
    .optional()
    .describe('Response modes; default `form_post` and what the response types need.'),
  authorization_policy: text()
    .prefault('two_factor')
    .describe('one_factor, two_factor, deny or the name of an authorization policy.'),
  lifespan: text().optional().describe('Name of `lifespans.custom`.'),
  claims_policy: text().optional().describe('Name of a claims policy.'),
  requested_audience_mode: choice('explicit', 'implicit')
    .prefault('explicit')
    .describe('Whether audiences must be asked for.'),
  consent_mode: choice('auto', 'explicit', 'implicit', 'pre-configured')
    .prefault('auto')
    .describe('How consent is asked.'),
  pre_configured_consent_duration: duration()
    .optional()
    .describe('How long a remembered consent holds; default 1w.'),
  require_pushed_authorization_requests: flag()
    .prefault(false)
    .describe('Requests must be pushed first (RFC 9126).'),
  require_pkce: flag().prefault(false).describe('PKCE is required (RFC 7636).'),
  pkce_challenge_method: choice('plain', 'S256')
    .optional()
    .describe('The only challenge method; also requires PKCE.'),
  ...responseShape,
  request_object_signing_alg: choice(...signing)
    .optional()
    .describe('Signature of request objects.'),
  request_object_encryption_alg: choice(...encryption)
    .optional()
    .describe('Encryption of the key for request objects.'),
  request_object_encryption_enc: choice(...contentEncryption)
    .optional()
    .describe('Encryption of request objects.'),
  ...methodShape,
  allow_multiple_auth_methods: flag()
    .prefault(false)
    .describe('Accepts requests that prove themselves in two ways.'),
  jwks_uri: url('https').optional().describe('Where the keys of the client are; not together with `jwks`.'),
  jwks: list(
    section({
      key_id: keyId().describe('Name of the key.'),
      use: choice('sig', 'enc').prefault('sig').describe('For signatures or for encryption.'),
      algorithm: text().optional().describe('Algorithm.'),
      key: text({ name: 'PEM' }).describe('Public key, PEM.'),
      certificate_chain: text({ name: 'PEM' }).optional().describe('Certificate of the key and its chain.'),
    }),
  )
    .prefault([])
    .describe('Public keys of the client.'),
}).superRefine((client, context) => {
  const problem = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  const methods = endpoints.map((endpoint) => client[`${endpoint}_endpoint_auth_method`]);
  if (client.public) {
    if (client.client_secret !== undefined) problem(['client_secret'], 'must not be set for a public client');
  } else if (
    client.client_secret === undefined &&
    methods[0] !== 'private_key_jwt' &&
    methods[0] !== 'none'
  ) {
    problem(['client_secret'], 'is required unless the client is public or uses private_key_jwt');
  }
  client.redirect_uris.forEach((uri, index) => {
    if (uri.startsWith('urn:ietf:wg:oauth:2.0:oob') && !client.public)
      problem(['redirect_uris', index], 'must not be out of band for a client that is not public');
  });
  if (client.jwks_uri !== undefined && client.jwks.length > 0)
    problem(['jwks_uri'], 'must not be combined with jwks');
  if (client.scopes.includes('authelia.bearer.authz')) checkBearerClient(client, problem);
});

/** A client whose tokens open protected sites must be strict in everything. */
function checkBearerClient(
  client: {
    scopes: string[];
    audience: string[];
    grant_types?: string[] | undefined;
    response_types: string[];
    response_modes?: string[] | undefined;
    consent_mode: string;
    pkce_challenge_method?: string | undefined;
    require_pkce: boolean;
    require_pushed_authorization_requests: boolean;
  },
  problem: (path: string[], message: string) => void,
): void {
  const why = 'with the scope authelia.bearer.authz';
  const isMachine = client.grant_types?.length === 1 && client.grant_types[0] === 'client_credentials';
  const allowed = isMachine ? ['authelia.bearer.authz'] : ['authelia.bearer.authz', 'offline_access'];
  if (client.scopes.some((scope) => !allowed.includes(scope)))
    problem(['scopes'], `must be only ${allowed.join(' and ')} ${why}`);
  if (client.audience.length === 0) problem(['audience'], `must not be empty ${why}`);
  const grantTypes = client.grant_types ?? ['authorization_code'];
  if (
    grantTypes.some((grant) => !['authorization_code', 'refresh_token', 'client_credentials'].includes(grant))
  ) {
    problem(['grant_types'], `must be among authorization_code, refresh_token and client_credentials ${why}`);
  }
  if (isMachine) return;
  if (client.response_types.some((type) => type !== 'code'))
    problem(['response_types'], `must be only code ${why}`);
  if (
    client.response_modes === undefined ||
    client.response_modes.some((mode) => mode !== 'form_post' && mode !== 'form_post.jwt')
  ) {
    problem(['response_modes'], `must be among form_post and form_post.jwt ${why}`);
  }
  if (client.consent_mode !== 'explicit') problem(['consent_mode'], `must be explicit ${why}`);
  if (!client.require_pushed_authorization_requests)
    problem(['require_pushed_authorization_requests'], `must be true ${why}`);
  if (!client.require_pkce && client.pkce_challenge_method === undefined)
    problem(['require_pkce'], `must be true ${why}`);
  if (client.pkce_challenge_method !== 'S256') problem(['pkce_challenge_method'], `must be S256 ${why}`);
}

const policySchema = section({
  default_policy: choice(...policies)
    .prefault('two_factor')
    .describe('Where no rule fits.'),
  rules: list(
    section({
      policy: choice(...policies)
        .prefault('two_factor')
        .describe('What is asked.'),
      subject: list(
        scalar(
          {
            name: 'subject, or list of subjects that must all hold',
            json: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
          },
          (value) => {
            const parts = Array.isArray(value)
              ? value
              : typeof value === 'string'
                ? value.split(',').map((part) => part.trim())
                : [value];
            return parts.map((part: unknown) => {
              if (typeof part !== 'string' || !/^(?:user|group):/.test(part))
                throw new Error(`must be user:<name> or group:<name>, and one is ${describe(part)}`);
              return part;
            });
          },
        ),
      )
        .prefault([])
        .describe('Who; an inner list joins what must hold together.'),
      networks: list(text()).prefault([]).describe('Where from.'),
    }).superRefine((rule, context) => {
      if (rule.subject.length === 0 && rule.networks.length === 0) {
        context.addIssue({
          code: 'custom',
          path: ['subject'],
          message: 'is required (or networks): a rule must say for whom it is',
        });
      }
    }),
  )
    .prefault([])
    .describe('Rules; the first that fits decides.'),
});

const oidcSchema = section({
  hmac_secret: secret().describe('Signs codes and tokens that are no JWT.'),
  jwks: list(jwkSchema, 1).describe('Keys of the provider; one must sign with RS256.'),
  enable_client_debug_messages: flag().prefault(false).describe('Tells clients details of errors.'),
  minimum_parameter_entropy: integer(-1)
    .prefault(8)
    .describe('Least length of state and nonce; -1 switches the check off. Dangerous below 8.'),
  enforce_pkce: choice('public_clients_only', 'never', 'always')
    .prefault('public_clients_only')
    .describe('Who must use PKCE.'),
  enable_pkce_plain_challenge: flag().prefault(false).describe('Accepts plain challenges.'),
  enable_jwt_access_token_stateless_introspection: flag()
    .prefault(false)
    .describe('Introspects JWT access tokens without the database.'),
  discovery_signed_response_alg: choice('none', ...asymmetric)
    .prefault('none')
    .describe('Signs the metadata.'),
  discovery_signed_response_key_id: keyId().optional().describe('Key for that signature.'),
  require_pushed_authorization_requests: flag()
    .prefault(false)
    .describe('Every client must push its requests first.'),
  cors: section({
    endpoints: words(
      'authorization',
      'device-authorization',
      'pushed-authorization-request',
      'token',
      'introspection',
      'revocation',
      'userinfo',
    )
      .prefault([])
      .describe('Endpoints that scripts of other origins may call.'),
    allowed_origins: list(origin).prefault([]).describe('Those origins.'),
    allowed_origins_from_client_redirect_uris: flag()
      .prefault(false)
      .describe('The origins of all redirect URIs too.'),
  })
    .prefault({})
    .describe('Calls by scripts of other origins.'),
  authorization_policies: named(
    policySchema,
    /^(?!(?:one_factor|two_factor|deny)$)./,
    'must not be one_factor, two_factor or deny',
  )
    .prefault({})
    .describe('Policies by name, for clients.'),
  lifespans: lifespansSchema.prefault({}).describe('How long things hold.'),
  claims_policies: named(
    section({
      id_token: list(text()).prefault([]).describe('Claims of the id token.'),
      access_token: list(text()).prefault([]).describe('Claims of the access token.'),
      id_token_audience_mode: choice('specification', 'experimental-merged')
        .prefault('specification')
        .describe('Audience of the id token.'),
      custom_claims: named(
        section({
          name: text().optional().describe('Name of the claim; default: the key.'),
          attribute: text().optional().describe('Attribute with its value; default: the key.'),
        }),
      )
        .prefault({})
        .describe('Claims of your own.'),
    }),
  )
    .prefault({})
    .describe('Claims policies by name, for clients.'),
  scopes: named(section({ claims: list(text()).describe('Claims that the scope gives.') }))
    .prefault({})
    .describe('Scopes of your own.'),
  clients: list(clientSchema, 1).describe('The applications.'),
}).superRefine((oidc, context) => {
  const problem = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  const ids = oidc.clients.map((client) => client.client_id);
  oidc.clients.forEach((client, index) => {
    const at = (key: string): (string | number)[] => ['clients', index, key];
    if (ids.indexOf(client.client_id) !== index)
      problem(at('client_id'), `must be unique, found "${client.client_id}" again`);
    const isKnown =
      policies.some((policy) => policy === client.authorization_policy) ||
      Object.hasOwn(oidc.authorization_policies, client.authorization_policy);
    if (!isKnown)
      problem(
        at('authorization_policy'),
        `must be ${policies.join(', ')} or a name of authorization_policies, found "${client.authorization_policy}"`,
      );
    if (client.lifespan !== undefined && !Object.hasOwn(oidc.lifespans.custom, client.lifespan)) {
      problem(at('lifespan'), `must be a name of lifespans.custom, found "${client.lifespan}"`);
    }
    if (client.claims_policy !== undefined && !Object.hasOwn(oidc.claims_policies, client.claims_policy)) {
      problem(at('claims_policy'), `must be a name of claims_policies, found "${client.claims_policy}"`);
    }
  });
});

/** `identity_providers` */
export const identityProvidersSchema = section({
  oidc: oidcSchema.optional().describe('OpenID Connect 1.0 provider.'),
});
