import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatProblem, loadConfiguration } from '../../../src/config/load.ts';
import { leavesOf } from '../../../src/config/outline.ts';
import { configurationOutline } from '../../../src/config/schema.ts';
import { isSecretPath } from '../../../src/config/variables.ts';

const minimal = fileURLToPath(new URL('../../fixtures/config/good/minimal.yml', import.meta.url));
const sentinel = fileURLToPath(new URL('../../fixtures/config/good/sentinel.yml', import.meta.url));

let secret = '';
beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-secret-'));
  secret = join(folder, 'secret');
  writeFileSync(secret, 'from the file \n\r\n');
});
afterAll(() => rmSync(join(secret, '..'), { recursive: true }));

function load(environment: Record<string, string>, file = minimal) {
  const { config, problems, origins } = loadConfiguration({ files: [file], environment, filters: [] });
  const lines = problems.filter((problem) => problem.key !== 'access_control.rules').map(formatProblem);
  return { config, lines, origins };
}

describe('variables', () => {
  test.each(['SALLYPORT_', 'AUTHELIA_'])('%s sets text, numbers, booleans, durations and lists', (prefix) => {
    const { config, lines, origins } = load({
      [`${prefix}THEME`]: 'dark',
      [`${prefix}SERVER_BUFFERS_READ`]: '8192',
      [`${prefix}SERVER_TRUSTED_PROXIES`]: '10.0.0.1, 10.0.0.2',
      [`${prefix}LOG_KEEP_STDOUT`]: 'true',
      [`${prefix}SESSION_REMEMBER_ME`]: '-1',
      [`${prefix}SESSION_REDIS_HOST`]: 'redis',
      [`${prefix}SESSION_SECRET`]: 'x',
      [`${prefix}SERVER_TLS_KEY`]: '',
    });
    expect(lines).toEqual([]);
    expect(config).toMatchObject({
      theme: 'dark',
      server: { buffers: { read: 8192 }, trusted_proxies: ['10.0.0.1', '10.0.0.2'] },
      log: { keep_stdout: true },
      session: { remember_me: -1000, secret: 'x', redis: { host: 'redis', port: 6379 } },
    });
    expect(origins.get('theme')).toBe(`environment variable ${prefix}THEME`);
  });

  test('win over files', () => {
    expect(
      load({ SALLYPORT_AUTHENTICATION_BACKEND_FILE_PATH: '/other' }).config?.authentication_backend.file
        ?.path,
    ).toBe('/other');
  });

  test('a wrong value is told with its variable', () => {
    expect(load({ AUTHELIA_LOG_LEVEL: 'inof' }).lines).toEqual([
      'error: log.level: must be one of trace, debug, info, warn, error, found "inof"; did you mean "info"? (from environment variable AUTHELIA_LOG_LEVEL)',
    ]);
  });

  test('deprecated keys can be set too', () => {
    const { config, lines } = load({ AUTHELIA_JWT_SECRET_FILE: secret });
    expect(config?.identity_validation?.reset_password.jwt_secret).toBe('from the file ');
    expect(lines).toEqual([
      'warning: jwt_secret: is deprecated: write identity_validation.reset_password.jwt_secret',
    ]);
  });

  test('unknown ones are warned of, with what was meant', () => {
    expect(
      load({ AUTHELIA_SESION_NAME: 'x', SALLYPORT_ACCESS_CONTROL_RULES_0_POLICY: 'deny' }).lines,
    ).toEqual([
      'warning: environment variable AUTHELIA_SESION_NAME names no key and is ignored; did you mean AUTHELIA_SESSION_NAME?',
      expect.stringContaining(
        'warning: environment variable SALLYPORT_ACCESS_CONTROL_RULES_0_POLICY names no key and is ignored',
      ),
    ]);
  });

  test('those of the process itself are no keys', () => {
    const environment = {
      SALLYPORT_NODE: '/n',
      SALLYPORT_CONFIG: 'a',
      SALLYPORT_CONFIG_FILTERS: '',
      X_AUTHELIA_CONFIG: 'a',
      X_AUTHELIA_HEALTHCHECK: '1',
      PATH: '/bin',
    };
    expect(load(environment).lines).toEqual([]);
  });

  test('those that Kubernetes sets for a service of the same name are no keys, a port is one', () => {
    const links = {
      SALLYPORT_SERVICE_HOST: '10.0.0.1',
      SALLYPORT_SERVICE_PORT: '9091',
      AUTHELIA_SERVICE_PORT_HTTP: '9091',
      AUTHELIA_PORT: 'tcp://10.0.0.1:9091',
      AUTHELIA_PORT_9091_TCP: 'tcp://10.0.0.1:9091',
      AUTHELIA_PORT_9091_TCP_ADDR: '10.0.0.1',
    };
    expect(load(links).lines).toEqual([]);
    expect(load({ AUTHELIA_PORT: '8080' }).config?.server.address.port).toBe(8080);
  });

  test('both prefixes: the same value is fine, another is an error', () => {
    expect(load({ AUTHELIA_THEME: 'dark', SALLYPORT_THEME: 'dark' }).lines).toEqual([]);
    expect(load({ AUTHELIA_THEME: 'dark', SALLYPORT_THEME: 'light' }).lines).toEqual([
      'error: theme: is given by two environment variables, AUTHELIA_THEME and SALLYPORT_THEME: keep one',
    ]);
  });

  test('one below a key that is no map cannot be set', () => {
    const file = join(secret, '../text.yml');
    writeFileSync(file, 'session: text\n');
    expect(load({ SALLYPORT_SESSION_NAME: 'x' }, file).lines).toContain(
      'error: session.name: cannot be set by SALLYPORT_SESSION_NAME: a key above it is no map',
    );
  });

  test('names like those of objects find nothing', () => {
    expect(load({ SALLYPORT___PROTO__: 'x', SALLYPORT_CONSTRUCTOR: 'y' }).lines).toHaveLength(2);
  });
});

describe('secret files', () => {
  test('are read, without the line ends behind', () => {
    const { config, lines, origins } = load({ SALLYPORT_SESSION_SECRET_FILE: secret });
    expect(lines).toEqual([]);
    expect(config?.session.secret).toBe('from the file ');
    expect(origins.get('session.secret')).toBe(`secret file ${secret} (SALLYPORT_SESSION_SECRET_FILE)`);
  });

  test('a second source is an error: a file of the configuration', () => {
    expect(load({ AUTHELIA_SESSION_SECRET_FILE: secret }, sentinel).lines).toEqual([
      `error: session.secret: is given twice: in the file of AUTHELIA_SESSION_SECRET_FILE and in ${sentinel}:4:11; keep one`,
    ]);
  });

  test('a second source is an error: a variable, even of the same text', () => {
    expect(load({ AUTHELIA_SESSION_SECRET: 'a', SALLYPORT_SESSION_SECRET_FILE: secret }).lines[0]).toContain(
      'given by two environment variables',
    );
    expect(
      load({ AUTHELIA_SESSION_SECRET_FILE: secret, SALLYPORT_SESSION_SECRET_FILE: secret }).lines[0],
    ).toContain('given by two environment variables');
  });

  test('that cannot be read are an error', () => {
    expect(load({ SALLYPORT_SESSION_SECRET_FILE: '/nowhere/x' }).lines).toEqual([
      'error: session.secret: cannot be read from the file of SALLYPORT_SESSION_SECRET_FILE, /nowhere/x: there is no such file',
    ]);
  });

  test('keys that are no secrets cannot be read from files', () => {
    expect(load({ SALLYPORT_SERVER_TLS_KEY_FILE: secret }).lines[0]).toContain(
      'server.tls.key: is not a secret',
    );
    expect(load({ SALLYPORT_THEME_FILE: secret }).lines[0]).toContain('theme: is not a secret');
  });

  test('a value that is too short is told without being shown', () => {
    const { lines } = load({
      SALLYPORT_STORAGE_ENCRYPTION_KEY_FILE: secret,
      SALLYPORT_STORAGE_LOCAL_PATH: '/x',
    });
    expect(lines).toEqual([
      expect.stringMatching(
        /^error: storage\.encryption_key: must have at least 20 characters \(from secret file/,
      ),
    ]);
    expect(lines.join()).not.toContain('from the file ');
  });
});

describe('keys', () => {
  const leaves = leavesOf(configurationOutline);

  test('no two have the same variable', () => {
    const names = leaves.map(({ path }) => path.join('_').toUpperCase());
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test('every secret is hidden, and can come from a file', () => {
    const loadable = leaves.filter(({ path, outline }) => outline.kind === 'value' && isSecretPath(path));
    const shown = loadable
      .filter(({ outline }) => outline.value?.secret !== true)
      .map(({ path }) => path.join('.'));
    // Certificates are public; they may only come the same way.
    expect(shown.filter((name) => !name.endsWith('certificate_chain')).toSorted()).toEqual([
      'storage.postgres.ssl.key',
    ]);
    const hidden = leaves.filter(({ outline }) => outline.value?.secret === true).map(({ path }) => path);
    expect(hidden.filter((path) => !isSecretPath(path))).toEqual([]);
  });

  test.each([
    'authentication_backend.ldap.password',
    'authentication_backend.ldap.tls.certificate_chain',
    'authentication_backend.ldap.tls.private_key',
    'duo_api.integration_key',
    'duo_api.secret_key',
    'identity_providers.oidc.hmac_secret',
    'identity_validation.reset_password.jwt_secret',
    'notifier.smtp.password',
    'session.secret',
    'session.redis.password',
    'session.redis.tls.private_key',
    'session.redis.high_availability.sentinel_password',
    'storage.encryption_key',
    'storage.mysql.password',
    'storage.postgres.password',
    'storage.postgres.tls.private_key',
  ])('%s can come from a file', (key) => {
    const leaf = leaves.find(({ path }) => path.join('.') === key);
    expect(leaf?.outline.kind).toBe('value');
    expect(isSecretPath(key.split('.'))).toBe(true);
  });
});
