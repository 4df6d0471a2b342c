/** Keys of older configurations: each is moved to where it stands now, with a warning. */
import { isIPv6 } from 'node:net';
import type { Problem } from './problem.ts';
import {
  type Entry,
  findTree,
  keyText,
  type MapTree,
  type Origin,
  placeOf,
  putEntry,
  takeEntry,
  type Tree,
} from './tree.ts';

/** Moved as they are. */
const moves: readonly (readonly [from: string, to: string])[] = [
  ['log_level', 'log.level'],
  ['log_format', 'log.format'],
  ['log_file_path', 'log.file_path'],
  ['tls_key', 'server.tls.key'],
  ['tls_cert', 'server.tls.certificate'],
  ['server.read_buffer_size', 'server.buffers.read'],
  ['server.write_buffer_size', 'server.buffers.write'],
  ['server.enable_pprof', 'server.endpoints.enable_pprof'],
  ['server.enable_expvars', 'server.endpoints.enable_expvars'],
  ['jwt_secret', 'identity_validation.reset_password.jwt_secret'],
  ['default_redirection_url', 'session.default_redirection_url'],
  ['session.remember_me_duration', 'session.remember_me'],
  ['storage.postgres.sslmode', 'storage.postgres.ssl.mode'],
  ['notifier.smtp.disable_verify_cert', 'notifier.smtp.tls.skip_verify'],
  ['authentication_backend.disable_reset_password', 'authentication_backend.password_reset.disable'],
  ['authentication_backend.ldap.url', 'authentication_backend.ldap.address'],
  ['authentication_backend.ldap.skip_verify', 'authentication_backend.ldap.tls.skip_verify'],
  ['authentication_backend.ldap.minimum_tls_version', 'authentication_backend.ldap.tls.minimum_version'],
  ...['username', 'mail', 'display_name', 'group_name'].map(
    (name) =>
      [
        `authentication_backend.ldap.${name}_attribute`,
        `authentication_backend.ldap.attributes.${name}`,
      ] as const,
  ),
  ['webauthn.user_verification', 'webauthn.selection_criteria.user_verification'],
  ...['access_token', 'authorize_code', 'id_token', 'refresh_token'].map(
    (name) =>
      [`identity_providers.oidc.${name}_lifespan`, `identity_providers.oidc.lifespans.${name}`] as const,
  ),
];

/** Host, port and path that became one address. */
const addresses: readonly {
  readonly parts: readonly [host: string, port: string, path?: string];
  readonly to: string;
  readonly scheme: string;
}[] = [
  { parts: ['host', 'port'], to: 'server.address', scheme: 'tcp' },
  { parts: ['server.host', 'server.port', 'server.path'], to: 'server.address', scheme: 'tcp' },
  { parts: ['storage.mysql.host', 'storage.mysql.port'], to: 'storage.mysql.address', scheme: 'tcp' },
  {
    parts: ['storage.postgres.host', 'storage.postgres.port'],
    to: 'storage.postgres.address',
    scheme: 'tcp',
  },
  { parts: ['notifier.smtp.host', 'notifier.smtp.port'], to: 'notifier.smtp.address', scheme: '' },
];

const password = 'authentication_backend.file.password';
const passwordKeys = ['iterations', 'key_length', 'salt_length', 'memory', 'parallelism'];
const issuerKeys = ['issuer_private_key', 'issuer_certificate_chain'].map(
  (name) => `identity_providers.oidc.${name}`,
);
const trustedCertificate = 'notifier.smtp.trusted_cert';

/** Of each OpenID Connect client. */
const clientMoves = [
  ['id', 'client_id'],
  ['secret', 'client_secret'],
  ['description', 'client_name'],
  ['sector_identifier', 'sector_identifier_uri'],
  ['userinfo_signing_algorithm', 'userinfo_signed_response_alg'],
] as const;

const split = (key: string): string[] => key.split('.');

/** Every deprecated key that takes one value, as a path. */
export const deprecatedPaths: readonly (readonly string[])[] = [
  ...moves.map(([from]) => from),
  ...addresses.flatMap(({ parts }) => parts.filter((part) => part !== undefined)),
  ...passwordKeys.map((name) => `${password}.${name}`),
  ...issuerKeys,
  trustedCertificate,
].map(split);

/** Moves deprecated keys inside the tree and reports each. A key that is set in its new place too is left out. */
export function moveDeprecated(tree: MapTree): Problem[] {
  const problems: Problem[] = [];
  const warn = (from: string, at: Origin, message: string): void => {
    problems.push({ severity: 'warning', key: from, message, ...placeOf(at) });
  };
  const place: Place = (from, target, entry) => {
    const path = typeof target === 'string' ? split(target) : target;
    const to = keyText(path);
    if (findTree(tree, path) !== undefined) {
      warn(from, entry.key, `is deprecated and ignored, because ${to} is set too: remove it`);
      return;
    }
    const writtenAs = (origin: Origin): Origin => ({ ...origin, writtenAs: from });
    const value = { ...entry.value, origin: writtenAs(entry.value.origin) };
    if (putEntry(tree, path, { key: writtenAs(entry.key), value }))
      warn(from, entry.key, `is deprecated: write ${to}`);
    else warn(from, entry.key, `is deprecated and ignored: write ${to}`);
  };

  for (const [from, to] of moves) {
    const entry = takeEntry(tree, split(from));
    if (entry !== undefined) place(from, to, entry);
  }
  for (const { parts, to, scheme } of addresses) {
    const entries = parts.map((part) => (part === undefined ? undefined : takeEntry(tree, split(part))));
    const first = entries.find((entry) => entry !== undefined);
    if (first === undefined) continue;
    const from = parts[entries.indexOf(first)] ?? '';
    place(from, to, {
      key: first.key,
      value: { kind: 'scalar', origin: first.value.origin, value: joinAddress(scheme, entries.map(textOf)) },
    });
  }
  movePassword(tree, place);
  moveNetworks(tree, place);
  moveIssuerKey(tree, place);
  moveClients(tree, warn);
  const certificate = takeEntry(tree, split(trustedCertificate));
  if (certificate !== undefined)
    warn(
      trustedCertificate,
      certificate.key,
      'is not used any more: put the certificate into certificates_directory',
    );
  return problems;
}

type Place = (from: string, to: string | readonly string[], entry: Entry) => void;

function textOf(entry: Entry | undefined): string {
  return entry?.value.kind === 'scalar' ? String(entry.value.value) : '';
}

function joinAddress(scheme: string, [host = '', port = '', path = '']: readonly string[]): string {
  if (host.startsWith('/')) return host;
  const name = isIPv6(host) ? `[${host}]` : host;
  return `${scheme && `${scheme}://`}${name}${port && `:${port}`}${path && `/${path.replace(/^\//, '')}`}`;
}

/** Flat keys belong to the algorithm that was meant; memory was counted in MiB. */
function movePassword(tree: MapTree, place: Place): void {
  const algorithm = takeEntry(tree, split(`${password}.algorithm`));
  const written = textOf(algorithm);
  const isSha = written === 'sha512' || written === 'sha2crypt';
  const isOldName = written === 'sha512' || written === 'argon2id';
  const section = isSha ? 'sha2crypt' : 'argon2';
  if (algorithm !== undefined) {
    const value: Tree = isOldName
      ? { kind: 'scalar', origin: algorithm.value.origin, value: section }
      : algorithm.value;
    putEntry(tree, split(`${password}.algorithm`), { key: algorithm.key, value });
    if (isOldName) place(`${password}.algorithm: ${written}`, `${password}.${section}.variant`, algorithm);
  }
  for (const name of passwordKeys) {
    const entry = takeEntry(tree, split(`${password}.${name}`));
    if (entry === undefined) continue;
    const mebibytes = Number(textOf(entry));
    const isMemory = name === 'memory' && Number.isSafeInteger(mebibytes);
    const value: Tree = isMemory
      ? { kind: 'scalar', origin: entry.value.origin, value: mebibytes * 1024 }
      : entry.value;
    if (isSha && name !== 'iterations' && name !== 'salt_length') continue;
    place(`${password}.${name}`, `${password}.${section}.${name}`, { key: entry.key, value });
  }
}

function moveNetworks(tree: MapTree, place: Place): void {
  const networks = takeEntry(tree, ['access_control', 'networks']);
  if (networks === undefined) return;
  const items = networks.value.kind === 'list' ? networks.value.items : [networks.value];
  items.forEach((item, index) => {
    const name = findTree(item, ['name']);
    const addresses = findTree(item, ['networks']);
    const key = keyText(['access_control', 'networks', index]);
    const value: Tree = addresses ?? { kind: 'list', origin: item.origin, items: [] };
    place(key, ['definitions', 'network', name?.kind === 'scalar' ? String(name.value ?? '') : ''], {
      key: item.origin,
      value,
    });
  });
}

function moveIssuerKey(tree: MapTree, place: Place): void {
  const [key, chain] = issuerKeys.map((name) => takeEntry(tree, split(name)));
  const first = key ?? chain;
  if (first === undefined) return;
  const entries = new Map<string, Entry>();
  if (key !== undefined) entries.set('key', key);
  if (chain !== undefined) entries.set('certificate_chain', chain);
  const item: Tree = { kind: 'map', origin: first.value.origin, entries };
  place(issuerKeys[key === undefined ? 1 : 0] ?? '', 'identity_providers.oidc.jwks', {
    key: first.key,
    value: { kind: 'list', origin: first.value.origin, items: [item] },
  });
}

function moveClients(tree: MapTree, warn: (from: string, at: Origin, message: string) => void): void {
  const clients = findTree(tree, ['identity_providers', 'oidc', 'clients']);
  if (clients?.kind !== 'list') return;
  clients.items.forEach((client, index) => {
    if (client.kind !== 'map') return;
    for (const [from, to] of clientMoves) {
      const entry = takeEntry(client, [from]);
      if (entry === undefined) continue;
      const isTaken = client.entries.has(to);
      if (!isTaken) client.entries.set(to, entry);
      const key = keyText(['identity_providers', 'oidc', 'clients', index, from]);
      warn(
        key,
        entry.key,
        isTaken
          ? `is deprecated and ignored, because ${to} is set too: remove it`
          : `is deprecated: write ${to}`,
      );
    }
  });
}
