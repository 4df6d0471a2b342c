import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

import { describe, expect, test } from 'vitest';

/** The directions of the house: who may import whom, where each library lives, and what pure code may not touch. */

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');

/** From left to right; a room imports what stands left of it, never a neighbour of its own step. */
const STEPS: readonly (readonly string[])[] = [
  ['lib'],
  ['decision'],
  ['http'],
  ['storage', 'notifier'],
  ['events'],
  ['sessions', 'users'],
  ['factors'],
  ['authn'],
  ['login'],
  ['forward-auth', 'oidc'],
  ['portal', 'outposts', 'proxy'],
  ['config'],
  ['gateway-sessions', 'gateway-storage', 'gateway-throttle'],
  ['gateway-factors', 'gateway-accounts', 'gateway-telemetry'],
  ['gateway', 'outpost'],
  ['cli'],
  ['main'],
];

/** The files that join the rooms. */
const WIRING = [
  'gateway-sessions',
  'gateway-storage',
  'gateway-throttle',
  'gateway-factors',
  'gateway-accounts',
  'gateway-telemetry',
  'gateway',
  'outpost',
];

/** Neighbours that may know each other, with the reason. */
const ALLOWED: Readonly<Record<string, string>> = {
  'main -> config': 'the environment is read in config/ and handed to the commands',
};

/** Each library has one home (or the few that are listed). */
const HOMES: Readonly<Record<string, readonly string[]>> = {
  '@fastify/http-proxy': ['proxy/'],
  '@node-rs/argon2': ['users/'],
  '@peculiar/x509': ['lib/certificates.ts'],
  '@redis/client': ['lib/redis.ts', 'lib/redis/'],
  '@zxcvbn-ts/core': ['factors/password-strength-thread.ts'],
  '@zxcvbn-ts/language-common': ['factors/password-strength-thread.ts'],
  '@zxcvbn-ts/language-en': ['factors/password-strength-thread.ts'],
  bcryptjs: ['users/'],
  commander: ['cli/', 'main.ts'],
  fastify: ['http/', 'proxy/'],
  kysely: ['storage/'],
  mysql2: ['storage/dialects/mysql.ts'],
  nodemailer: ['notifier/drivers/smtp.ts'],
  otpauth: ['factors/totp.ts'],
  pino: ['lib/logger.ts'],
  re2js: ['lib/regex.ts'],
  pg: ['lib/postgres.ts', 'lib/postgres/'],
  'reflect-metadata': ['lib/certificates.ts'],
  tldts: ['lib/public-suffix.ts'],
  uqr: ['lib/qr-code.ts'],
  yaml: ['config/', 'users/', 'cli/totp-export.ts'],
  zod: [
    'config/',
    'lib/schema.ts',
    '*/config.ts',
    'lib/*-config.ts',
    'sessions/driver.ts',
    'sessions/drivers/',
  ],
};

/** Files that are functions of their arguments alone. */
const PURE = [
  /^decision\//,
  /^sessions\/lifetime\.ts$/,
  /^login\/next-step\.ts$/,
  /^forward-auth\/readers\//,
  /^forward-auth\/respond\.ts$/,
];

/** What is read from the world, and the only files that may. */
const WORLD: readonly (readonly [RegExp, RegExp])[] = [
  [/\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/, /^lib\/(?:clock|watchdog-thread)\.ts$/],
  [/\bMath\.random\(|\brandomBytes\(|\brandomUUID\(|\bgetRandomValues\(/, /^lib\/random\.ts$/],
  [/\bprocess\.env\b/, /^config\/environment\.ts$/],
  [/\bconsole\./, /^$/],
];

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly imports: readonly { readonly from: string; readonly typeOnly: boolean }[];
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1');
}

const files: readonly SourceFile[] = filesBelow(src).map((file) => {
  const text = withoutComments(readFileSync(file, 'utf8'));
  const imports = [
    ...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm),
    ...text.matchAll(/\bimport(\s)?\('([^']+)'\)/g),
  ].map((match) => ({ from: match[2] ?? '', typeOnly: match[1] === 'type ' }));
  return { path: relative(src, file), text, imports };
});

function roomOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path.replace(/\.ts$/, '');
}

function stepOf(room: string): number {
  return STEPS.findIndex((rooms) => rooms.includes(room));
}

function isBelow(path: string, home: string): boolean {
  if (home.endsWith('/')) return path.startsWith(home);
  return new RegExp(`^${home.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}$`).test(path);
}

describe('directions', () => {
  test('every folder and file at the top has its step', () => {
    expect(files.map(({ path }) => roomOf(path)).filter((room) => stepOf(room) === -1)).toEqual([]);
  });

  test('a room imports only what stands left of it', () => {
    const wrong = files.flatMap(({ path, imports }) =>
      imports
        .filter(({ from }) => from.startsWith('.') && from.endsWith('.ts'))
        .map(({ from }) => relative(src, resolve(dirname(join(src, path)), from)))
        .filter((target) => {
          const [here, there] = [roomOf(path), roomOf(target)];
          // A room's section of the configuration is joined in config/ and known to nobody left of it.
          const isConfig = here === 'config' && /(?:^|\/)(?:[a-z-]+-)?config\.ts$/.test(target);
          return (
            here !== there &&
            !isConfig &&
            !(`${here} -> ${there}` in ALLOWED) &&
            stepOf(there) >= stepOf(here)
          );
        })
        .map((target) => `${path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('only cli, main and the wiring files import config/', () => {
    const wrong = files.filter(
      ({ path, imports }) =>
        !['config', 'cli', 'main', ...WIRING].includes(roomOf(path)) &&
        imports.some(({ from }) => /(?:^|\/)config\/[a-z-]+\.ts$/.test(from)),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test('only a registry imports a driver, and only wiring and config/ import a registry', () => {
    const drivers = files.filter(
      ({ path, imports }) =>
        !path.endsWith('registry.ts') && imports.some(({ from }) => /(?:^|\/)drivers\//.test(from)),
    );
    const registries = files.filter(
      ({ path, imports }) =>
        !['config', ...WIRING].includes(roomOf(path)) &&
        // The one call that opens the storage, for the wiring and for commands.
        path !== 'storage/open-storage.ts' &&
        // A room's own section of the configuration is derived from its registry.
        !path.endsWith('/config.ts') &&
        imports.some(({ from }) => from.endsWith('registry.ts')),
    );
    expect([...drivers, ...registries].map(({ path }) => path)).toEqual([]);
  });

  test('nothing imports the web workspace, and that imports only types', () => {
    const wrong = [...filesBelow(src), ...filesBelow(join(root, 'test'))].filter((file) =>
      /from '[^']*\/web\//.test(readFileSync(file, 'utf8')),
    );
    const web = readdirSync(join(root, 'web/src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name))
      .filter((name) =>
        /^import (?!type\b)[^;]*'(?:\.\.\/)+src\//m.test(readFileSync(join(root, 'web/src', name), 'utf8')),
      );
    expect([
      ...wrong.map((file) => relative(root, file)).filter((file) => !file.startsWith('test/unit/portal/')),
      ...web,
    ]).toEqual([]);
  });
});

describe('libraries', () => {
  test('each has its home, and each dependency has a home here', () => {
    const wrong = files.flatMap(({ path, imports }) =>
      imports
        .map(({ from }) => from)
        .filter((from) => !from.startsWith('.') && !from.startsWith('node:'))
        .map((from) =>
          from
            .split('/')
            .slice(0, from.startsWith('@') ? 2 : 1)
            .join('/'),
        )
        .filter((library) => !HOMES[library]?.some((home) => isBelow(path, home)))
        .map((library) => `${path} imports ${library}`),
    );
    expect(wrong).toEqual([]);
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
    expect(Object.keys(manifest.dependencies).sort()).toEqual(Object.keys(HOMES).sort());
  });
});

describe('purity', () => {
  test('pure files import types, lib and each other only, and do nothing asynchronous', () => {
    const wrong = files
      .filter(({ path }) => PURE.some((pattern) => pattern.test(path)) && !path.endsWith('config.ts'))
      .filter(
        ({ imports, text }) =>
          imports.some(({ from, typeOnly }) => from.startsWith('node:') && !typeOnly) ||
          /\basync\b|\bawait\b|\bprocess\./.test(text),
      );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test.each(WORLD)('%s stands only in %s', (pattern, home) => {
    expect(
      files.filter(({ path, text }) => pattern.test(text) && !home.test(path)).map(({ path }) => path),
    ).toEqual([]);
  });
});

describe('tidiness', () => {
  test('no room is called after nothing', () => {
    const vague = /(?:^|\/)(?:utils?|helpers?|common|misc)(?:\/|\.ts$)|(?:manager|service|impl)\.ts$/i;
    expect(files.filter(({ path }) => vague.test(path)).map(({ path }) => path)).toEqual([]);
  });

  test('named exports only', () => {
    expect(files.filter(({ text }) => /^export default\b/m.test(text)).map(({ path }) => path)).toEqual([]);
  });

  test('no file re-exports another (no barrels)', () => {
    expect(files.filter(({ text }) => /^export \* from/m.test(text)).map(({ path }) => path)).toEqual([]);
  });
});
