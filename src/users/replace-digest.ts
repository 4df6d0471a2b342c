import { isDeepStrictEqual } from 'node:util';

import { parseUsersFile } from './users-file.ts';
import type { Person, UsersFile, UsersFileRules } from './users-file.ts';

/** The change cannot be made in this file as it is written; the message says how to mend it. */
export class CannotReplaceDigest extends Error {
  override name = 'CannotReplaceDigest';
}

/**
 * The users file `text`, which says `before`, with another digest for one of its people. Every other character stays as it is: comments, order, quotes,
 * indentation, line ends. The result is read again and compared, person by person: where a YAML alias makes two people
 * share an entry, so that the change would reach somebody else, it throws `CannotReplaceDigest`.
 */
export function replaceDigest(
  text: string,
  before: Pick<UsersFile, 'people'>,
  { name, digest }: { readonly name: string; readonly digest: string },
  rules: UsersFileRules,
): { readonly text: string; readonly file: UsersFile } {
  const place = before.people.get(name)?.digestPlace;
  if (!place) throw new Error(`no digest of '${name}' to replace`);
  const [from, to] = place;
  const written = text.slice(from, to);
  // Digests have no character that either kind of quotes would have to escape.
  const quote = written.startsWith('"') ? '"' : "'";
  const end = /\r?\n$/.exec(written)?.[0] ?? '';
  const next = `${text.slice(0, from)}${quote}${digest}${quote}${end}${text.slice(to)}`;
  const file = parseUsersFile(next, rules);
  for (const [other, person] of before.people) {
    const expected = { ...known(person), digestText: other === name ? digest : person.digestText };
    if (!isDeepStrictEqual(known(file.people.get(other)), expected)) {
      throw new CannotReplaceDigest(
        `the entry of '${name}' is shared with '${other}' through a YAML alias; write out the entry of each in full`,
      );
    }
  }
  if (file.people.size !== before.people.size) throw new Error('the edited users file has other people');
  return { text: next, file };
}

const known = (person: Person | undefined) =>
  person && {
    profile: person.profile,
    disabled: person.disabled,
    digestText: person.digestText,
  };
