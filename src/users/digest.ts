import { createHash, createHmac, pbkdf2, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { hashRaw } from '@node-rs/argon2';
import type { Random } from '../lib/random.ts';
import { isPossiblePassword, MAX_PASSWORD_BYTES } from './backend.ts';
import { runInThread } from './digest-threads.ts';
import type { PasswordOptions } from './password-options.ts';
import type { Sha2Variant } from './sha2crypt.ts';

/**
 * Password digests in crypt(3)'s modular format: read, checked, made. Every algorithm is one constructor below that
 * takes its parameters and the expected result; reading, making and checking all go through it.
 *
 * Nothing here computes on the caller's thread: argon2, scrypt and pbkdf2 run in libuv's pool, bcrypt and SHA-2-crypt
 * on threads of `digest-threads.ts`. yescrypt (`$y$`) is recognised but cannot be computed.
 */
export interface Digest {
  readonly algorithm:
    | 'argon2'
    | 'scrypt'
    | 'pbkdf2'
    | 'bcrypt'
    | 'bcrypt-sha256'
    | 'sha2crypt'
    | 'plaintext'
    | 'base64';
  /** How many bytes a check holds while it runs. */
  readonly memory: number;
  /**
   * Whether this is the password's digest, found in time that does not depend on where they differ. A text that is no
   * possible password never matches and costs nothing.
   */
  matches(password: string): Promise<boolean>;
}

/** A digest that cannot be used; the message says why, without repeating the digest. */
export class InvalidDigest extends Error {
  override name = 'InvalidDigest';
}

/** A digest that is well known but cannot be computed here. */
export class UnsupportedDigest extends InvalidDigest {
  override name = 'UnsupportedDigest';
}

const MIB = 1024 * 1024;

/** Bounds of what a digest may ask for: beyond them one login would hold up all others for many seconds. */
const LIMITS = {
  /** RFC 9106's first recommended choice for Argon2 takes 2 GiB. */
  memory: 2048 * MIB,
  /** Argon2: memory times iterations. */
  argon2Work: 4096 * MIB,
  argon2Lanes: 64,
  /** scrypt: 128 * N * r * p. */
  scryptWork: 2048 * MIB,
  pbkdf2Iterations: 10_000_000,
  sha2cryptRounds: 5_000_000,
  bcryptCost: 16,
  /** Salt and key, in bytes. */
  part: 512,
} as const;

// ---- how texts are read and written

const BASE64 = /^[A-Za-z0-9+/]*$/;

function decodeBase64(text: string, what: string): Buffer {
  if (!BASE64.test(text) || text.length % 4 === 1) throw new InvalidDigest(`its ${what} is no base64`);
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0) throw new InvalidDigest(`its ${what} is empty`);
  if (bytes.length > LIMITS.part) throw new InvalidDigest(`its ${what} is longer than ${LIMITS.part} bytes`);
  return bytes;
}

const encodeBase64 = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

/** passlib's variation: no padding, `.` for `+`. */
const encodeAdapted = (bytes: Buffer): string => encodeBase64(bytes).replaceAll('+', '.');

/** An integer without sign, leading zeros allowed up to `width` digits. */
function integer(text: string | undefined, what: string, minimum: number, maximum: number): number {
  if (text === undefined) throw new InvalidDigest(`it says no ${what}`);
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= minimum && value <= maximum)) {
    throw new InvalidDigest(`its ${what} must be a number from ${minimum} to ${maximum}`);
  }
  return value;
}

/** Reads `m=1,t=2`: every name once, all of `names` and no other. */
function parameters(text: string | undefined, names: readonly string[]): ReadonlyMap<string, string> {
  const parts = (text ?? '').split(',');
  const found = new Map(parts.map((part) => part.split('=', 2) as [string, string]));
  if (parts.length !== names.length || names.some((name) => found.get(name) === undefined)) {
    throw new InvalidDigest(`its parameters must be ${names.map((name) => `${name}=…`).join(',')}`);
  }
  return found;
}

function fields<const N extends number>(
  parts: readonly string[],
  count: N,
  form: string,
): readonly string[] & { readonly length: N } {
  if (parts.length !== count) throw new InvalidDigest(`it must have the form ${form}`);
  return parts as readonly string[] & { readonly length: N };
}

// ---- from a computation to a digest

interface Computation {
  readonly algorithm: Digest['algorithm'];
  readonly memory: number;
  readonly expected: Buffer;
  compute(password: string): Promise<Buffer>;
}

/** One that can also be written down: `result` in the place of the expected. */
interface Recipe extends Computation {
  encode(result: Buffer): string;
}

function toDigest(computation: Computation): Digest {
  const { algorithm, memory, expected } = computation;
  return {
    algorithm,
    memory,
    async matches(password) {
      if (!isPossiblePassword(password)) return false;
      const result = await computation.compute(password);
      return result.length === expected.length && timingSafeEqual(result, expected);
    },
  };
}

// ---- argon2 (RFC 9106), https://github.com/P-H-C/phc-winner-argon2

const ARGON2_VARIANTS = { argon2d: 0, argon2i: 1, argon2id: 2 } as const;

interface Argon2Parameters {
  readonly variant: keyof typeof ARGON2_VARIANTS;
  readonly version: 16 | 19;
  readonly memory: number;
  readonly iterations: number;
  readonly parallelism: number;
  readonly salt: Buffer;
}

function argon2(p: Argon2Parameters, expected: Buffer): Recipe {
  const memory = p.memory * 1024;
  if (p.salt.length < 8) throw new InvalidDigest('its salt is shorter than 8 bytes');
  if (expected.length < 4) throw new InvalidDigest('its key is shorter than 4 bytes');
  if (p.memory < 8 * p.parallelism) throw new InvalidDigest('m must be at least 8 times p');
  if (memory > LIMITS.memory || memory * p.iterations > LIMITS.argon2Work) {
    throw new InvalidDigest(
      `m=${p.memory},t=${p.iterations} costs too much (m at most 2 GiB, m times t at most 4 GiB)`,
    );
  }
  return {
    algorithm: 'argon2',
    memory,
    expected,
    compute: (password) =>
      hashRaw(password, {
        algorithm: ARGON2_VARIANTS[p.variant],
        version: p.version === 16 ? 0 : 1,
        memoryCost: p.memory,
        timeCost: p.iterations,
        parallelism: p.parallelism,
        salt: p.salt,
        outputLen: expected.length,
      }),
    encode: (key) =>
      `$${p.variant}$v=${p.version}$m=${p.memory},t=${p.iterations},p=${p.parallelism}$${encodeBase64(p.salt)}$${encodeBase64(key)}`,
  };
}

function parseArgon2(variant: string, parts: readonly string[]): Computation {
  // Digests older than the version field are of version 16.
  const all = parts[0]?.startsWith('v=') ? parts : ['v=16', ...parts];
  const [version, costs, salt = '', key = ''] = fields(all, 4, `$${variant}$v=19$m=…,t=…,p=…$salt$key`);
  if (version !== 'v=16' && version !== 'v=19') throw new InvalidDigest('its version must be v=16 or v=19');
  const cost = parameters(costs, ['m', 't', 'p']);
  return argon2(
    {
      variant: variant as Argon2Parameters['variant'],
      version: version === 'v=16' ? 16 : 19,
      memory: integer(cost.get('m'), 'm', 8, LIMITS.memory / 1024),
      iterations: integer(cost.get('t'), 't', 1, 1_000_000),
      parallelism: integer(cost.get('p'), 'p', 1, LIMITS.argon2Lanes),
      salt: decodeBase64(salt, 'salt'),
    },
    decodeBase64(key, 'key'),
  );
}

// ---- scrypt (RFC 7914) in passlib's format

interface ScryptParameters {
  readonly ln: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Buffer;
}

const scryptKey = promisify<
  string,
  Buffer,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt);

function scryptDigest({ ln, r, p, salt }: ScryptParameters, expected: Buffer): Recipe {
  const N = 2 ** ln;
  const memory = 128 * r * (N + p);
  if (memory > LIMITS.memory || 128 * N * r * p > LIMITS.scryptWork) {
    throw new InvalidDigest(`ln=${ln},r=${r},p=${p} costs too much (128 times N, r and p at most 2 GiB)`);
  }
  return {
    algorithm: 'scrypt',
    memory,
    expected,
    compute: (password) => scryptKey(password, salt, expected.length, { N, r, p, maxmem: memory + MIB }),
    encode: (key) => `$scrypt$ln=${ln},r=${r},p=${p}$${encodeBase64(salt)}$${encodeBase64(key)}`,
  };
}

function parseScrypt(_id: string, parts: readonly string[]): Computation {
  const [costs, salt = '', key = ''] = fields(parts, 3, '$scrypt$ln=…,r=…,p=…$salt$key');
  const cost = parameters(costs, ['ln', 'r', 'p']);
  return scryptDigest(
    {
      ln: integer(cost.get('ln'), 'ln', 1, 24),
      r: integer(cost.get('r'), 'r', 1, 1024),
      p: integer(cost.get('p'), 'p', 1, 1024),
      salt: decodeBase64(salt, 'salt'),
    },
    decodeBase64(key, 'key'),
  );
}

// ---- pbkdf2 (RFC 8018) in passlib's format

const PBKDF2_VARIANTS = new Map([
  ['pbkdf2', 'sha1'],
  ['pbkdf2-sha1', 'sha1'],
  ['pbkdf2-sha224', 'sha224'],
  ['pbkdf2-sha256', 'sha256'],
  ['pbkdf2-sha384', 'sha384'],
  ['pbkdf2-sha512', 'sha512'],
]);

/** The length of each variant's key in bytes. */
const PBKDF2_KEY_LENGTH = { sha1: 20, sha224: 28, sha256: 32, sha384: 48, sha512: 64 } as const;

const pbkdf2Key = promisify(pbkdf2);

function pbkdf2Digest(id: string, iterations: number, salt: Buffer, expected: Buffer): Recipe {
  const variant = PBKDF2_VARIANTS.get(id) ?? 'sha1';
  return {
    algorithm: 'pbkdf2',
    memory: 0,
    expected,
    compute: (password) => pbkdf2Key(password, salt, iterations, expected.length, variant),
    encode: (key) => `$${id}$${iterations}$${encodeAdapted(salt)}$${encodeAdapted(key)}`,
  };
}

function parsePbkdf2(id: string, parts: readonly string[]): Computation {
  const [iterations, salt = '', key = ''] = fields(parts, 3, `$${id}$iterations$salt$key`);
  return pbkdf2Digest(
    id,
    integer(iterations, 'iterations', 1, LIMITS.pbkdf2Iterations),
    decodeBase64(salt.replaceAll('.', '+'), 'salt'),
    decodeBase64(key.replaceAll('.', '+'), 'key'),
  );
}

// ---- bcrypt, and passlib's bcrypt over SHA-256 that has no limit of 72 bytes

const BCRYPT_SALT = /^[./A-Za-z0-9]{22}$/;
const BCRYPT_KEY = /^[./A-Za-z0-9]{31}$/;
const BCRYPT_FORMAT = '$2b$cost$ followed by 22 characters of salt and 31 of hash';
const BCRYPT_MEMORY = 64 * 1024;

/** What stands between the password and bcrypt, and how the digest is written. */
interface BcryptForm {
  readonly algorithm: 'bcrypt' | 'bcrypt-sha256';
  prepare(password: string, salt: string): string;
  encode(salt: string, key: string): string;
}

function bcrypt(form: BcryptForm, minor: string, cost: number, salt: string, expected: string): Recipe {
  if (!BCRYPT_SALT.test(salt)) throw new InvalidDigest('its salt must be 22 characters of bcrypt’s base64');
  if (!BCRYPT_KEY.test(expected))
    throw new InvalidDigest('its hash must be 31 characters of bcrypt’s base64');
  return {
    algorithm: form.algorithm,
    memory: BCRYPT_MEMORY,
    expected: Buffer.from(expected),
    async compute(password) {
      // bcrypt repeats the key with its final NUL, so that `a` and `a NUL a` are one password: none with a NUL matches.
      if (password.includes('\0')) return Buffer.alloc(0);
      const setting = `$${minor}$${String(cost).padStart(2, '0')}$${salt}`;
      const text = await runInThread({
        algorithm: 'bcrypt',
        password: form.prepare(password, salt),
        setting,
      });
      return Buffer.from(text.slice(-31));
    },
    encode: (key) => form.encode(salt, key.toString()),
  };
}

const bcryptCost = (text: string | undefined): number => integer(text, 'cost', 4, LIMITS.bcryptCost);

function plainBcrypt(minor: string, cost: number): BcryptForm {
  return {
    algorithm: 'bcrypt',
    prepare: (password) => password,
    encode: (salt, key) => `$${minor}$${String(cost).padStart(2, '0')}$${salt}${key}`,
  };
}

function parseBcrypt(minor: string, parts: readonly string[]): Computation {
  const [costText, rest = ''] = fields(parts, 2, BCRYPT_FORMAT);
  if (rest.length !== 53) throw new InvalidDigest(`it must have the form ${BCRYPT_FORMAT}`);
  const cost = bcryptCost(costText);
  return bcrypt(plainBcrypt(minor, cost), minor, cost, rest.slice(0, 22), rest.slice(22));
}

/** Version 2 keys the hash with the salt, version 1 does not. */
function sha256Bcrypt(version: 1 | 2, minor: string, cost: number): BcryptForm {
  return {
    algorithm: 'bcrypt-sha256',
    prepare: (password, salt) =>
      (version === 2 ? createHmac('sha256', salt) : createHash('sha256')).update(password).digest('base64'),
    encode: (salt, key) =>
      version === 2
        ? `$bcrypt-sha256$v=2,t=${minor},r=${cost}$${salt}$${key}`
        : `$bcrypt-sha256$${minor},${cost}$${salt}$${key}`,
  };
}

function parseBcryptSha256(_id: string, parts: readonly string[]): Computation {
  const [costs = '', salt = '', key = ''] = fields(parts, 3, '$bcrypt-sha256$v=2,t=2b,r=cost$salt$hash');
  const old = /^(2[aby]),(\d+)$/.exec(costs);
  const found = old
    ? new Map([
        ['v', '1'],
        ['t', old[1] ?? ''],
        ['r', old[2] ?? ''],
      ])
    : parameters(costs, ['v', 't', 'r']);
  const minor = found.get('t') ?? '';
  if (!old && found.get('v') !== '2') throw new InvalidDigest('its version must be v=2');
  if (!/^2[aby]$/.test(minor)) throw new InvalidDigest('its t must be 2a, 2b or 2y');
  const cost = bcryptCost(found.get('r'));
  return bcrypt(sha256Bcrypt(old ? 1 : 2, minor, cost), minor, cost, salt, key);
}

// ---- SHA-2-crypt

const SHA2_VARIANTS = { sha256: { id: '5', length: 43 }, sha512: { id: '6', length: 86 } } as const;

/** `rounds` is null where the text leaves it out, which means 5,000. */
function sha2cryptDigest(
  variant: Sha2Variant,
  rounds: number | null,
  salt: string,
  expected: string,
): Recipe {
  const { id, length } = SHA2_VARIANTS[variant];
  if (!/^[^$:\n]{0,16}$/.test(salt)) throw new InvalidDigest('its salt must be at most 16 characters');
  if (expected.length !== length || !/^[./A-Za-z0-9]*$/.test(expected)) {
    throw new InvalidDigest(`its hash must be ${length} characters of ./0-9A-Za-z`);
  }
  return {
    algorithm: 'sha2crypt',
    memory: MIB,
    expected: Buffer.from(expected),
    async compute(password) {
      const job = { algorithm: 'sha2crypt', variant, password, salt, rounds: rounds ?? 5_000 } as const;
      return Buffer.from(await runInThread(job));
    },
    encode: (key) => `$${id}$${rounds === null ? '' : `rounds=${rounds}$`}${salt}$${key.toString()}`,
  };
}

function parseSha2crypt(id: string, parts: readonly string[]): Computation {
  const variant = id === '5' ? 'sha256' : 'sha512';
  const explicit = parts[0]?.startsWith('rounds=');
  const [rounds = '', salt = '', key = ''] = fields(
    explicit ? parts : ['', ...parts],
    3,
    `$${id}$rounds=…$salt$hash`,
  );
  const count = explicit ? integer(rounds.slice(7), 'rounds', 1_000, LIMITS.sha2cryptRounds) : null;
  return sha2cryptDigest(variant, count, salt, key);
}

// ---- no digest at all

const fingerprint = (secret: string | Buffer): Buffer => createHash('sha256').update(secret).digest();

function readable(algorithm: 'plaintext' | 'base64', password: Buffer): Computation {
  if (password.length === 0) throw new InvalidDigest('its password is empty');
  return {
    algorithm,
    memory: 0,
    // Of equal length whatever the passwords are, so that the comparison says nothing about the length either.
    expected: fingerprint(password),
    compute: async (candidate) => fingerprint(candidate),
  };
}

// ---- all of them

const ALGORITHMS = new Map<string, (id: string, parts: readonly string[]) => Computation>([
  ['argon2id', parseArgon2],
  ['argon2i', parseArgon2],
  ['argon2d', parseArgon2],
  ['scrypt', parseScrypt],
  ...[...PBKDF2_VARIANTS.keys()].map((id) => [id, parsePbkdf2] as const),
  ['2a', parseBcrypt],
  ['2b', parseBcrypt],
  ['2y', parseBcrypt],
  ['bcrypt-sha256', parseBcryptSha256],
  ['5', parseSha2crypt],
  ['6', parseSha2crypt],
  ['plaintext', (_id, parts) => readable('plaintext', Buffer.from(parts.join('$')))],
  [
    'base64',
    (_id, parts) => readable('base64', decodeBase64(parts.join('$').replace(/=+$/, ''), 'password')),
  ],
  [
    'y',
    () => {
      throw new UnsupportedDigest('it is a yescrypt digest ($y$), which cannot be verified here');
    },
  ],
]);

/**
 * Reads a digest. `{CRYPT}` before it (as in LDAP and in old files) is skipped.
 * Throws `InvalidDigest` where it is malformed, unknown or would cost more than is sane, `UnsupportedDigest` for yescrypt.
 */
export function parseDigest(text: string): Digest {
  const [before, id = '', ...parts] = text.replace(/^\{CRYPT\}/, '').split('$');
  const parse = before === '' ? ALGORITHMS.get(id) : undefined;
  if (!parse) {
    throw new InvalidDigest(
      'it is no known digest (known: $argon2id$, $argon2i$, $argon2d$, $scrypt$, $pbkdf2…$, $2a$, $2b$, $2y$, ' +
        '$bcrypt-sha256$, $5$, $6$, $plaintext$, $base64$)',
    );
  }
  return toDigest(parse(id, parts));
}

/** `length` characters of crypt(3)'s alphabet. */
function randomCharacters(random: Random, length: number): string {
  return encodeAdapted(random.bytes(Math.ceil(length * 0.75))).slice(0, length);
}

/**
 * A digest that matches nothing (what it expects is random), with a fresh salt and the configured parameters: what a
 * check runs against where there is nobody. Throws `InvalidDigest` for parameters that would not be read again.
 */
export function blankDigest(options: PasswordOptions, random: Random): Digest {
  return toDigest(blankRecipe(options, random));
}

function blankRecipe(options: PasswordOptions, random: Random): Recipe {
  switch (options.algorithm) {
    case 'argon2': {
      const { key_length, salt_length, ...costs } = options.argon2;
      return argon2({ ...costs, version: 19, salt: random.bytes(salt_length) }, random.bytes(key_length));
    }
    case 'scrypt': {
      const { variant, iterations, block_size, parallelism, key_length, salt_length } = options.scrypt;
      if (variant === 'yescrypt')
        throw new UnsupportedDigest('yescrypt digests cannot be made: choose scrypt or argon2');
      const salt = random.bytes(salt_length);
      return scryptDigest({ ln: iterations, r: block_size, p: parallelism, salt }, random.bytes(key_length));
    }
    case 'pbkdf2': {
      const { variant, iterations, salt_length } = options.pbkdf2;
      const key = random.bytes(PBKDF2_KEY_LENGTH[variant]);
      return pbkdf2Digest(
        variant === 'sha1' ? 'pbkdf2' : `pbkdf2-${variant}`,
        iterations,
        random.bytes(salt_length),
        key,
      );
    }
    case 'sha2crypt': {
      const { variant, iterations, salt_length } = options.sha2crypt;
      const key = randomCharacters(random, SHA2_VARIANTS[variant].length);
      return sha2cryptDigest(variant, iterations, randomCharacters(random, salt_length), key);
    }
    case 'bcrypt': {
      const { variant, cost } = options.bcrypt;
      const form = variant === 'standard' ? plainBcrypt('2b', cost) : sha256Bcrypt(2, '2b', cost);
      return bcrypt(form, '2b', cost, bcryptSalt(random), randomCharacters(random, 31));
    }
  }
}

/** 16 bytes in bcrypt's base64, which numbers its characters in another order. */
function bcryptSalt(random: Random): string {
  const standard = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const own = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  return encodeBase64(random.bytes(16)).replaceAll(/./g, (character) =>
    own.charAt(standard.indexOf(character)),
  );
}

/**
 * Makes the digest of a new password in the format that Authelia writes. Throws `InvalidDigest` for parameters that it
 * would refuse to read, and for a password that it could not check: empty, malformed, too long (bcrypt: over 72 bytes).
 */
export async function hashPassword(
  password: string,
  options: PasswordOptions,
  random: Random,
): Promise<string> {
  if (!isPossiblePassword(password)) {
    throw new InvalidDigest(
      `the password must be well-formed text of 1 to ${MAX_PASSWORD_BYTES} bytes of UTF-8`,
    );
  }
  const blank = blankRecipe(options, random);
  if (blank.algorithm === 'bcrypt' && Buffer.byteLength(password) > 72) {
    throw new InvalidDigest(
      'bcrypt reads only the first 72 bytes of a password: use a shorter one or the variant sha256',
    );
  }
  if (options.algorithm === 'bcrypt' && password.includes('\0')) {
    throw new InvalidDigest('bcrypt takes no password with a NUL in it');
  }
  return blank.encode(await blank.compute(password));
}
