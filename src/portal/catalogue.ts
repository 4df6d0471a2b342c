/**
 * The texts of the portal by language: one folder per language, one flat JSON file per namespace (`de/portal.json`).
 * Ours lie below `builtin`; an administrator's own lie in the same shape below `override` and win, text by text. English
 * is complete and stands behind every other language.
 *
 * Everything is read at start. What a request asks for is looked up among the names that were found there; no path is
 * ever made of it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../lib/message-of.ts';

type Texts = Readonly<Record<string, string>>;

/** One language as `GET /locales` lists it. */
export interface CatalogueLanguage {
  /** The language's name in itself. */
  readonly display: string;
  /** BCP 47, canonical. */
  readonly locale: string;
  readonly namespaces: readonly string[];
  /** Where a missing text is looked for, in this order. */
  readonly fallbacks: readonly string[];
  /** The language that this one is a variant of (`pt` for `pt-BR`), or empty. */
  readonly parent: string;
}

/** The body of `GET /locales`. */
export interface CatalogueIndex {
  readonly defaults: { readonly language: CatalogueLanguage; readonly namespace: string };
  readonly namespaces: readonly string[];
  readonly languages: readonly CatalogueLanguage[];
}

export interface Catalogue {
  readonly languages: readonly CatalogueLanguage[];
  readonly index: CatalogueIndex;
  /** Every text of the portal in this language, gaps filled from its parent and English. Unknown languages are English. */
  texts(language: string): Texts;
  /**
   * The language for a visitor: the one that he chose (`cookie`) if there is such a one, else the best of
   * `Accept-Language` (RFC 9110, 12.5.4; matched by lookup, RFC 4647, 3.4), else English. Never throws.
   */
  negotiate(acceptLanguage: string | undefined, cookie?: string): string;
  direction(language: string): 'ltr' | 'rtl';
  /** What `GET /locales/<language>/<namespace>.json` answers: this language's own texts. Null when there is no such file. */
  file(language: string, namespace: string): Texts | null;
}

const english = 'en';
const defaultNamespace = 'portal';

/** Scripts that run from right to left, by ISO 15924. */
const rightToLeft = new Set(['Adlm', 'Arab', 'Hebr', 'Mand', 'Nkoo', 'Rohg', 'Samr', 'Syrc', 'Thaa']);

/** An honest browser sends a handful; what stands behind these is not looked at. */
const maximumWishes = 32;

/**
 * Reads the texts. Throws an error that names the file when one is not JSON or is not a flat object of texts, and when a
 * folder's name is no language.
 */
export function openCatalogue(directories: {
  readonly builtin: string;
  readonly override?: string;
}): Catalogue {
  // Language, namespace, key.
  const own = new Map<string, Map<string, Map<string, string>>>();
  const known = readNamespaces(directories.builtin);
  readInto(own, directories.builtin, known);
  const keys = new Set(own.get(english)?.get(defaultNamespace)?.keys());
  if (directories.override !== undefined) readInto(own, directories.override, known);

  const namespaces = [...known].sort();
  const locales = [...own.keys()].sort();
  const languages = locales.map((locale) => describe(locale, own));
  const spelling = new Map(locales.map((locale) => [locale.toLowerCase(), locale]));
  const complete = new Map(languages.map((language) => [language.locale, merge(language, own, keys)]));

  function texts(language: string): Texts {
    return complete.get(spelling.get(language.toLowerCase()) ?? english) ?? {};
  }

  function match(wish: string): string | undefined {
    const lower = wish.toLowerCase();
    for (let range = lower; range !== ''; range = range.slice(0, Math.max(0, range.lastIndexOf('-')))) {
      const found = spelling.get(range);
      if (found !== undefined) return found;
    }
    // Somebody who reads one variant would rather have another one than English.
    const [primary = ''] = lower.split('-');
    return locales.find((locale) => locale.toLowerCase().startsWith(`${primary}-`));
  }

  function negotiate(acceptLanguage: string | undefined, cookie?: string): string {
    const chosen = cookie === undefined ? undefined : spelling.get(cookie.toLowerCase());
    if (chosen !== undefined) return chosen;
    for (const wish of wishesOf(acceptLanguage ?? '')) {
      const found = wish === '*' ? english : match(wish);
      if (found !== undefined) return found;
    }
    return english;
  }

  return {
    languages,
    index: {
      defaults: { language: describe(english, own), namespace: defaultNamespace },
      namespaces,
      languages,
    },
    texts,
    negotiate,
    direction: (language) => directionOf(spelling.get(language.toLowerCase()) ?? english),
    file(language, namespace) {
      const found = own.get(spelling.get(language.toLowerCase()) ?? '')?.get(namespace);
      return found === undefined ? null : Object.fromEntries(found);
    },
  };
}

type Sources = Map<string, Map<string, Map<string, string>>>;

/** The namespaces of English, which every language is measured by. */
function readNamespaces(builtin: string): Set<string> {
  const names = new Set<string>();
  for (const file of readdirSync(join(builtin, english))) {
    if (file.endsWith('.json')) names.add(file.slice(0, -'.json'.length));
  }
  return names;
}

/** Adds what lies below `directory`. Other files than those of known namespaces are left alone: they are not ours. */
function readInto(sources: Sources, directory: string, namespaces: ReadonlySet<string>): void {
  for (const entry of listFolders(directory)) {
    const locale = canonicalLocale(entry, directory);
    for (const namespace of namespaces) {
      const path = join(directory, entry, `${namespace}.json`);
      const texts = readTexts(path);
      if (texts === null) continue;
      const byNamespace = sources.get(locale) ?? new Map<string, Map<string, string>>();
      sources.set(locale, byNamespace);
      byNamespace.set(namespace, new Map([...(byNamespace.get(namespace) ?? []), ...texts]));
    }
  }
}

function listFolders(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    // An administrator who overrides no text has no such folder.
    if (isMissing(error)) return [];
    throw error;
  }
}

function canonicalLocale(name: string, directory: string): string {
  try {
    const [locale] = Intl.getCanonicalLocales(name);
    if (locale !== undefined) return locale;
  } catch {
    // Said below.
  }
  throw new Error(
    `${join(directory, name)}: the folder's name is not a language tag such as "de" or "pt-BR"`,
  );
}

function readTexts(path: string): [string, string][] | null {
  let source: string;
  try {
    source = readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(source.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new Error(`${path}: not valid JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new Error(`${path}: must be an object of texts, such as {"login.submit": "Sign in"}`);
  }
  return Object.entries(parsed).map(([key, text]) => {
    if (typeof text !== 'string') throw new Error(`${path}: ${JSON.stringify(key)} must be a text in quotes`);
    return [key, text];
  });
}

function describe(locale: string, own: Sources): CatalogueLanguage {
  const parents: string[] = [];
  for (let tag = locale; tag.includes('-');) {
    tag = tag.slice(0, tag.lastIndexOf('-'));
    if (own.has(tag)) parents.push(tag);
  }
  return {
    display: new Intl.DisplayNames([locale], { type: 'language' }).of(locale) ?? locale,
    locale,
    namespaces: [...(own.get(locale)?.keys() ?? [])].sort(),
    fallbacks: [...parents.filter((parent) => parent !== english), english],
    parent: parents[0] ?? '',
  };
}

/** A language may only say what our English says: no page asks for other keys. Plural forms are those of its own grammar. */
function merge({ locale, fallbacks }: CatalogueLanguage, own: Sources, keys: ReadonlySet<string>): Texts {
  const isKnown = (key: string): boolean =>
    keys.has(key) || keys.has(key.replace(/_(?:zero|one|two|few|many)$/, '_other'));
  const merged = new Map<string, string>();
  for (const from of [locale, ...fallbacks].toReversed()) {
    for (const [key, text] of own.get(from)?.get(defaultNamespace) ?? []) {
      if (isKnown(key)) merged.set(key, text);
    }
  }
  // Defines each key as the object's own, whatever it is called.
  return Object.freeze(Object.fromEntries(merged));
}

/** The languages of an Accept-Language header, best first; those that are refused (`q=0`) or malformed are left out. */
function wishesOf(header: string): string[] {
  return header
    .split(',', maximumWishes)
    .map((item) =>
      /^\s*([a-z]{1,8}(?:-[a-z0-9]{1,8}){0,8}|\*)\s*(?:;\s*q=([01](?:\.\d{0,3})?)\s*)?$/i.exec(item),
    )
    .flatMap((found) => (found === null ? [] : [{ tag: found[1] ?? '', quality: Number(found[2] ?? 1) }]))
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality)
    .map(({ tag }) => tag);
}

function directionOf(locale: string): 'ltr' | 'rtl' {
  return rightToLeft.has(new Intl.Locale(locale).maximize().script ?? '') ? 'rtl' : 'ltr';
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
