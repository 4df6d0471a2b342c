/**
 * The kinds of value that a configuration key may have, as zod schemas that read what people write: `'6379'` for a
 * number, a number where text is expected, one item where a list is expected. Nothing is read that loses something.
 * Each schema carries a `ValueKind`, from which the reference, the JSON Schema and `config print` are made.
 */
import * as z from 'zod';
import { type Address, type AddressRules, formatAddress, parseAddress } from './address.ts';
import { formatDuration, parseDuration } from './duration.ts';
import { parseNetwork } from './ip-network.ts';
import { messageOf } from './message-of.ts';
import { nearestWord } from './nearest-word.ts';

export type JsonSchema = { readonly [key: string]: unknown };

/** What is known of a schema beyond its type. Found with `kindOf(schema)`. */
export interface ValueKind {
  /** As the reference shows it: `duration`, `one of a, b`. */
  readonly name: string;
  /** What may be written, for editors. */
  readonly json: JsonSchema;
  /** Never printed. */
  readonly secret?: boolean;
  /** The parsed value as it would be written. Default: the value itself. */
  readonly write?: (value: never) => unknown;
  /** Where the key is not required, empty text counts as absent. */
  readonly emptyIsAbsent?: boolean;
  /** Of a list: the schema of its items. */
  readonly item?: z.ZodType;
}

const kinds = z.registry<object>();

/** The kind with which a schema of this file was made; also of what was refined or described afterwards. */
export function kindOf(schema: z.ZodType): ValueKind | undefined {
  return kinds.get(schema) as ValueKind | undefined;
}

/** A value that does not fit; the message says what is allowed and what was found. */
class Unfit extends Error {}

/** A schema from a function that throws an Error with a message beginning with "must" (what is allowed). */
export function scalar<T>(kind: ValueKind, parse: (value: unknown) => T): z.ZodType<T> {
  const schema = z.unknown().transform((value, context): T => {
    try {
      if (value === undefined) throw new Unfit('is required');
      return parse(value);
    } catch (error) {
      const message = messageOf(error);
      const found =
        error instanceof Unfit
          ? ''
          : `, found ${kind.secret === true ? 'a value that is not shown' : describe(value)}`;
      context.addIssue({ code: 'custom', message: message + found });
      return z.NEVER;
    }
  });
  return schema.register(kinds, kind);
}

/** How a value is named in a message. Long text is cut, and credentials in addresses are left out. */
export function describe(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value !== 'string') return String(value);
  const shown = value.replace(/\/\/[^/@\s]*@/, '//…@');
  return JSON.stringify(shown.length > 80 ? `${shown.slice(0, 80)}…` : shown);
}

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new Error('must be text');
}

export interface TextRules {
  readonly minimum?: number;
  readonly maximum?: number;
  /** A pattern and the words for it: `must be …`. */
  readonly pattern?: readonly [RegExp, string];
  readonly name?: string;
}

/** Text; not empty unless `minimum` is 0. */
export function text(rules: TextRules = {}): z.ZodType<string> {
  return textOf(rules, false);
}

/** Text that is never shown. */
export function secret(rules: TextRules = {}): z.ZodType<string> {
  return textOf(rules, true);
}

function textOf(rules: TextRules, hidden: boolean): z.ZodType<string> {
  const { minimum = 1, maximum = 1_000_000, pattern } = rules;
  const json = { type: ['string', 'number', 'boolean'], ...(minimum > 0 ? { minLength: minimum } : {}) };
  const kind = {
    name: rules.name ?? (hidden ? 'secret text' : 'text'),
    json,
    secret: hidden,
    emptyIsAbsent: true,
  };
  return scalar(kind, (value) => {
    const given = asText(value);
    if (given.length < minimum)
      throw new Unfit(minimum === 1 ? 'must not be empty' : `must have at least ${minimum} characters`);
    if (given.length > maximum) throw new Unfit(`must have at most ${maximum} characters`);
    if (pattern !== undefined && !pattern[0].test(given)) throw new Error(pattern[1]);
    return given;
  });
}

/** A path in the file system, as written. */
export function path(): z.ZodType<string> {
  return text({ name: 'path' });
}

/** true or false. */
export function flag(): z.ZodType<boolean> {
  return scalar({ name: 'boolean', json: { type: 'boolean' } }, (value) => {
    const word = typeof value === 'string' ? value.toLowerCase() : value;
    if (word === true || word === 'true') return true;
    if (word === false || word === 'false') return false;
    throw new Error('must be true or false');
  });
}

/** A whole number within the limits (both included). */
export function integer(minimum: number, maximum: number = Number.MAX_SAFE_INTEGER): z.ZodType<number> {
  const top = maximum === Number.MAX_SAFE_INTEGER ? '' : ` to ${maximum}`;
  const allowed =
    top === ''
      ? `must be a whole number of at least ${minimum}`
      : `must be a whole number from ${minimum}${top}`;
  const json = { type: ['integer', 'string'], minimum, ...(top === '' ? {} : { maximum }) };
  return scalar(
    { name: top === '' ? `integer ≥ ${minimum}` : `integer ${minimum}–${maximum}`, json },
    (value) => {
      const number = typeof value === 'string' && /^-?(?:0|[1-9]\d*)$/.test(value) ? Number(value) : value;
      if (typeof number !== 'number' || !Number.isSafeInteger(number)) throw new Error(allowed);
      if (number < minimum || number > maximum) throw new Error(allowed);
      return number;
    },
  );
}

/** One word of a closed list, letter case included. */
export function choice<const T extends string | number>(...values: readonly T[]): z.ZodType<T> {
  return oneOf(values, (word) => word);
}

/** The same, where letter case does not count. */
export function choiceInAnyCase<const T extends string>(...values: readonly T[]): z.ZodType<T> {
  return oneOf(values, (word) => word.toLowerCase());
}

function oneOf<T extends string | number>(
  values: readonly T[],
  read: (word: string) => string,
): z.ZodType<T> {
  const words = values.map(String);
  return scalar(
    {
      name: words.map((word) => `\`${word || "''"}\``).join(', '),
      json: { enum: values },
      emptyIsAbsent: true,
    },
    (value) => {
      const index = typeof value === 'object' ? -1 : words.indexOf(read(String(value)));
      const chosen = values[index];
      if (chosen !== undefined) return chosen;
      const near = typeof value === 'string' ? nearestWord(value, words) : null;
      const found = `, found ${describe(value)}${near === null ? '' : `; did you mean "${near}"?`}`;
      throw new Unfit(`must be one of ${words.map((word) => word || "''").join(', ')}${found}`);
    },
  );
}

export interface DurationRules {
  /** Milliseconds; default 0. */
  readonly minimum?: number;
  /** -1 switches the thing off. */
  readonly canBeOff?: boolean;
}

/** A duration in milliseconds. */
export function duration(rules: DurationRules = {}): z.ZodType<number> {
  return scalar({ name: 'duration', json: { type: ['string', 'integer'] }, write: formatDuration }, (value) =>
    readDuration(value, rules),
  );
}

/** A duration in milliseconds, or one of the words. */
export function durationOr<const W extends string>(...words: readonly W[]): z.ZodType<number | W> {
  const write = (value: number | string): string =>
    typeof value === 'number' ? formatDuration(value) : value;
  const name = `duration, ${words.map((word) => `\`${word}\``).join(', ')}`;
  return scalar({ name, json: { type: ['string', 'integer'] }, write }, (value) => {
    return words.find((word) => word === value) ?? readDuration(value, {});
  });
}

function readDuration(value: unknown, { minimum = 0, canBeOff = false }: DurationRules): number {
  if (typeof value !== 'string' && typeof value !== 'number')
    throw new Error('must be a duration such as 5m or 1h30m');
  const length = parseDuration(value);
  if (canBeOff && length < 0) {
    if (length !== -1000) throw new Error('must be a duration, or -1 to switch it off');
    return length;
  }
  if (length < 0) throw new Error('must not be negative');
  if (length < minimum) throw new Error(`must be at least ${formatDuration(minimum)}`);
  return length;
}

/** An address; see lib/address.ts. */
export function address(rules: AddressRules): z.ZodType<Address> {
  const json = {
    type: 'string',
    examples: [...Object.keys(rules.schemes), ...rules.sockets].map((scheme) => `${scheme}://…`),
  };
  return scalar({ name: 'address', json, write: formatAddress, emptyIsAbsent: true }, (value) =>
    parseAddress(asText(value), rules),
  );
}

/** An absolute URL of one of the schemes, without user and fragment. The value is the URL in normal form. */
export function url(...schemes: readonly string[]): z.ZodType<string> {
  return scalar(
    { name: `${schemes.join(' or ')} URL`, json: { type: 'string', format: 'uri' }, emptyIsAbsent: true },
    (value) => {
      const allowed = `must be an absolute ${schemes.join(' or ')} URL`;
      const given = asText(value);
      if (!URL.canParse(given) || !/^[a-z][a-z0-9+.-]*:\/\/[^/?#]/i.test(given) || /\s/.test(given))
        throw new Error(allowed);
      const parsed = new URL(given);
      if (!schemes.includes(parsed.protocol.slice(0, -1))) throw new Error(allowed);
      if (parsed.username !== '' || parsed.password !== '')
        throw new Unfit(`${allowed} without user name or password`);
      if (parsed.hash !== '') throw new Unfit(`${allowed} without a fragment (#)`);
      return parsed.href;
    },
  );
}

/** True for an IP address and for `address/bits`. Bits beyond the prefix may be set. */
export function isNetwork(value: string): boolean {
  try {
    parseNetwork(value);
    return true;
  } catch {
    return false;
  }
}

/** CIDR or a single IP address. */
export function network(): z.ZodType<string> {
  return scalar({ name: 'network', json: { type: 'string' } }, (value) => {
    const given = asText(value);
    if (!isNetwork(given)) throw new Error('must be an IP address or a network such as 192.168.0.0/24');
    return given;
  });
}

/** A list; a single item may be written without the list. */
export function list<T>(item: z.ZodType<T>, minimum = 0): z.ZodType<T[]> {
  const itemKind = kindOf(item);
  const array = z.array(item);
  const wrapped = z.preprocess(
    (value) => (Array.isArray(value) || value === undefined ? value : [value]),
    minimum === 0 ? array : array.min(minimum, 'must have at least one item'),
  );
  const name = `list of ${itemKind?.name ?? 'maps'}`;
  return wrapped.register(kinds, { name, json: {}, item });
}

/** A list of words, each at most once. */
export function words<const T extends string | number>(...values: readonly T[]): z.ZodType<T[]> {
  return unique(choice(...values));
}

/** A list in which nothing stands twice. */
export function unique<T extends string | number>(item: z.ZodType<T>): z.ZodType<T[]> {
  return list(item).superRefine((items, context) => {
    items.forEach((one, index) => {
      if (items.indexOf(one) !== index) {
        context.addIssue({
          code: 'custom',
          path: [index],
          message: `must not stand twice, found ${describe(one)} again`,
        });
      }
    });
  });
}

/** A map whose keys people choose. The value has no prototype, so that a name like `constructor` finds nothing. */
export function named<T>(value: z.ZodType<T>, pattern: RegExp = /./, allowed = 'must not be empty') {
  return z
    .record(z.string().regex(pattern, `has a name that ${allowed}`), value)
    .transform((entries): Readonly<Record<string, T>> => Object.assign(Object.create(null), entries));
}

/** A map of fixed keys; any other key is an error. */
export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  return z.strictObject(shape);
}
