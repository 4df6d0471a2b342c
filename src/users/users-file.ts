import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';
import { nearestWord } from '../lib/nearest-word.ts';
import type { UserProfile } from './backend.ts';
import { InvalidDigest, parseDigest, UnsupportedDigest } from './digest.ts';
import type { Digest } from './digest.ts';

/**
 * Reads the text of a users file in Authelia's format: `users.<name>` with digest, display name, mail addresses, groups.
 * Pure: text in, people out. Everything that is wrong is said at once, each with its line, user, key and mend.
 */

/** A person of the users file. */
export interface Person {
  readonly profile: UserProfile;
  readonly disabled: boolean;
  /** Null where the digest is of a kind that cannot be verified: nobody signs in with it. */
  readonly digest: Digest | null;
  /** The digest as it stands in the file; only to see whether it has changed. */
  readonly digestText: string;
  /** From where to where it is written in the text; what stands there may be an alias of another's. */
  readonly digestPlace: Place | null;
}

/** The first character's offset, and that behind the last one's. */
export type Place = readonly [from: number, to: number];

export interface UsersFileRules {
  readonly path: string;
  readonly search: { readonly email: boolean; readonly case_insensitive: boolean };
  /** The keys that users may have under `extra`. */
  readonly extra_attributes: Readonly<
    Record<string, { readonly multi_valued: boolean; readonly value_type: 'string' | 'integer' | 'boolean' }>
  >;
}

export interface UsersFile {
  /** By name, in the order of the file. */
  readonly people: ReadonlyMap<string, Person>;
  /** Nothing that keeps the file from being used. */
  readonly warnings: readonly string[];
}

/** The file cannot be used; the message lists every problem on a line of its own. */
export class InvalidUsersFile extends Error {
  override name = 'InvalidUsersFile';
}

/** More problems than this are only counted. */
const SHOWN_PROBLEMS = 20;

/** Texts that are known of a person besides the profile. */
const TEXT_KEYS = [
  'given_name',
  'middle_name',
  'family_name',
  'nickname',
  'gender',
  'birthdate',
  'website',
  'profile',
  'picture',
  'zoneinfo',
  'locale',
  'phone_number',
  'phone_extension',
];
const ADDRESS_KEYS = ['street_address', 'locality', 'region', 'postal_code', 'country'];
const USER_KEYS = [
  'displayname',
  'password',
  'email',
  'groups',
  'disabled',
  'address',
  'extra',
  ...TEXT_KEYS,
];

/** YAML 1.1's spellings too, which Authelia reads. */
const DISABLED_WORDS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['no', false],
  ['off', false],
]);

/** Parses the file's text. Throws `InvalidUsersFile`. */
export function parseUsersFile(text: string, rules: UsersFileRules): UsersFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, prettyErrors: false });
  const problems: string[] = [];
  const warnings: string[] = [];
  const at = (offset: number | undefined): string => `${rules.path}:${lines.linePos(offset ?? 0).line}`;
  const complain = (offset: number | undefined, message: string): void => {
    problems.push(`${at(offset)}: ${message}`);
  };
  const warn = (offset: number | undefined, message: string): void => {
    warnings.push(`${at(offset)}: ${message}`);
  };

  for (const error of document.errors) complain(error.pos[0], `this is no valid YAML: ${error.message}`);
  const people = problems.length > 0 ? new Map<string, Person>() : readDocument();
  if (problems.length > 0) {
    const hidden = problems.length - SHOWN_PROBLEMS;
    const tail = hidden > 0 ? [`… and ${hidden} more`] : [];
    throw new InvalidUsersFile([...problems.slice(0, SHOWN_PROBLEMS), ...tail].join('\n'));
  }
  return { people, warnings };

  function readDocument(): ReadonlyMap<string, Person> {
    const top = entries(document, document.contents, 'the file', complain);
    for (const [key, entry] of top) {
      if (key !== 'users') complain(entry.offset, unknownKey(`the key '${key}'`, key, ['users']));
    }
    const users = top.get('users');
    if (!users || users.value === null) {
      complain(
        users?.offset,
        "there is no user: add the key 'users' with one entry for each person\n" + usersFileExample,
      );
      return new Map();
    }
    const found = entries(document, users.value, "'users'", complain);
    const people = new Map([...found].map(([name, entry]) => [name, readPerson(name, entry)]));
    if (rules.search.email) checkAddresses(people, found);
    return people;
  }

  function readPerson(name: string, { offset, value }: Entry): Person {
    const user = `user '${name}'`;
    if (name === '') complain(offset, 'a user name must not be empty');
    if (rules.search.case_insensitive && name !== name.toLowerCase()) {
      complain(
        offset,
        `${user}: with search.case_insensitive names must be in lower case; write '${name.toLowerCase()}'`,
      );
    }
    const fields = entries(document, value, user, complain);
    for (const [key, field] of fields) {
      if (!USER_KEYS.includes(key))
        complain(field.offset, `${user}: ${unknownKey(`the key '${key}'`, key, USER_KEYS)}`);
    }

    const text = (key: string): string => {
      const field = fields.get(key);
      if (!field || field.value === null) return '';
      const found = scalarText(field.value);
      if (found === null) complain(field.offset, `${user}: '${key}' must be a text`);
      return found ?? '';
    };
    const list = (key: string, what: string): readonly string[] => {
      const field = fields.get(key);
      if (!field || field.value === null) return [];
      const items = isSeq(field.value)
        ? field.value.items.map((item) => scalarText(resolve(document, item)))
        : [scalarText(field.value)];
      if (items.includes(null)) complain(field.offset, `${user}: '${key}' must be ${what}`);
      return items.filter((item): item is string => item !== null && item !== '');
    };

    for (const key of TEXT_KEYS) text(key);
    readAddress(user, fields.get('address'));
    readExtra(user, fields.get('extra'));

    const displayName = text('displayname');
    if (displayName === '') {
      complain(
        offset,
        `${user}: 'displayname' is missing; add the name to greet this person by, such as displayname: 'Jane Doe'`,
      );
    }
    const emails = list('email', 'one mail address or a list of them');
    const groups = list('groups', 'a list of names, such as [admins, dev]');
    for (const group of groups.filter((candidate) => candidate.includes(','))) {
      warn(
        fields.get('groups')?.offset,
        `${user}: the group '${group}' has a comma in its name; applications read it as two groups. Rename it`,
      );
    }
    const digestText = text('password');
    const digest = readDigest(user, digestText, fields.get('password')?.offset ?? offset);
    return {
      profile: { username: name, displayName, emails, groups },
      disabled: readDisabled(user, fields.get('disabled')),
      digest,
      digestText,
      digestPlace: fields.get('password')?.place ?? null,
    };
  }

  function readDisabled(user: string, field: Entry | undefined): boolean {
    if (!field || field.value === null) return false;
    const word = scalarText(field.value)?.toLowerCase();
    if (word !== undefined && DISABLED_WORDS.has(word)) return DISABLED_WORDS.get(word) ?? true;
    complain(field.offset, `${user}: 'disabled' must be true or false`);
    return true;
  }

  function readDigest(user: string, text: string, offset: number | undefined): Digest | null {
    const mend = "make one with 'sallyport crypto hash generate'";
    if (text === '') {
      complain(offset, `${user}: 'password' is missing; ${mend}`);
      return null;
    }
    try {
      const digest = parseDigest(text);
      if (digest.algorithm === 'plaintext' || digest.algorithm === 'base64') {
        warn(
          offset,
          `${user}: 'password' is readable by everybody who can read the file; ${mend} and put it in its place`,
        );
      }
      return digest;
    } catch (cause) {
      if (cause instanceof UnsupportedDigest) {
        warn(
          offset,
          `${user}: 'password' is of no use, ${cause.message}; this user cannot sign in until you ${mend} and put it in its place`,
        );
      } else if (cause instanceof InvalidDigest) {
        complain(offset, `${user}: 'password' is no digest that can be used, ${cause.message}; ${mend}`);
      } else throw cause;
      return null;
    }
  }

  function readAddress(user: string, field: Entry | undefined): void {
    if (!field || field.value === null) return;
    for (const [key, part] of entries(document, field.value, `${user}: 'address'`, complain)) {
      if (!ADDRESS_KEYS.includes(key)) {
        complain(part.offset, `${user}: ${unknownKey(`the key 'address.${key}'`, key, ADDRESS_KEYS)}`);
      } else if (part.value !== null && scalarText(part.value) === null) {
        complain(part.offset, `${user}: 'address.${key}' must be a text`);
      }
    }
  }

  function readExtra(user: string, field: Entry | undefined): void {
    if (!field || field.value === null) return;
    const declared = new Map(Object.entries(rules.extra_attributes));
    for (const [key, entry] of entries(document, field.value, `${user}: 'extra'`, complain)) {
      const attribute = declared.get(key);
      if (!attribute) {
        complain(
          entry.offset,
          `${user}: ${unknownKey(`the key 'extra.${key}'`, key, [...declared.keys()])}; declare it under authentication_backend.file.extra_attributes`,
        );
        continue;
      }
      const values = attribute.multi_valued && isSeq(entry.value) ? entry.value.items : [entry.value];
      const isRight = (value: unknown): boolean => {
        const scalar = isScalar(value) ? value.value : undefined;
        return attribute.value_type === 'integer'
          ? Number.isInteger(scalar)
          : typeof scalar === attribute.value_type;
      };
      if (!values.every((value) => isRight(resolve(document, value)))) {
        const shape = `of the type ${attribute.value_type}${attribute.multi_valued ? ', or a list of such' : ''}`;
        complain(entry.offset, `${user}: 'extra.${key}' must be ${shape}`);
      }
    }
  }

  /** With `search.email` a mail address is a name too, so it must lead to one person only. */
  function checkAddresses(people: ReadonlyMap<string, Person>, found: ReadonlyMap<string, Entry>): void {
    const owners = new Map([...people.keys()].map((name) => [name, name]));
    for (const [name, { profile }] of people) {
      for (const email of profile.emails) {
        const key = rules.search.case_insensitive ? email.toLowerCase() : email;
        const owner = owners.get(key) ?? name;
        owners.set(key, owner);
        if (owner !== name) {
          complain(
            found.get(name)?.offset,
            `user '${name}': the mail address '${email}' already leads to user '${owner}'; with search.email it must be nobody else's address or name`,
          );
        }
      }
    }
  }
}

/** A complete file with one person, as shown to who has none. */
export const usersFileExample = `users:
  jane:
    displayname: 'Jane Doe'
    password: '<the output of: sallyport crypto hash generate>'
    email: 'jane@example.com'
    groups: ['admins']`;

// ---- YAML nodes

interface Entry {
  readonly offset: number | undefined;
  /** Of the value as it is written: an alias is not followed. */
  readonly place: Place | null;
  readonly value: Node | null;
}

type Complain = (offset: number | undefined, message: string) => void;

function resolve(document: Document.Parsed, node: unknown): Node | null {
  const target = isAlias(node) ? node.resolve(document) : node;
  if (isScalar(target) && target.value === null) return null;
  return (target ?? null) as Node | null;
}

/** The entries of a map by the text of their keys; a key that stands twice is a problem. */
function entries(
  document: Document.Parsed,
  node: Node | null,
  what: string,
  complain: Complain,
): Map<string, Entry> {
  const found = new Map<string, Entry>();
  if (node === null) {
    complain(undefined, `${what} is empty`);
    return found;
  }
  if (!isMap(node)) {
    complain(node.range?.[0], `${what} must be a map of keys and values`);
    return found;
  }
  for (const pair of node.items) {
    const key = resolve(document, pair.key);
    const name = key === null ? '' : scalarText(key);
    const offset = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
    if (name === null) complain(offset, `${what} has a key that is no text`);
    else if (found.has(name)) complain(offset, `${what} has '${name}' twice; keep one of them or rename it`);
    else found.set(name, { offset, place: placeOf(pair.value), value: resolve(document, pair.value) });
  }
  return found;
}

function placeOf(node: unknown): Place | null {
  const range = isNode(node) ? node.range : null;
  return range ? [range[0], range[1]] : null;
}

/** A scalar's text as it is written, so that `007` and `true` stay what the author typed; null for maps and lists. */
function scalarText(node: Node | null): string | null {
  if (!isScalar(node)) return null;
  const { value, source } = node;
  return typeof value === 'string' ? value : (source ?? String(value));
}

// ---- messages

function unknownKey(what: string, key: string, known: readonly string[]): string {
  const near = nearestWord(key, known);
  const mend = near === null ? `known are: ${known.join(', ') || 'none'}` : `did you mean '${near}'?`;
  return `${what} is not known; ${mend}`;
}
