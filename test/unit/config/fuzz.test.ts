import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert, constantFrom, nat, property } from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatProblem, loadConfiguration } from '../../../src/config/load.ts';
import { printConfiguration } from '../../../src/config/print.ts';

const good = fileURLToPath(new URL('../../fixtures/config/good/', import.meta.url));
const texts = readdirSync(good).map((name) =>
  readFileSync(join(good, name), 'utf8').replaceAll(/^#.*$/gm, ''),
);

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-fuzz-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Loads the text, prints what comes out and formats what is wrong: nothing of it may throw. */
function check(text: string): void {
  const file = join(folder, 'x.yml');
  writeFileSync(file, text);
  const { config, problems, origins } = loadConfiguration({ files: [file], environment: {}, filters: [] });
  expect(config === null).toBe(problems.some((problem) => problem.severity === 'error'));
  for (const problem of problems) expect(formatProblem(problem)).toMatch(/^(?:error|warning): .+/s);
  expect(config === null ? '' : printConfiguration(config, origins)).toMatch(
    config === null ? /^$/ : /^session:/m,
  );
}

const values = [
  '',
  '~',
  '[]',
  '{}',
  '[[]]',
  '[{}]',
  '{a: {b: c}}',
  "''",
  '5',
  '-1',
  '.nan',
  '.inf',
  '1e400',
  'true',
  '!!binary aa',
  '*x',
  '&x y',
  '"\\0"',
  "'a,b'",
  '{user}',
  "'{user}'",
  'x'.repeat(3000),
];

test('any value in any place gives a configuration or problems, never an exception', () => {
  assert(
    property(constantFrom(...texts), nat(), constantFrom(...values), (text, position, value) => {
      const places = [...text.matchAll(/(?<=[:-] )[^\s,{}[\]]+/g)];
      const place = places[position % places.length];
      if (place === undefined) throw new Error('a fixture without values');
      check(text.slice(0, place.index) + value + text.slice(place.index + place[0].length));
    }),
    { numRuns: 250, seed: 11 },
  );
});

test('any damage to the text too', () => {
  const damage = constantFrom(
    '',
    '\t',
    '\n',
    ':',
    '- ',
    '{',
    '}',
    '[',
    ']',
    "'",
    '"',
    '&a ',
    '*a',
    '|',
    '<<: ',
    '---\n',
    '\u0000',
    '\u{1F600}',
    '? ',
    '! ',
    '%',
  );
  assert(
    property(constantFrom(...texts), nat(), nat(8), damage, (text, position, length, insert) => {
      const start = position % text.length;
      check(text.slice(0, start) + insert + text.slice(start + length));
    }),
    { numRuns: 250, seed: 12 },
  );
});
