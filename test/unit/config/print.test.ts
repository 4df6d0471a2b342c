import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configurationJsonSchema } from '../../../src/config/json-schema.ts';
import { loadConfiguration } from '../../../src/config/load.ts';
import { leavesOf } from '../../../src/config/outline.ts';
import { printConfiguration } from '../../../src/config/print.ts';
import { configurationReference } from '../../../src/config/reference.ts';
import { configurationOutline } from '../../../src/config/schema.ts';

const good = fileURLToPath(new URL('../../fixtures/config/good/', import.meta.url));
const docs = fileURLToPath(new URL('../../../docs/reference/', import.meta.url));

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-print-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function load(file: string) {
  return loadConfiguration({ files: [file], environment: {}, filters: [] });
}

function print(file: string): string {
  const { config, origins } = load(file);
  if (config === null) throw new Error(`${file} does not load`);
  return printConfiguration(config, origins);
}

describe('print', () => {
  // The deprecated schema names no portal, and the present one demands it.
  const writable = readdirSync(good).filter((name) => name !== 'old-session-schema.yml');
  test.each(writable)('what is printed of %s can be read again and prints the same', (name) => {
    // Hidden values are too short for some keys.
    const text = print(join(good, name)).replaceAll("'<redacted>'", "'<redacted with length>'");
    const file = join(folder, name);
    writeFileSync(file, text);
    const again = load(file);
    expect(again.problems.filter((problem) => problem.severity === 'error')).toEqual([]);
    const bare = (printed: string): string =>
      printed.replaceAll(/ # .*$/gm, '').replaceAll("'<redacted with length>'", "'<redacted>'");
    expect(bare(print(file))).toBe(bare(text));
  });

  test('every value has its source', () => {
    const lines = print(join(good, 'minimal.yml')).split('\n');
    expect(lines).toContain('theme: light # default');
    expect(lines).toContain(`    path: '/config/users.yml' # ${good}minimal.yml:3:11`);
    expect(lines).toContain(`    - domain: example.com # ${good}minimal.yml:8:15`);
    expect(lines.filter((line) => line !== '' && !line.includes(' # ') && !/:$|\{\}$/.test(line))).toEqual(
      [],
    );
  });

  test('no secret is printed', () => {
    const text =
      print(join(good, 'every-other-section.yml')) +
      print(join(good, 'openid-connect.yml')) +
      print(join(good, 'ldap-activedirectory.yml'));
    for (const word of ['xyz', 'this_is_a_secret', 'PRIVATE KEY', '$plaintext$', 'redispw'])
      expect(text).not.toContain(word);
    expect(text.match(/<redacted>/g)?.length).toBeGreaterThan(8);
  });
});

describe('reference and schema', () => {
  test('are up to date: run scripts/generate-docs.ts otherwise', () => {
    expect(readFileSync(`${docs}configuration.md`, 'utf8')).toBe(configurationReference());
    expect(readFileSync(`${docs}configuration.schema.json`, 'utf8')).toBe(
      `${JSON.stringify(configurationJsonSchema, null, 2)}\n`,
    );
  });

  test('every key has a sentence', () => {
    expect(
      leavesOf(configurationOutline)
        .filter(({ outline }) => !/[.)]$/.test(outline.description))
        .map(({ path }) => path.join('.')),
    ).toEqual([]);
  });

  test('the schema knows what is required, allowed and the default', () => {
    expect(configurationJsonSchema).toMatchObject({
      type: 'object',
      additionalProperties: false,
      required: ['authentication_backend', 'session'],
      properties: {
        theme: { enum: ['light', 'dark', 'grey', 'oled', 'auto'], default: 'light' },
        session: { properties: { cookies: { type: 'array', items: { required: ['domain'] } } } },
      },
    });
  });
});
