import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvalidUsersFile, parseUsersFile, usersFileExample } from '../../../src/users/users-file.ts';
import type { UsersFileRules } from '../../../src/users/users-file.ts';

const rules: UsersFileRules = {
  path: '/config/users.yml',
  search: { email: false, case_insensitive: false },
  extra_attributes: {},
};

const DIGEST = "'$pbkdf2-sha256$1000$c2FsdHNhbHQ$PgZh7gahAL7ZcynQb3HBarjKdqFLfcH.atPymuPv/9s'";

/** A file with one user whose other keys are `lines`. */
const withUser = (lines = '', name = 'jane'): string =>
  `users:\n  ${name}:\n    displayname: Jane\n    password: ${DIGEST}\n${lines}`;

const parse = (text: string, changes: Partial<UsersFileRules> = {}) =>
  parseUsersFile(text, { ...rules, ...changes });

describe('a users file', () => {
  test('with everything that Authelia knows', () => {
    const { people, warnings } = parse(
      `users:
  jane:
    disabled: false
    displayname: 'Jane Doe'
    password: ${DIGEST}
    email: jane@example.com
    groups: [admins, dev]
    given_name: Jane
    middle_name: M.
    family_name: Doe
    nickname: J
    gender: female
    birthdate: 1990-01-01
    website: https://jane.example.com
    profile: https://example.com/jane
    picture: https://example.com/jane.jpg
    zoneinfo: Europe/Paris
    locale: fr-FR
    phone_number: +1 555 0100
    phone_extension: 12
    address: { street_address: 1 Main St, locality: Town, region: R, postal_code: 01234, country: FR }
    extra: { badge: 7, teams: [a, b], staff: true }
  bob: { displayname: Bob, password: ${DIGEST}, disabled: true }
`,
      {
        extra_attributes: {
          badge: { multi_valued: false, value_type: 'integer' },
          teams: { multi_valued: true, value_type: 'string' },
          staff: { multi_valued: false, value_type: 'boolean' },
        },
      },
    );
    expect(warnings).toEqual([]);
    expect([...people.keys()]).toEqual(['jane', 'bob']);
    expect(people.get('jane')).toMatchObject({
      profile: {
        username: 'jane',
        displayName: 'Jane Doe',
        emails: ['jane@example.com'],
        groups: ['admins', 'dev'],
      },
      disabled: false,
      digest: { algorithm: 'pbkdf2' },
    });
    expect(people.get('bob')).toMatchObject({ profile: { emails: [], groups: [] }, disabled: true });
  });

  test.each(['__proto__', 'constructor', 'toString', '漢字', 'a b', 'a/b'])('a user named %s', (name) => {
    expect(parse(withUser('', `'${name}'`)).people.get(name)?.profile.username).toBe(name);
    expect(parse(withUser()).people.get(name)).toBeUndefined();
  });

  test('names and texts that look like numbers or booleans stay as they are written', () => {
    const { people } = parse(withUser('    groups: [007, true]\n    email: 1\n', '0123'));
    expect(people.get('0123')?.profile).toMatchObject({ groups: ['007', 'true'], emails: ['1'] });
  });

  test('several mail addresses, empty values and aliases', () => {
    const { people } = parse(
      withUser(
        `    email: [a@x, b@x]\n    groups: &g [dev]\n  bob:\n    displayname: Bob\n    password: ${DIGEST}\n    email: ''\n    groups: *g\n    disabled:\n`,
      ),
    );
    expect(people.get('jane')?.profile.emails).toEqual(['a@x', 'b@x']);
    expect(people.get('bob')).toMatchObject({ profile: { emails: [], groups: ['dev'] }, disabled: false });
  });

  test.each([
    ['true', true],
    ['True', true],
    ['yes', true],
    ['on', true],
    ['false', false],
    ['No', false],
    ['off', false],
    ['', false],
  ])('disabled: %s', (word, disabled) => {
    expect(parse(withUser(`    disabled: ${word}\n`)).people.get('jane')?.disabled).toBe(disabled);
  });

  test('control characters are data, for those to clean who write headers', () => {
    const { people } = parse(`users:\n  mal: { displayname: "X\\r\\nY", password: ${DIGEST} }\n`);
    expect(people.get('mal')?.profile.displayName).toBe('X\r\nY');
  });
});

describe('warnings', () => {
  test('a group with a comma', () => {
    expect(parse(withUser("    groups: ['a,admins']\n")).warnings).toEqual([
      expect.stringMatching(/^\/config\/users\.yml:5: user 'jane': the group 'a,admins' has a comma/),
    ]);
  });

  test('a password that everybody can read', () => {
    const { warnings } = parse("users:\n  jane: { displayname: J, password: '$plaintext$hunter2' }\n");
    expect(warnings).toEqual([expect.stringMatching(/users\.yml:2: user 'jane': 'password' is readable/)]);
    expect(warnings.join('')).not.toContain('hunter2');
  });

  test('a digest that cannot be verified', () => {
    const { people, warnings } = parse(
      "users:\n  jane: { displayname: J, password: '$y$j9T$abcdefgh$7i/136rkrCoteXCYVMmke8IbBDFEZdMzaNTpkj.7sJ2' }\n",
    );
    expect(warnings).toEqual([
      expect.stringMatching(/:2: user 'jane': .*yescrypt.*cannot sign in until you make one/),
    ]);
    expect(people.get('jane')?.digest).toBeNull();
  });
});

describe('errors name file, line, user, key and mend', () => {
  const digestCase = `users:\n  jane:\n    displayname: J\n    password: hunter2\n`;
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['nothing', '', /there is no user: add the key 'users'|the file is empty/],
    ['a list', '- a\n', /:1: the file must be a map/],
    ['no users', 'users:\n', /there is no user/],
    ['broken YAML', 'users:\n  jane: {\n', /:\d: this is no valid YAML/],
    ['two documents', `${withUser()}---\n${withUser()}`, /no valid YAML/],
    ['an unknown top key', `${withUser()}user: 1\n`, /:5: the key 'user' is not known; did you mean 'users'/],
    [
      'a misspelt key',
      withUser('    grops: [a]\n'),
      /:5: user 'jane': the key 'grops' is not known; did you mean 'groups'/,
    ],
    [
      'an unknown key',
      withUser('    xyzzy: 1\n'),
      /:5: user 'jane': the key 'xyzzy' is not known; known are: displayname/,
    ],
    [
      'no display name',
      `users:\n  jane:\n    password: ${DIGEST}\n`,
      /:2: user 'jane': 'displayname' is missing; add/,
    ],
    [
      'no password',
      'users:\n  jane:\n    displayname: J\n',
      /:2: user 'jane': 'password' is missing; make one with/,
    ],
    [
      'no digest',
      digestCase,
      /:4: user 'jane': 'password' is no digest that can be used, it is no known digest/,
    ],
    ['a user twice', `${withUser()}  jane: {}\n`, /:5: 'users' has 'jane' twice/],
    ['a key twice', withUser('    displayname: X\n'), /:5: user 'jane' has 'displayname' twice/],
    ['a user without keys', 'users:\n  jane:\n', /user 'jane' is empty/],
    ['a user that is a text', 'users:\n  jane: x\n', /:2: user 'jane' must be a map/],
    [
      'disabled that is no boolean',
      withUser('    disabled: nope\n'),
      /:5: user 'jane': 'disabled' must be true or false/,
    ],
    [
      'groups in a map',
      withUser('    groups: { a: 1 }\n'),
      /:5: user 'jane': 'groups' must be a list of names/,
    ],
    ['groups in lists', withUser('    groups: [[a]]\n'), /:5: user 'jane': 'groups' must be a list/],
    ['mail in a map', withUser('    email: { a: 1 }\n'), /:5: user 'jane': 'email' must be one mail address/],
    ['an address that is a text', withUser('    address: x\n'), /:5: user 'jane': 'address' must be a map/],
    [
      'a misspelt address',
      withUser('    address: { region: R, countri: FR }\n'),
      /'address.countri' is not known; did you mean 'country'/,
    ],
    [
      'an undeclared attribute',
      withUser('    extra: { badge: 1 }\n'),
      /:5: user 'jane': the key 'extra.badge' is not known.*declare it under/,
    ],
    ['a key that is a list', 'users:\n  ? [a]\n  : {}\n', /has a key that is no text/],
    ['an empty name', withUser('', "''"), /:2: a user name must not be empty/],
  ];
  test.each(cases)('%s', (_name, text, message) => {
    expect(() => parse(text)).toThrow(InvalidUsersFile);
    expect(() => parse(text)).toThrow(message);
  });

  test('an error never shows a password', () => {
    expect(() => parse(digestCase)).toThrow(expect.not.stringContaining('hunter2'));
  });

  test('whatever stands there, it is read or refused with a reason', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(
        fc.constantFrom('displayname', 'password', 'email', 'groups', 'extra', 'x'),
        fc.jsonValue(),
      ),
    );
    const text = fc.oneof(
      fc.string(),
      fc.dictionary(fc.string(), value).map((users) => JSON.stringify({ users })),
      fc.tuple(fc.nat(200), fc.string({ maxLength: 4 })).map(([at, put]) => {
        const good = withUser('    groups: [a, b]\n    email: a@x\n');
        return good.slice(0, at) + put + good.slice(at + 1);
      }),
    );
    expect(() =>
      fc.assert(
        fc.property(text, (candidate) => {
          try {
            return parse(candidate).people instanceof Map;
          } catch (cause) {
            return cause instanceof InvalidUsersFile;
          }
        }),
        { numRuns: 2_000 },
      ),
    ).not.toThrow();
  });

  test('all of them at once, as many as one can read', () => {
    const text = `users:\n${Array.from({ length: 30 }, (_, i) => `  u${i}: { displayname: U }\n`).join('')}`;
    const lines = errorLines(text);
    expect(lines).toHaveLength(21);
    expect(lines.at(-1)).toBe('… and 10 more');
  });

  test.each([
    [
      'badge: x',
      { badge: { multi_valued: false, value_type: 'integer' } },
      /'extra.badge' must be of the type integer/,
    ],
    ['badge: [1, x]', { badge: { multi_valued: true, value_type: 'integer' } }, /integer, or a list of such/],
    ['badge: [1]', { badge: { multi_valued: false, value_type: 'integer' } }, /must be of the type integer/],
    ['badge: 1', { badge: { multi_valued: false, value_type: 'boolean' } }, /must be of the type boolean/],
  ] as const)('extra: %s', (line, extra_attributes, message) => {
    expect(() => parse(withUser(`    extra: { ${line} }\n`), { extra_attributes })).toThrow(message);
  });

  test('upper case where letter case does not count', () => {
    const search = { email: false, case_insensitive: true };
    expect(() => parse(withUser('', 'Jane'), { search })).toThrow(/:2: user 'Jane': .* write 'jane'/);
  });

  test.each([
    ['a shared address', 'a@x', 'a@x', false],
    ['another’s name', 'a@x', 'jane', false],
    ['a shared address in other letters', 'A@x', 'a@X', true],
  ])('%s with search.email', (_name, first, second, case_insensitive) => {
    const bob = `  bob: { displayname: B, password: ${DIGEST}, email: ${second} }\n`;
    const text = `${withUser(`    email: ${first}\n`)}${bob}`;
    expect(() => parse(text, { search: { email: true, case_insensitive } })).toThrow(
      /:6: user 'bob': the mail address '.*' already leads to user 'jane'/,
    );
    expect(parse(text).people.size).toBe(2);
  });

  test('one’s own name or the same address twice is no conflict', () => {
    const text = withUser('    email: [jane, a@x, a@x]\n');
    expect(parse(text, { search: { email: true, case_insensitive: false } }).people.size).toBe(1);
  });

  test('the example is right but for its digest', () => {
    expect(errorLines(usersFileExample)).toEqual([
      expect.stringMatching(/:4: user 'jane': 'password' is no digest/),
    ]);
  });
});

function errorLines(text: string): readonly string[] {
  try {
    parse(text);
    return [];
  } catch (cause) {
    return cause instanceof InvalidUsersFile ? cause.message.split('\n') : [String(cause)];
  }
}
