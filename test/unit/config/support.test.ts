import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { loadConfiguration } from '../../../src/config/load.ts';
import { findUnsupported } from '../../../src/config/support.ts';

function unsupported(name: string) {
  const file = fileURLToPath(new URL(`../../fixtures/config/good/${name}.yml`, import.meta.url));
  const { config } = loadConfiguration({ files: [file], environment: {}, filters: [] });
  if (config === null) throw new Error('does not load');
  return findUnsupported(config);
}

test.each([
  ['minimal', [], []],
  ['empty-values', [], []],
  ['openid-connect', ['identity_providers.oidc'], []],
  ['ldap-activedirectory', ['authentication_backend.ldap'], []],
  ['sqlite-files-mail', [], ['webauthn', 'default_2fa_method']],
  ['authz-endpoints', [], ['server.endpoints.enable_pprof', 'server.endpoints.authz, scheme bearer']],
  [
    'every-other-section',
    ['duo_api'],
    ['webauthn', 'ntp', 'privacy_policy', 'default_2fa_method', 'certificates_directory'],
  ],
])('%s', (name, refused, unused) => {
  expect(unsupported(name)).toEqual({ refused, unused });
});
