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

/** Whether the result is the text with one part exchanged. */
function expectOnly(text: string, was: string, is: string): void {
  const { text: next, file } = replace(text);
  expect(text.split(was)).toHaveLength(2);
  expect(next).toBe(text.replace(was, () => is));
  expect(file.people.get('jane')?.digestText).toBe(NEW);
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
    expectOnly(text, `'${OLD}' #`, `'${NEW}' #`);
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
    expectOnly(`users:\n  jane:\n    password: ${was}\n    displayname: J # her\n`, was, is);
  });

  test('JSON stays JSON', () => {
    const text = JSON.stringify({ users: { jane: { displayname: 'J', password: OLD } } });
    expectOnly(text, OLD, NEW);
    expect(JSON.parse(replace(text).text)).toEqual({ users: { jane: { displayname: 'J', password: NEW } } });
  });

  test('Windows line ends, no line end at the end, and a name that must be quoted', () => {
    expectOnly(`users:\r\n  jane:\r\n    displayname: J\r\n    password: ${OLD}`, OLD, `'${NEW}'`);
    const text = `users:\n  'o''neil: x':\n    displayname: O\n    password: ${OLD}\n`;
    expect(replace(text, "o'neil: x").text).toBe(text.replace(OLD, () => `'${NEW}'`));
  });

  test('a password that is an alias becomes a digest of its own', () => {
    const text = `users:\n  bob: {displayname: B, password: &pw ${OLD}}\n  jane:\n    password: *pw\n    displayname: J\n`;
    expectOnly(text, '*pw', `'${NEW}'`);
    expect(replace(text).file.people.get('bob')?.digestText).toBe(OLD);
  });
});

describe('a change that would reach somebody else is refused', () => {
  test.each([
    ['a digest that another takes over', `users:\n  jane: {displayname: J, password: &pw ${OLD}}\n  bob: {displayname: B, password: *pw}\n`],
    ['a whole entry that another takes over', `users:\n  jane: &one {displayname: J, password: ${OLD}}\n  bob: *one\n`],
    ['an entry taken over from another', `users:\n  bob: &one {displayname: J, password: ${OLD}}\n  jane: *one\n`],
  ])('%s', (_name, text) => {
    expect(() => replace(text)).toThrow(CannotReplaceDigest);
    expect(() => replace(text)).toThrow(/^the entry of 'jane' is shared with 'bob' through a YAML alias; write/);
  });
});
