import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { formatProblem, loadConfiguration, resolveSource } from '../../../src/config/load.ts';

const fixtures = fileURLToPath(new URL('../../fixtures/config/', import.meta.url));
const example = fileURLToPath(new URL('../../../config.example.yml', import.meta.url));
const minimal = join(fixtures, 'good/minimal.yml');

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function load(...files: string[]) {
  return loadConfiguration({ files, environment: {}, filters: [] });
}

function write(name: string, text: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce((one, step) => (one as Record<string, unknown> | undefined)?.[step], value);
}

describe('configurations that load', () => {
  const names = readdirSync(join(fixtures, 'good'));
  test('are many', () => expect(names.length).toBeGreaterThanOrEqual(20));

  // In each fixture `#= path = value` is what comes out, and `#! text` the beginning of one warning.
  test.each(names)('%s', (name) => {
    const file = join(fixtures, 'good', name);
    const { config, problems } = load(file);
    const warnings = problems.map((problem) => {
      expect(problem.severity, formatProblem(problem)).toBe('warning');
      return `${problem.key}: ${problem.message}`;
    });
    const text = readFileSync(file, 'utf8');
    const expected = [...text.matchAll(/^#! (.*)$/gm)].map(([, line = '']) => line);
    for (const line of expected)
      expect(
        warnings.filter((warning) => warning.startsWith(line)),
        line,
      ).toHaveLength(1);
    expect(warnings).toHaveLength(expected.length);
    for (const [, path = '', value = ''] of text.matchAll(/^#= (.*?) = (.*)$/gm)) {
      expect(at(config, path), path).toEqual(value === 'undefined' ? undefined : JSON.parse(value));
    }
  });

  test('the example for new users has neither errors nor warnings', () => {
    const { config, problems } = load(example);
    expect(problems).toEqual([]);
    expect(config?.session.name).toBe('__Secure-sallyport');
    expect(config?.server.trusted_proxies).toEqual(['127.0.0.1', '172.18.0.0/16']);
  });
});

describe('configurations that are refused', () => {
  const expectations = JSON.parse(readFileSync(join(fixtures, 'bad/expectations.json'), 'utf8')) as Record<
    string,
    string[]
  >;
  const names = readdirSync(join(fixtures, 'bad')).filter((name) => name.endsWith('.yml'));

  test('all have expectations', () => {
    expect(names.map((name) => basename(name, '.yml')).toSorted()).toEqual(
      Object.keys(expectations).toSorted(),
    );
  });

  test.each(Object.entries(expectations))('%s', (name, lines) => {
    const file = join(fixtures, 'bad', `${name}.yml`);
    const { config, problems } = load(file);
    expect(config).toBeNull();
    const found = problems.map(
      (problem) =>
        `${problem.severity} ${problem.line ?? '-'}:${problem.column ?? '-'} ${problem.key || '-'} ${problem.message}`,
    );
    lines.forEach((line, index) => expect(found[index]?.slice(0, line.length)).toBe(line));
    expect(found).toHaveLength(lines.length);
    // Secrets of the fixtures never show.
    for (const problem of problems) expect(formatProblem(problem)).not.toContain('hunter2');
  });
});

describe('the value', () => {
  test('is frozen to the bottom', () => {
    const { config } = load(join(fixtures, 'good/rules-of-all-kinds.yml'));
    const check = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      expect(Object.isFrozen(value)).toBe(true);
      Object.values(value).forEach(check);
    };
    check(config);
  });

  test('finds nothing under names that objects inherit', () => {
    const { config } = load(minimal);
    expect(config?.definitions.network['constructor']).toBeUndefined();
    expect(config?.server.endpoints.authz['toString']).toBeUndefined();
  });
});

describe('files', () => {
  test('several: maps merge deeply, lists replace, later wins', () => {
    const more = write(
      'more.yml',
      'session: {name: second, cookies: [{domain: example.org, authelia_url: https://sso.example.org}]}\nlog: {level: debug}\n',
    );
    const third = write('third.yml', 'log: {format: json}\n');
    const { config, origins } = load(minimal, more, third);
    expect(config?.session.name).toBe('second');
    expect(config?.session.cookies.map((cookie) => cookie.domain)).toEqual(['example.org']);
    expect(config?.log).toMatchObject({ level: 'debug', format: 'json' });
    expect(origins.get('log.level')).toBe(`${more}:2:14`);
    expect(origins.get('access_control.default_policy')).toBe(`${minimal}:5:19`);
    expect(origins.has('log.keep_stdout')).toBe(false);
  });

  test('an empty key of a later file leaves the value of an earlier one', () => {
    expect(load(minimal, write('null.yml', 'session:\n')).config?.session.cookies).toHaveLength(1);
  });

  test('a folder stands for its YAML files by name, inner folders left out', () => {
    const parts = join(folder, 'parts');
    mkdirSync(join(parts, 'inner.yml'), { recursive: true });
    writeFileSync(join(parts, '20.yaml'), 'theme: dark\n');
    writeFileSync(join(parts, '10.yml'), `theme: light\n${readFileSync(minimal, 'utf8')}`);
    writeFileSync(join(parts, '30.txt'), 'nonsense\n');
    expect(load(parts).config?.theme).toBe('dark');
  });

  test.each([
    ['missing', () => join(folder, 'nowhere.yml'), 'cannot be read: there is no such file'],
    [
      'empty folder',
      () => (mkdirSync(join(folder, 'none')), join(folder, 'none')),
      'is a folder without a .yml or .yaml file',
    ],
    ['not UTF-8', () => write('latin.yml', Buffer.from([0x61, 0x3a, 0x20, 0xe9])), 'is not UTF-8 text'],
    [
      'a link to itself',
      () => (symlinkSync('loop.yml', join(folder, 'loop.yml')), join(folder, 'loop.yml')),
      'cannot be read: symbolic links',
    ],
    ['a file below a file', () => join(minimal, 'x.yml'), 'cannot be read: a part of the path is no folder'],
  ])('%s: one clear message and nothing else', (_, make, words) => {
    const file = make();
    const { config, problems } = load(minimal, file);
    expect(config).toBeNull();
    expect(problems).toHaveLength(1);
    expect(formatProblem(problems[0] ?? { severity: 'error', key: '', message: '' })).toContain(
      `error: ${file}: ${words}`,
    );
  });

  test.skipIf(process.getuid?.() === 0)('no permission', () => {
    const file = write('locked.yml', 'theme: dark\n');
    chmodSync(file, 0);
    expect(load(file).problems[0]?.message).toBe('cannot be read: permission denied');
  });

  test('a byte order mark and Windows line ends do no harm', () => {
    const text = `\uFEFF${readFileSync(minimal, 'utf8').replaceAll('\n', '\r\n')}`;
    expect(load(write('windows.yml', text)).config?.authentication_backend.file?.path).toBe(
      '/config/users.yml',
    );
  });
});

describe('resolveSource', () => {
  const none = { files: ['configuration.yml'], filters: [] };
  test.each([
    ['nothing', {}, {}, none],
    [
      'flags, with commas and repeated',
      { config: ['a.yml,b.yml', ' c '] },
      { SALLYPORT_CONFIG: 'd' },
      { ...none, files: ['a.yml', 'b.yml', 'c'] },
    ],
    [
      'our variable first',
      {},
      { SALLYPORT_CONFIG: 'a,b', X_AUTHELIA_CONFIG: 'c' },
      { ...none, files: ['a', 'b'] },
    ],
    [
      "Authelia's variables",
      {},
      { X_AUTHELIA_CONFIG: 'c', X_AUTHELIA_CONFIG_FILTERS: 'template' },
      { files: ['c'], filters: ['template'] },
    ],
    [
      'filters by flag',
      { filters: ['expand-env,template'] },
      { SALLYPORT_CONFIG_FILTERS: 'x' },
      { ...none, filters: ['expand-env', 'template'] },
    ],
    [
      'empty ones',
      { config: [] },
      { SALLYPORT_CONFIG: '', X_AUTHELIA_CONFIG: 'c' },
      { ...none, files: ['c'] },
    ],
  ])('%s', (_, options, environment, expected) => {
    expect(resolveSource(options, environment)).toMatchObject(expected);
  });
});
