import { describe, expect, test } from 'vitest';
import { CannotReplaceDigest, replaceDigest } from '../../../src/users/replace-digest.ts';
import { parseUsersFile } from '../../../src/users/users-file.ts';
import type { UsersFileRules } from '../../../src/users/users-file.ts';

const rules: UsersFileRules = {
  path: 'users.yml',
  search: { email: false, case_insensitive: false },
  extra_attributes: {},
};
const OLD = '$pbkdf2-sha256$1$c2FsdHNhbHQ$AAAA';
const NEW = '$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$AAAAAA+/';

const replace = (text: string, name = 'jane') =>
  replaceDigest(text, parseUsersFile(text, rules), { name, digest: NEW }, rules);

/** The text with its one `was` exchanged. */
function exchange(text: string, was: string, is: string): string {
  const [before, after, ...more] = text.split(was);
  if (before === undefined || after === undefined || more.length > 0) throw new Error(`not once: ${was}`);
  return `${before}${is}${after}`;
}

describe('nothing but the digest changes', () => {
  test('comments, order, odd indentation, blank lines, flow lists and folded texts', () => {
    const text = `# people of the house
---
users:   # all of them

    bob:
        groups: [ admins,   dev ]   # the order is his
        password: '$pbkdf2-sha256$1$c2FsdHNhbHQ$BBBB'
        displayname: >-
          Bob
          the Builder


    jane:   # since 2019
        email:
        - jane@example.com
        displayname:    "Jane Doe"
        password: '${OLD}' # changed by hand
        disabled: no
# the end
...
`;
    expect(replace(text).text).toBe(exchange(text, `'${OLD}' #`, `'${NEW}' #`));
  });

  test.each([
    ['single quotes', `'${OLD}'`, `'${NEW}'`],
    ['double quotes', `"${OLD}"`, `"${NEW}"`],
    ['none', OLD, `'${NEW}'`],
    ['a folded block', `>-\n      ${OLD}\n`, `'${NEW}'\n`],
    ['a literal block', `|-\n      ${OLD}\n`, `'${NEW}'\n`],
    ['a tag', `!!str '${OLD}'`, `!!str '${NEW}'`],
    ['an anchor that nobody uses', `&pw ${OLD}`, `&pw '${NEW}'`],
  ])('written with %s', (_name, was, is) => {
    const text = `users:\n  jane:\n    password: ${was}\n    displayname: J # her\n`;
    expect(replace(text).text).toBe(exchange(text, was, is));
    expect(replace(text).file.people.get('jane')?.digestText).toBe(NEW);
  });

  test('JSON stays JSON', () => {
    const text = JSON.stringify({ users: { jane: { displayname: 'J', password: OLD } } });
    expect(replace(text).text).toBe(exchange(text, OLD, NEW));
    expect(JSON.parse(replace(text).text)).toEqual({ users: { jane: { displayname: 'J', password: NEW } } });
  });

  test('Windows line ends, no line end at the end, and a name that must be quoted', () => {
    const lines = `users:\r\n  jane:\r\n    displayname: J\r\n    password: ${OLD}`;
    expect(replace(lines).text).toBe(exchange(lines, OLD, `'${NEW}'`));
    const text = `users:\n  'o''neil: x':\n    displayname: O\n    password: ${OLD}\n`;
    expect(replace(text, "o'neil: x").text).toBe(text.replace(OLD, () => `'${NEW}'`));
  });

  test('a password that is an alias becomes a digest of its own', () => {
    const text = `users:\n  bob: {displayname: B, password: &pw ${OLD}}\n  jane:\n    password: *pw\n    displayname: J\n`;
    expect(replace(text).text).toBe(exchange(text, '*pw', `'${NEW}'`));
    expect(replace(text).file.people.get('bob')?.digestText).toBe(OLD);
  });
});

describe('a change that would reach somebody else is refused', () => {
  test.each([
    [
      'a digest that another takes over',
      `users:\n  jane: {displayname: J, password: &pw ${OLD}}\n  bob: {displayname: B, password: *pw}\n`,
    ],
    [
      'a whole entry that another takes over',
      `users:\n  jane: &one {displayname: J, password: ${OLD}}\n  bob: *one\n`,
    ],
    [
      'an entry taken over from another',
      `users:\n  bob: &one {displayname: J, password: ${OLD}}\n  jane: *one\n`,
    ],
  ])('%s', (_name, text) => {
    expect(() => replace(text)).toThrow(CannotReplaceDigest);
    expect(() => replace(text)).toThrow(
      /^the entry of 'jane' is shared with 'bob' through a YAML alias; write/,
    );
  });
});
