import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCatalogue } from '../../../src/portal/catalogue.ts';
import { webDist } from './sample-pages.ts';

const root = mkdtempSync(join(tmpdir(), 'sallyport-catalogue-'));
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;
/** A folder with these files; what is not a string is written as JSON. */
function folder(files: Readonly<Record<string, unknown>>): string {
  const path = join(root, String((count += 1)));
  mkdirSync(path);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return path;
}

const builtin = folder({
  'en/portal.json': { hello: 'Hello', bye: 'Bye', days_one: '{count} day', days_other: '{count} days' },
  'de/portal.json': { hello: 'Hallo', days_few: 'few' },
  'de-AT/portal.json': { hello: 'Servus' },
  'pt-BR/portal.json': { hello: 'Olá' },
  'ar/portal.json': { hello: 'مرحبا' },
});

describe('texts', () => {
  const catalogue = openCatalogue({ builtin });

  it('stand over those of the parent and English', () => {
    expect(catalogue.texts('de')).toMatchObject({ hello: 'Hallo', bye: 'Bye' });
    expect(catalogue.texts('de-AT')).toMatchObject({ hello: 'Servus', bye: 'Bye', days_few: 'few' });
    expect(catalogue.texts('en')).toMatchObject({ hello: 'Hello' });
  });

  it('are English for a language that is not there', () => {
    for (const language of ['xx', '', '../de', '__proto__', 'constructor']) {
      expect(catalogue.texts(language)).toEqual(catalogue.texts('en'));
    }
  });

  it('are found in any spelling of the tag', () => {
    expect(catalogue.texts('DE-at').hello).toBe('Servus');
  });
});

describe('overrides', () => {
  it('win text by text, also in English and behind other languages', () => {
    const override = folder({
      'en/portal.json': { bye: 'So long', unknown: 'no page asks for this' },
      'pt-br/portal.json': { hello: 'Oi' },
      'fr/portal.json': '\uFEFF{"hello":"Bonjour"}',
      'fr/settings.json': 'not read, as it is of no page here',
      'README.md': 'a file',
      '.git/portal.json': '{',
    });
    const catalogue = openCatalogue({ builtin, override });
    expect(catalogue.texts('en')).toMatchObject({ hello: 'Hello', bye: 'So long' });
    expect(catalogue.texts('de')).toMatchObject({ hello: 'Hallo', bye: 'So long' });
    expect(catalogue.texts('pt-BR')).toMatchObject({ hello: 'Oi', bye: 'So long' });
    expect(catalogue.texts('fr')).toMatchObject({ hello: 'Bonjour', bye: 'So long' });
    expect(catalogue.texts('en')).not.toHaveProperty('unknown');
    expect(catalogue.languages.map(({ locale }) => locale)).toEqual([
      'ar',
      'de',
      'de-AT',
      'en',
      'fr',
      'pt-BR',
    ]);
  });

  it('may be absent', () => {
    const catalogue = openCatalogue({ builtin, override: join(root, 'nowhere') });
    expect(catalogue.texts('en').hello).toBe('Hello');
  });

  it.each([
    ['not JSON', { 'de/portal.json': '{"a": }' }, /de\/portal\.json: not valid JSON: /],
    ['not an object', { 'de/portal.json': [] }, /de\/portal\.json: must be an object of texts/],
    ['null', { 'de/portal.json': 'null' }, /de\/portal\.json: must be an object of texts/],
    [
      'nested',
      { 'de/portal.json': { login: { title: 'x' } } },
      /de\/portal\.json: "login" must be a text in quotes/,
    ],
    [
      'no language',
      { 'not_a_language/portal.json': {} },
      /not_a_language: the folder's name is not a language tag/,
    ],
  ])('are refused with the name of the file: %s', (_name, files, message) => {
    expect(() => openCatalogue({ builtin, override: folder(files) })).toThrow(message);
  });

  it('cannot reach the prototype', () => {
    const override = folder({ 'en/portal.json': '{"__proto__": "x", "constructor": "y", "hello": "Hi"}' });
    const texts = openCatalogue({ builtin, override }).texts('en');
    expect(Object.getPrototypeOf(texts)).toBe(Object.prototype);
    expect(Object.keys(texts).sort()).toEqual(['bye', 'days_one', 'days_other', 'hello']);
    expect(texts.hello).toBe('Hi');
  });
});

describe('negotiation', () => {
  const { negotiate } = openCatalogue({ builtin });

  it.each([
    [undefined, 'en'],
    ['', 'en'],
    ['de', 'de'],
    ['DE-at', 'de-AT'],
    ['de-CH', 'de'],
    ['de-AT-1996', 'de-AT'],
    ['pt', 'pt-BR'],
    ['pt-PT,pt;q=0.9', 'pt-BR'],
    ['fr, ar;q=0.5, de;q=0.8', 'de'],
    ['fr;q=1.0, xx', 'en'],
    ['de;q=0, ar;q=0.1', 'ar'],
    ['de;q=0.000', 'en'],
    ['*', 'en'],
    ['ar;q=0.2, *;q=0.5', 'en'],
    ['en-GB, de', 'en'],
    [' de ; q=0.5 ', 'de'],
    ['de;q=2, ar', 'ar'],
    ['d€, ;;;, ==, ar', 'ar'],
    ['__proto__, constructor', 'en'],
    ['../../etc/passwd', 'en'],
  ])('of %j gives %s', (header, language) => {
    expect(negotiate(header)).toBe(language);
  });

  it('follows the choice of the visitor, if there is such a language', () => {
    expect(negotiate('de', 'AR')).toBe('ar');
    expect(negotiate('de', 'xx')).toBe('de');
    expect(negotiate(undefined, '../de')).toBe('en');
  });

  it('looks at a bounded part of a header that is made to cost time', () => {
    expect(negotiate(`${'xx,'.repeat(40)}de`)).toBe('en');
    expect(negotiate(`de${'-aaaaaaaa'.repeat(5000)}`)).toBe('en');
    expect(negotiate(' '.repeat(100_000))).toBe('en');
  });
});

describe('what is published', () => {
  const catalogue = openCatalogue({ builtin });

  it('is the index of languages', () => {
    expect(catalogue.index.namespaces).toEqual(['portal']);
    expect(catalogue.index.defaults.namespace).toBe('portal');
    expect(catalogue.index.defaults.language.locale).toBe('en');
    expect(catalogue.index.languages.find(({ locale }) => locale === 'de-AT')).toEqual({
      display: 'Österreichisches Deutsch',
      locale: 'de-AT',
      namespaces: ['portal'],
      fallbacks: ['de', 'en'],
      parent: 'de',
    });
    expect(catalogue.languages.find(({ locale }) => locale === 'en')).toMatchObject({
      fallbacks: ['en'],
      parent: '',
    });
  });

  it('is the files, by known names only', () => {
    expect(catalogue.file('de', 'portal')).toEqual({ hello: 'Hallo', days_few: 'few' });
    for (const [language, namespace] of [
      ['de', 'settings'],
      ['de', '../de/portal'],
      ['../de', 'portal'],
      ['xx', 'portal'],
      ['', ''],
      ['__proto__', '__proto__'],
    ] as const) {
      expect(catalogue.file(language, namespace)).toBeNull();
    }
  });

  it('is the direction of each language', () => {
    expect(catalogue.direction('ar')).toBe('rtl');
    expect(catalogue.direction('de')).toBe('ltr');
    expect(catalogue.direction('xx')).toBe('ltr');
    const more = openCatalogue({
      builtin,
      override: folder({ 'he/portal.json': {}, 'az-Arab/portal.json': {}, 'az/portal.json': {} }),
    });
    expect(['he', 'az-Arab', 'az'].map((language) => more.direction(language))).toEqual([
      'rtl',
      'rtl',
      'ltr',
    ]);
  });
});

it('opens the English of the portal', () => {
  const { texts, languages } = openCatalogue({ builtin: join(webDist, 'locales') });
  expect(languages).toEqual([
    { display: 'English', locale: 'en', namespaces: ['portal'], fallbacks: ['en'], parent: '' },
  ]);
  expect(Object.keys(texts('en')).length).toBeGreaterThan(40);
});
