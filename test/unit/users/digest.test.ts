import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  blankDigest,
  hashPassword,
  InvalidDigest,
  parseDigest,
  UnsupportedDigest,
} from '../../../src/users/digest.ts';
import type { PasswordOptions } from '../../../src/users/password-options.ts';
import { cheapPasswords, random } from './fakes.ts';

interface Vector {
  readonly source: string;
  readonly password: string;
  readonly digest: string;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../fixtures/users/digests.json', import.meta.url), 'utf8'),
) as readonly Vector[];

describe('digests made by other programs', () => {
  test.each(vectors)('$source: $digest', async ({ password, digest }) => {
    const parsed = parseDigest(digest);
    expect(await parsed.matches(password)).toBe(true);
    expect(await parsed.matches(`!${password}`)).toBe(false);
    expect(await parsed.matches(password.slice(0, -1))).toBe(
      /^\$2[aby]\$/.test(digest) && password.length > 72,
    );
  });
});

const SALT = 'c2FsdHNhbHQ';
const KEY = 'MTIzNDU2Nzg5MDEyMzQ1Ng';
const BCRYPT_TAIL = 'abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyzABCDE';

describe('digests that are refused', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /no known digest/],
    ['secret', /no known digest/],
    ['$1$salt$hash', /no known digest/],
    ['$__proto__$x', /no known digest/],
    ['x$6$salt$hash', /no known digest/],
    ['$2x$04$' + BCRYPT_TAIL, /no known digest/],
    ['$argon2id$v=19$m=64,t=1,p=1$' + SALT, /form \$argon2id/],
    [`$argon2id$v=18$m=64,t=1,p=1$${SALT}$${KEY}`, /version must be v=16 or v=19/],
    [`$argon2id$v=19$m=64,t=1$${SALT}$${KEY}`, /parameters must be m=…,t=…,p=…/],
    [`$argon2id$v=19$m=64,t=1,p=1,p=2$${SALT}$${KEY}`, /parameters must be/],
    [`$argon2id$v=19$m=64,t=0,p=1$${SALT}$${KEY}`, /t must be a number from 1/],
    [`$argon2id$v=19$m=-64,t=1,p=1$${SALT}$${KEY}`, /m must be a number from 8/],
    [`$argon2id$v=19$m=1e3,t=1,p=1$${SALT}$${KEY}`, /m must be a number/],
    [`$argon2id$v=19$m=8,t=1,p=4$${SALT}$${KEY}`, /at least 8 times p/],
    [`$argon2id$v=19$m=4194304,t=1,p=4$${SALT}$${KEY}`, /m must be a number from 8 to 2097152/],
    [`$argon2id$v=19$m=2097152,t=5,p=4$${SALT}$${KEY}`, /costs too much/],
    [`$argon2id$v=19$m=64,t=1,p=1$c2Fs$${KEY}`, /salt is shorter than 8/],
    [`$argon2id$v=19$m=64,t=1,p=1$${SALT}$!!!!`, /key is no base64/],
    [`$argon2id$v=19$m=64,t=1,p=1$${SALT}$`, /key is empty/],
    [`$argon2id$v=19$m=64,t=1,p=1$${SALT}$${'A'.repeat(800)}`, /key is longer than 512/],
    [`$scrypt$ln=30,r=8,p=1$${SALT}$${KEY}`, /ln must be a number from 1 to 24/],
    [`$scrypt$ln=22,r=8,p=1$${SALT}$${KEY}`, /costs too much/],
    [`$scrypt$ln=10,r=64,p=1024$${SALT}$${KEY}`, /costs too much/],
    [`$scrypt$n=4,r=8,p=1$${SALT}$${KEY}`, /parameters must be ln/],
    [`$pbkdf2-sha256$0$${SALT}$${KEY}`, /iterations must be a number from 1/],
    [`$pbkdf2-sha256$99999999$${SALT}$${KEY}`, /iterations must be a number from 1 to 10000000/],
    [`$pbkdf2-md5$1000$${SALT}$${KEY}`, /no known digest/],
    [`$2b$31$${BCRYPT_TAIL}`, /cost must be a number from 4 to 16/],
    [`$2b$03$${BCRYPT_TAIL}`, /cost must be a number from 4/],
    [`$2b$04$${BCRYPT_TAIL}x`, /form \$2b\$cost/],
    [`$2b$04$!${BCRYPT_TAIL.slice(1)}`, /salt must be 22/],
    [
      `$bcrypt-sha256$v=3,t=2b,r=4$${BCRYPT_TAIL.slice(0, 22)}$${BCRYPT_TAIL.slice(22)}`,
      /version must be v=2/,
    ],
    [`$bcrypt-sha256$v=2,t=2x,r=4$${BCRYPT_TAIL.slice(0, 22)}$${BCRYPT_TAIL.slice(22)}`, /t must be 2a/],
    [`$6$rounds=999$salt$${'a'.repeat(86)}`, /rounds must be a number from 1000/],
    [`$6$rounds=999999999$salt$${'a'.repeat(86)}`, /rounds must be a number from 1000 to 5000000/],
    [`$6$salt$${'a'.repeat(85)}`, /hash must be 86 characters/],
    [`$5$12345678901234567$${'a'.repeat(43)}`, /salt must be at most 16/],
    ['$plaintext$', /password is empty/],
    ['$base64$', /password is empty/],
    ['$base64$***', /no base64/],
  ];
  test.each(cases)('%s', (digest, message) => {
    expect(() => parseDigest(digest)).toThrow(InvalidDigest);
    expect(() => parseDigest(digest)).toThrow(message);
  });

  test('yescrypt is known but cannot be verified', () => {
    expect(() => parseDigest('$y$j9T$abcdefgh$7i/136rkrCoteXCYVMmke8IbBDFEZdMzaNTpkj.7sJ2')).toThrow(
      UnsupportedDigest,
    );
  });

  test('whatever stands there, it is read or refused with a reason', () => {
    const part = fc.oneof(
      fc.constantFrom(
        '$',
        ',',
        '=',
        'm=64',
        't=1',
        'p=1',
        'v=19',
        'ln=4',
        'r=8',
        '2b',
        'rounds=1000',
        SALT,
        KEY,
      ),
      fc.constantFrom('argon2id', 'scrypt', 'pbkdf2', 'bcrypt-sha256', '5', '6', 'base64', '12', BCRYPT_TAIL),
      fc.string(),
    );
    const text = fc.oneof(
      fc.array(part).map((parts) => parts.join('$')),
      fc
        .tuple(fc.constantFrom(...vectors), fc.nat(), fc.string({ maxLength: 3 }))
        .map(([{ digest }, at, put]) => {
          const index = at % digest.length;
          return digest.slice(0, index) + put + digest.slice(index + 1);
        }),
    );
    expect(() =>
      fc.assert(
        fc.property(text, (candidate) => {
          try {
            return parseDigest(candidate).memory <= 2 ** 31 + 2 ** 21;
          } catch (cause) {
            return cause instanceof InvalidDigest;
          }
        }),
        { numRuns: 2_000 },
      ),
    ).not.toThrow();
  });

  test('a message never repeats the digest', () => {
    expect(() => parseDigest('hunter2')).toThrow(expect.not.stringContaining('hunter2'));
  });
});

const digestOf = async (password: string) =>
  parseDigest(await hashPassword(password, cheapPasswords, random));

describe('passwords are compared exactly as typed', () => {
  test('composed and decomposed letters are different passwords', async () => {
    const digest = await digestOf('Zürich'.normalize('NFC'));
    expect(await digest.matches('Zürich'.normalize('NFC'))).toBe(true);
    expect(await digest.matches('Zürich'.normalize('NFD'))).toBe(false);
  });

  test('white space around it counts', async () => {
    const digest = await digestOf(' secret ');
    expect(await digest.matches('secret')).toBe(false);
    expect(await digest.matches(' secret ')).toBe(true);
  });

  test('every byte counts up to the bound of 1024', async () => {
    const digest = await digestOf('a'.repeat(1024));
    expect(await digest.matches('a'.repeat(1024))).toBe(true);
    expect(await digest.matches('a'.repeat(1023))).toBe(false);
    expect(await digest.matches('a'.repeat(1025))).toBe(false);
  });

  test('256 characters outside the basic plane fit', async () => {
    const digest = await digestOf('🔐'.repeat(256));
    expect(await digest.matches('🔐'.repeat(256))).toBe(true);
  });

  test('a lone surrogate is not the replacement character that it would be encoded as', async () => {
    const digest = await digestOf('a\uFFFD');
    expect(await digest.matches('a\uFFFD')).toBe(true);
    expect(await digest.matches('a\uD800')).toBe(false);
  });

  test('bcrypt takes no NUL, which would repeat its key', async () => {
    const digest = parseDigest(await hashPassword('a', { ...cheapPasswords, algorithm: 'bcrypt' }, random));
    expect(await digest.matches('a')).toBe(true);
    expect(await digest.matches('a\0a')).toBe(false);
  });

  test('the empty password matches nothing, not even its own digest', async () => {
    const digest = parseDigest('$pbkdf2-sha256$1000$c2FsdHNhbHQ$PgZh7gahAL7ZcynQb3HBarjKdqFLfcH.atPymuPv/9s');
    expect(await digest.matches('')).toBe(false);
  });
});

describe('new digests', () => {
  const made: readonly (readonly [string, Partial<PasswordOptions>, RegExp])[] = [
    ['argon2id', { algorithm: 'argon2' }, /^\$argon2id\$v=19\$m=64,t=1,p=1\$[^$]{22}\$[^$]{43}$/],
    [
      'argon2i',
      {
        algorithm: 'argon2',
        argon2: { ...cheapPasswords.argon2, variant: 'argon2i', key_length: 16, salt_length: 8 },
      },
      /^\$argon2i\$v=19\$m=64,t=1,p=1\$[^$]{11}\$[^$]{22}$/,
    ],
    ['scrypt', { algorithm: 'scrypt' }, /^\$scrypt\$ln=4,r=8,p=1\$[^$]{22}\$[^$]{43}$/],
    ['pbkdf2 sha512', { algorithm: 'pbkdf2' }, /^\$pbkdf2-sha512\$100\$[^$+]{22}\$[^$+]{86}$/],
    [
      'pbkdf2 sha1',
      { algorithm: 'pbkdf2', pbkdf2: { variant: 'sha1', iterations: 100, salt_length: 16 } },
      /^\$pbkdf2\$100\$[^$]{22}\$[^$]{27}$/,
    ],
    ['sha2crypt sha512', { algorithm: 'sha2crypt' }, /^\$6\$rounds=1000\$[./\w]{16}\$[./\w]{86}$/],
    [
      'sha2crypt sha256',
      { algorithm: 'sha2crypt', sha2crypt: { variant: 'sha256', iterations: 1_234, salt_length: 5 } },
      /^\$5\$rounds=1234\$[./\w]{5}\$[./\w]{43}$/,
    ],
    ['bcrypt', { algorithm: 'bcrypt' }, /^\$2b\$04\$[./\w]{53}$/],
    [
      'bcrypt sha256',
      { algorithm: 'bcrypt', bcrypt: { variant: 'sha256', cost: 4 } },
      /^\$bcrypt-sha256\$v=2,t=2b,r=4\$[./\w]{22}\$[./\w]{31}$/,
    ],
  ];
  test.each(made)('%s', async (_name, options, format) => {
    const all = { ...cheapPasswords, ...options };
    const digest = await hashPassword('Zürich 漢字', all, random);
    expect(digest).toMatch(format);
    expect(await parseDigest(digest).matches('Zürich 漢字')).toBe(true);
    expect(await parseDigest(digest).matches('Zürich')).toBe(false);
    expect(await hashPassword('Zürich 漢字', all, random)).not.toBe(digest);
    expect(await blankDigest(all, random).matches('Zürich 漢字')).toBe(false);
  });

  test('yescrypt cannot be made', async () => {
    const scrypt = { ...cheapPasswords.scrypt, variant: 'yescrypt' } as const;
    await expect(
      hashPassword('secret', { ...cheapPasswords, algorithm: 'scrypt', scrypt }, random),
    ).rejects.toThrow(UnsupportedDigest);
  });

  test('bcrypt refuses a password that it would cut', async () => {
    const bcrypt = { ...cheapPasswords, algorithm: 'bcrypt' } as const;
    await expect(hashPassword('a'.repeat(73), bcrypt, random)).rejects.toThrow(/first 72 bytes/);
    await expect(hashPassword('a'.repeat(72), bcrypt, random)).resolves.toMatch(/^\$2b\$/);
  });

  test.each(['', 'a'.repeat(1025), 'a\uDC00'])('an impossible password is refused', async (password) => {
    await expect(hashPassword(password, cheapPasswords, random)).rejects.toThrow(/1 to 1024 bytes/);
  });

  test('the memory of a check is known beforehand', () => {
    expect(blankDigest(cheapPasswords, random).memory).toBe(64 * 1024);
    const scrypt = {
      ...cheapPasswords,
      algorithm: 'scrypt',
      scrypt: { ...cheapPasswords.scrypt, iterations: 16 },
    } as const;
    expect(blankDigest(scrypt, random).memory).toBeCloseTo(64 * 1024 * 1024, -4);
  });
});

describe('the event loop turns while a hash runs', () => {
  test.each([
    ['argon2', { ...cheapPasswords, argon2: { ...cheapPasswords.argon2, memory: 16_384 } }],
    ['scrypt', { ...cheapPasswords, scrypt: { ...cheapPasswords.scrypt, iterations: 13 } }],
    ['pbkdf2', { ...cheapPasswords, pbkdf2: { ...cheapPasswords.pbkdf2, iterations: 20_000 } }],
    ['sha2crypt', { ...cheapPasswords, sha2crypt: { ...cheapPasswords.sha2crypt, iterations: 20_000 } }],
    ['bcrypt', { ...cheapPasswords, bcrypt: { ...cheapPasswords.bcrypt, cost: 8 } }],
  ] as const)('%s', async (algorithm, options) => {
    let turns = 0;
    let next: NodeJS.Immediate | undefined;
    const turn = (): void => {
      turns += 1;
      next = setImmediate(turn);
    };
    turn();
    await hashPassword('secret', { ...options, algorithm }, random);
    clearImmediate(next);
    expect(turns).toBeGreaterThan(10);
  });
});
