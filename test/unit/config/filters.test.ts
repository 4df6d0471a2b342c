import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { applyFilters } from '../../../src/config/filters.ts';
import { formatProblem, loadConfiguration } from '../../../src/config/load.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-filters-'));
  writeFileSync(join(folder, 'key.pem'), '-----BEGIN-----\nabc\n-----END-----\n');
  writeFileSync(join(folder, 'one-line'), "it's\n\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

const environment = {
  DOMAIN: 'example.com',
  EMPTY: '',
  AUTHELIA_SESSION_SECRET: 'hunter2',
  X_AUTHELIA_TOKEN: 'hunter2',
  SALLYPORT_STORAGE_ENCRYPTION_KEY: 'hunter2',
  SALLYPORT_THEME: 'dark',
};

function filter(text: string, ...filters: string[]) {
  return applyFilters(text.replaceAll('FOLDER', folder), 'x.yml', { filters, environment });
}

describe('template', () => {
  test.each([
    ['{{ env "DOMAIN" }}', 'example.com'],
    ['{{ env "NOBODY" }}|{{ env "EMPTY" }}', '|'],
    ['{{ mustEnv "DOMAIN" | quote }}', '"example.com"'],
    ['{{ expandenv "https://auth.$DOMAIN/${DOMAIN}" }}', 'https://auth.example.com/example.com'],
    ['{{ env "SALLYPORT_THEME" }}', 'dark'],
    ['{{ secret "FOLDER/one-line" | squote }}', "'it's'"],
    ['{{ fileContent "FOLDER/one-line" }}.', "it's\n\n."],
    [
      '{{ secret "FOLDER/key.pem" | mindent 4 "|" | msquote }}',
      '|\n    -----BEGIN-----\n    abc\n    -----END-----',
    ],
    ['{{- range $i, $name := splitList "," "a,b" }}\n- {{ $name }}{{ $i }}\n{{- end }}', '\n- a0\n- b1'],
    ['{{ env "constructor" }}{{ env "__proto__" }}', ''],
  ])('%s', (text, expected) => {
    expect(filter(text, 'template')).toEqual({ text: expected, problems: [] });
  });

  test.each(['AUTHELIA_SESSION_SECRET', 'X_AUTHELIA_TOKEN', 'SALLYPORT_STORAGE_ENCRYPTION_KEY'])(
    '%s carries a secret and is hidden',
    (name) => {
      expect(
        filter(`{{ env "${name}" }}{{ mustEnv "${name}" }}{{ expandenv "$${name}" }}`, 'template').text,
      ).toBe('');
    },
  );

  test.each([
    ['a\n{{ mustEnv "NOBODY" }}', '2:4: template mustEnv: environment variable NOBODY is not set'],
    ['{{ secret "FOLDER/none" }}', 'cannot be read: there is no such file'],
    ['a\n\n  {{ evn "X" }}', '3:6: template calls "evn", which is no function here; did you mean "env"?'],
    ['{{ if true }}', '1:1: template has {{ if }} without {{ end }}'],
  ])('%s: an error with its place', (text, words) => {
    const { text: result, problems } = filter(text, 'template');
    expect(result).toBeNull();
    expect(problems.map(formatProblem).join()).toContain(words);
  });
});

describe('expand-env', () => {
  test('replaces what is in braces, and nothing else', () => {
    const { text, problems } = filter("${DOMAIN} $DOMAIN $${DOMAIN} '^/x$' ${NONCE} ${EMPTY}.", 'expand-env');
    expect(text).toBe("example.com $DOMAIN ${DOMAIN} '^/x$' ${NONCE} .");
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain('deprecated');
  });

  test('warns of a variable that is not set', () => {
    const { text, problems } = filter('a: ${NOBODY}', 'expand-env');
    expect(text).toBe('a: ');
    expect(problems[1]?.message).toContain('no environment variable NOBODY');
  });
});

test('filters run in their order', () => {
  expect(filter('{{ "${DOMAIN}" | upper }}', 'expand-env', 'template').text).toBe('EXAMPLE.COM');
  expect(filter('{{ "${DOMAIN}" | lower }}', 'template', 'expand-env').text).not.toContain('example.com');
});

test.each([
  [['template', 'template'], 'the filter "template" is named twice'],
  [['templat'], 'there is no filter "templat"; did you mean "template"?'],
  [['__proto__'], 'there is no filter "__proto__"; there are template and expand-env'],
])('%s is an error', (filters, message) => {
  const file = join(folder, 'c.yml');
  writeFileSync(file, 'theme: dark\n');
  const { config, problems } = loadConfiguration({ files: [file], environment, filters });
  expect(config).toBeNull();
  expect(problems.map((problem) => problem.message)).toEqual([message]);
});
