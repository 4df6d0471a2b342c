/** What the schema knows and this release does not do. */
import type { Configuration } from './schema.ts';

interface Gap {
  readonly key: string;
  /** `refused`: starting without it would be dangerous or hollow. `unused`: nothing depends on it yet. */
  readonly kind: 'refused' | 'unused';
  isConfigured(config: Configuration): boolean;
}

const optionalSections = ['webauthn', 'ntp', 'privacy_policy'] as const;

const gaps: readonly Gap[] = [
  {
    key: 'identity_providers.oidc',
    kind: 'refused',
    isConfigured: (config) => config.identity_providers?.oidc !== undefined,
  },
  {
    key: 'authentication_backend.ldap',
    kind: 'refused',
    isConfigured: (config) => config.authentication_backend.ldap !== undefined,
  },
  { key: 'duo_api', kind: 'refused', isConfigured: (config) => config.duo_api?.disable === false },
  ...optionalSections.map((key): Gap => ({
    key,
    kind: 'unused',
    isConfigured: (config) => config[key] !== undefined,
  })),
  {
    key: 'default_2fa_method',
    kind: 'unused',
    // There is one method, and it is the default.
    isConfigured: (config) => !['', 'totp'].includes(config.default_2fa_method),
  },
  {
    key: 'certificates_directory',
    kind: 'unused',
    isConfigured: (config) => config.certificates_directory !== undefined,
  },
  {
    key: 'definitions.user_attributes',
    kind: 'unused',
    isConfigured: (config) => Object.keys(config.definitions.user_attributes).length > 0,
  },
  {
    key: 'server.endpoints.enable_pprof',
    kind: 'unused',
    isConfigured: (config) => config.server.endpoints.enable_pprof,
  },
  {
    key: 'server.endpoints.enable_expvars',
    kind: 'unused',
    isConfigured: (config) => config.server.endpoints.enable_expvars,
  },
  {
    key: 'server.endpoints.authz, scheme bearer',
    kind: 'unused',
    isConfigured: (config) =>
      Object.values(config.server.endpoints.authz).some((endpoint) =>
        endpoint.authn_strategies.some((one) => one.schemes.some((scheme) => scheme === 'bearer')),
      ),
  },
  {
    key: 'authentication_backend.file.extra_attributes',
    kind: 'unused',
    isConfigured: (config) =>
      Object.keys(config.authentication_backend.file?.extra_attributes ?? {}).length > 0,
  },
];

/** Keys that are configured and not done: `serve` refuses the first and mentions the second. Empty for what is all done. */
export function findUnsupported(config: Configuration): { refused: string[]; unused: string[] } {
  const of = (kind: Gap['kind']): string[] =>
    gaps.filter((gap) => gap.kind === kind && gap.isConfigured(config)).map((gap) => gap.key);
  return { refused: of('refused'), unused: of('unused') };
}
