/** The functions of templates that touch nothing outside: text, lists, maps, comparisons, digests. */
import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import {
  isList,
  isMap,
  isTrue,
  type TemplateFunction,
  templateText,
  type TemplateValue,
} from './template.ts';

const longest = 10_000;

function number(value: TemplateValue | undefined): number {
  const result =
    typeof value === 'number'
      ? value
      : typeof value === 'string' && /^-?\d+(?:\.\d+)?$/.test(value)
        ? Number(value)
        : Number.NaN;
  if (Number.isNaN(result)) throw new Error('needs a number');
  return result;
}

function list(value: TemplateValue | undefined): readonly TemplateValue[] {
  if (value === undefined || !isList(value)) throw new Error('needs a list');
  return value;
}

function map(value: TemplateValue | undefined): ReadonlyMap<string, TemplateValue> {
  if (value === undefined || !isMap(value)) throw new Error('needs a map (made with dict)');
  return value;
}

/** A function of exactly `count` texts. */
function texts(count: number, run: (...parameters: string[]) => TemplateValue): TemplateFunction {
  return (...parameters) => {
    if (parameters.length !== count)
      throw new Error(`needs ${count} argument${count === 1 ? '' : 's'}, got ${parameters.length}`);
    return run(...parameters.map(templateText));
  };
}

const one = (run: (value: string) => TemplateValue): TemplateFunction => texts(1, (value = '') => run(value));
const two = (run: (first: string, value: string) => TemplateValue): TemplateFunction =>
  texts(2, (first = '', value = '') => run(first, value));

function indent(width: TemplateValue | undefined, text: string): string {
  const spaces = number(width);
  if (spaces < 0 || spaces > 200) throw new Error('needs a width from 0 to 200');
  return text.replaceAll(/^/gm, ' '.repeat(spaces));
}

const digest = (algorithm: string): TemplateFunction =>
  one((value) => createHash(algorithm).update(value).digest('hex'));

function compare(a: TemplateValue, b: TemplateValue): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'string' && typeof b === 'string') return a < b ? -1 : a > b ? 1 : 0;
  throw new Error('compares values that have no common order');
}

const order =
  (holds: (difference: number) => boolean): TemplateFunction =>
  (a = null, b = null) =>
    holds(compare(a, b));

function format(pattern: TemplateValue | undefined, values: readonly TemplateValue[]): string {
  let next = 0;
  return templateText(pattern ?? '').replaceAll(/%([%svdqt])/g, (_, verb: string) => {
    if (verb === '%') return '%';
    const value = values[next] ?? null;
    next += 1;
    return verb === 'q' ? JSON.stringify(templateText(value)) : templateText(value);
  });
}

function trimSet(characters: string): string {
  return `[${characters.replaceAll(/[\\\]^-]/g, '\\$&')}]+`;
}

const isMultiline = (value: string): boolean => value.includes('\n');
const doubleQuoted = (value: TemplateValue): string => JSON.stringify(templateText(value));
const singleQuoted = (value: TemplateValue): string => `'${templateText(value)}'`;

export const templateFunctions: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>([
  ['not', (value = null) => !isTrue(value)],
  ['eq', (first = null, ...others) => others.some((other) => first === other)],
  ['ne', (a = null, b = null) => a !== b],
  ['lt', order((difference) => difference < 0)],
  ['le', order((difference) => difference <= 0)],
  ['gt', order((difference) => difference > 0)],
  ['ge', order((difference) => difference >= 0)],
  [
    'len',
    (value = null) =>
      isMap(value) ? value.size : isList(value) ? value.length : Buffer.byteLength(templateText(value)),
  ],
  [
    'index',
    (value = null, key = null) =>
      isMap(value) ? (value.get(templateText(key)) ?? null) : itemAt(list(value), number(key)),
  ],
  ['print', (...values) => values.map(templateText).join('')],
  ['println', (...values) => `${values.map(templateText).join(' ')}\n`],
  ['printf', (pattern, ...values) => format(pattern, values)],
  ['lower', one((value) => value.toLowerCase())],
  ['upper', one((value) => value.toUpperCase())],
  ['title', one((value) => value.replaceAll(/(^|\s)\p{L}/gu, (start) => start.toUpperCase()))],
  ['trim', one((value) => value.trim())],
  [
    'trimAll',
    two((characters, value) =>
      value
        .replace(new RegExp(`^${trimSet(characters)}`), '')
        .replace(new RegExp(`${trimSet(characters)}$`), ''),
    ),
  ],
  ['trimPrefix', two((prefix, value) => (value.startsWith(prefix) ? value.slice(prefix.length) : value))],
  [
    'trimSuffix',
    two((suffix, value) =>
      suffix !== '' && value.endsWith(suffix) ? value.slice(0, -suffix.length) : value,
    ),
  ],
  ['replace', texts(3, (old = '', fresh = '', value = '') => value.replaceAll(old, () => fresh))],
  ['contains', two((part, value) => value.includes(part))],
  ['hasPrefix', two((part, value) => value.startsWith(part))],
  ['hasSuffix', two((part, value) => value.endsWith(part))],
  ['repeat', (count, value = '') => repeat(number(count), templateText(value))],
  [
    'trunc',
    (length, value = '') =>
      number(length) < 0
        ? templateText(value).slice(number(length))
        : templateText(value).slice(0, number(length)),
  ],
  [
    'split',
    two((separator, value) => new Map(value.split(separator).map((part, index) => [`_${index}`, part]))),
  ],
  ['splitList', two((separator, value) => value.split(separator))],
  ['join', (separator = '', value = null) => list(value).map(templateText).join(templateText(separator))],
  ['sortAlpha', (value) => list(value).map(templateText).toSorted()],
  ['list', (...items) => items],
  ['first', (value) => list(value)[0] ?? null],
  ['last', (value) => list(value).at(-1) ?? null],
  ['has', (item = null, value = null) => list(value).includes(item)],
  ['iterate', (count) => Array.from({ length: limited(number(count)) }, (_, index) => index)],
  [
    'dict',
    (...pairs) =>
      new Map(
        pairs.flatMap((key, index) => (index % 2 === 0 ? [[templateText(key), pairs[index + 1] ?? '']] : [])),
      ),
  ],
  ['get', (value, key = '') => map(value).get(templateText(key)) ?? ''],
  ['set', (value, key = '', item = null) => new Map([...map(value), [templateText(key), item]])],
  ['hasKey', (value, key = '') => map(value).has(templateText(key))],
  ['keys', (value) => [...map(value).keys()]],
  ['default', (fallback = null, value = null) => (isTrue(value) ? value : fallback)],
  ['empty', (value = null) => !isTrue(value)],
  ['coalesce', (...values) => values.find(isTrue) ?? null],
  ['ternary', (yes = null, no = null, condition = null) => (isTrue(condition) ? yes : no)],
  ['toString', (value = null) => templateText(value)],
  ['atoi', (value) => Math.trunc(number(value))],
  ['int', (value) => Math.trunc(number(value))],
  ['add', (...values) => values.reduce<number>((sum, value) => sum + number(value), 0)],
  ['sub', (a, b) => number(a) - number(b)],
  ['quote', (...values) => values.map(doubleQuoted).join(' ')],
  ['squote', (...values) => values.map(singleQuoted).join(' ')],
  ['mquote', one((value) => (isMultiline(value) ? value : doubleQuoted(value)))],
  ['msquote', one((value) => (isMultiline(value) ? value : singleQuoted(value)))],
  ['indent', (width, value = '') => indent(width, templateText(value))],
  ['nindent', (width, value = '') => `\n${indent(width, templateText(value))}`],
  [
    'mindent',
    (width, marker = '', value = '') => multilineIndent(width, templateText(marker), templateText(value)),
  ],
  ['sha1sum', digest('sha1')],
  ['sha256sum', digest('sha256')],
  ['sha512sum', digest('sha512')],
  ['b64enc', one((value) => Buffer.from(value).toString('base64'))],
  ['b64dec', one((value) => Buffer.from(value, 'base64').toString('utf8'))],
  ['urlquery', one((value) => encodeURIComponent(value).replaceAll('%20', '+'))],
  ['urlunquery', one((value) => decodeURIComponent(value.replaceAll('+', ' ')))],
  ['isAbs', one((value) => posix.isAbsolute(value))],
  ['base', one((value) => posix.basename(value))],
  ['dir', one((value) => posix.dirname(value))],
  ['ext', one((value) => posix.extname(value))],
  ['clean', one((value) => posix.normalize(value))],
]);

function itemAt(items: readonly TemplateValue[], index: number): TemplateValue {
  const item = items[index];
  if (item === undefined) throw new Error(`has no item ${index}; there are ${items.length}`);
  return item;
}

function limited(count: number): number {
  if (count < 0 || count > longest) throw new Error(`needs a number from 0 to ${longest}`);
  return Math.trunc(count);
}

function repeat(count: number, value: string): string {
  if (value.length * limited(count) > 1024 * 1024) throw new Error('makes more than 1 MiB of text');
  return value.repeat(Math.trunc(count));
}

/** Text of one line stays; more lines become a YAML block behind the marker (`|`). */
function multilineIndent(width: TemplateValue | undefined, marker: string, value: string): string {
  const trimmed = value.trim();
  return isMultiline(trimmed) ? `${marker}\n${indent(width, trimmed)}` : trimmed;
}
