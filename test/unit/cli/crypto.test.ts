import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cryptoCommand } from '../../../src/cli/crypto.ts';
import type { ReadSecret } from '../../../src/cli/read-secret.ts';
import { parseDigest } from '../../../src/users/digest.ts';

class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** Runs `crypto <words>`; `typed` are the answers to its questions, or what stands in its standard input. */
async function run(words: readonly string[], typed: readonly string[] | string = []) {
  let out = '';
  let err = '';
  const prompts: string[] = [];
  const answers = typeof typed === 'string' ? [] : [...typed];
  const readSecret: ReadSecret = async (prompt) => {
    if (typeof typed === 'string') return { text: typed, interactive: false };
    prompts.push(prompt);
    return { text: answers.shift() ?? '', interactive: true };
  };
  const io = {
    out: (text: string) => void (out += text),
    err: (text: string) => void (err += text),
    environment: {},
    exit: (code: number) => {
      throw new Exit(code);
    },
  };
  let code = 0;
  try {
    await cryptoCommand(io, { readSecret }).parseAsync(words, { from: 'user' });
  } catch (cause) {
    if (!(cause instanceof Exit)) throw cause;
    code = cause.code;
  }
  return { out, err, code, prompts };
}

const CHEAP = ['argon2', '-m', '64', '-i', '1', '-p', '1'];
const digestIn = (out: string): string => /^Digest: (.*)$/m.exec(out)?.[1] ?? '';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-crypto-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('crypto hash generate', () => {
  test.each([
    [['--password', 'x', ...CHEAP], /^\$argon2id\$v=19\$m=64,t=1,p=1\$/],
    [
      [...CHEAP, '--password', 'x', '-v', 'argon2d', '-k', '16', '-s', '8'],
      /^\$argon2d\$v=19\$m=64,t=1,p=1\$[^$]{11}\$[^$]{22}$/,
    ],
    [['bcrypt', '--password', 'x', '-i', '4'], /^\$2b\$04\$/],
    [['bcrypt', '--password', 'x', '--cost', '4', '--variant', 'sha256'], /^\$bcrypt-sha256\$v=2,t=2b,r=4\$/],
    [['pbkdf2', '--password', 'x', '-v', 'sha384', '-i', '10'], /^\$pbkdf2-sha384\$10\$/],
    [['pbkdf2', '--password', 'x', '-v', 'sha384'], /^\$pbkdf2-sha384\$280000\$/],
    [['scrypt', '--password', 'x', '-i', '4', '-r', '2', '-p', '2'], /^\$scrypt\$ln=4,r=2,p=2\$/],
    [['sha2crypt', '--password', 'x', '-i', '1000', '-v', 'sha256', '-s', '4'], /^\$5\$rounds=1000\$.{4}\$/],
  ] as const)('%j', async (words, format) => {
    const { out, err, code } = await run(['hash', 'generate', ...words]);
    expect([err, code]).toEqual(['', 0]);
    expect(out).toMatch(/^Digest: \$.*\n$/);
    expect(digestIn(out)).toMatch(format);
    expect(await parseDigest(digestIn(out)).matches('x')).toBe(true);
  });

  test('without a sub-command takes the defaults of Authelia', async () => {
    const { out } = await run(['hash', 'generate', '--password', 'x']);
    expect(digestIn(out)).toMatch(/^\$argon2id\$v=19\$m=65536,t=3,p=4\$[^$]{22}\$[^$]{43}$/);
  });

  test('asks twice on a terminal', async () => {
    const { out, prompts } = await run(['hash', 'generate', ...CHEAP], ['säcret', 'säcret']);
    expect(prompts).toEqual(['Enter Password: ', 'Confirm Password: ']);
    expect(await parseDigest(digestIn(out)).matches('säcret')).toBe(true);
  });

  test('asks once with --no-confirm, and reads a pipe once', async () => {
    const { out, prompts } = await run(['hash', 'generate', '--no-confirm', ...CHEAP], ['a']);
    expect(prompts).toHaveLength(1);
    expect(await parseDigest(digestIn(out)).matches('a')).toBe(true);
    const piped = await run(['hash', 'generate', ...CHEAP], 'from a pipe');
    expect(await parseDigest(digestIn(piped.out)).matches('from a pipe')).toBe(true);
  });

  test('makes up a password', async () => {
    const words = ['--random', '--random.length', '12', '--random.charset', 'numeric'];
    const { out } = await run(['hash', 'generate', ...CHEAP, ...words]);
    const password = /^Random Password: (\d{12})\nDigest: /.exec(out)?.[1] ?? '';
    expect(await parseDigest(digestIn(out)).matches(password)).toBe(true);
  });

  test.each([
    [CHEAP, ['a', 'b'], /two passwords are not the same/],
    [CHEAP, [''], /1 to 1024 bytes/],
    [['bcrypt'], ['a'.repeat(73), 'a'.repeat(73)], /first 72 bytes/],
    [['argon2', '-m', '4', '--password', 'x'], [], /m must be at least 8 times p/],
    [['argon2', '-m', '4194304', '--password', 'x'], [], /costs too much/],
    [['-c', '/does/not/exist.yml', '--password', 'x'], [], /\/does\/not\/exist\.yml/],
  ] as const)('%j is refused', async (words, typed, message) => {
    const { out, err, code } = await run(['hash', 'generate', ...words], typed);
    expect(out).toBe('');
    expect(err).toMatch(message);
    expect(code).toBe(1);
  });
});

describe('crypto hash validate', () => {
  test('says whether they match', async () => {
    const digest = digestIn((await run(['hash', 'generate', ...CHEAP, '--password', 'x'])).out);
    expect(await run(['hash', 'validate', '--password', 'x', '--', digest])).toMatchObject({
      out: 'The password matches the digest.\n',
      code: 0,
    });
    expect(await run(['hash', 'validate', digest], 'y')).toMatchObject({
      out: 'The password does not match the digest.\n',
      code: 1,
    });
  });

  test('names what is wrong with a digest', async () => {
    const { err, code } = await run(['hash', 'validate', '--password', 'x', '$6$short']);
    expect(err).toMatch(/^the digest cannot be used: it must have the form/);
    expect(code).toBe(1);
  });
});

describe('crypto rand', () => {
  test.each([
    [[], /^Random Value: [A-Za-z0-9]{72}\n$/],
    [['-n', '80', '-x', 'numeric-hex'], /^Random Value: [0-9A-F]{80}\n$/],
    [['--length', '9', '--charset', 'rfc3986'], /^Random Value: [A-Za-z0-9._~-]{9}\n$/],
    [['--characters', 'ab', '-n', '30'], /^Random Value: [ab]{30}\n$/],
  ] as const)('%j', async (words, format) => {
    expect((await run(['rand', ...words])).out).toMatch(format);
  });

  test('writes different values to files that only their owner reads', async () => {
    const files = ['a', 'b', 'deeper/c'].map((name) => join(folder, name));
    const [a = '', b = '', c = ''] = files;
    const { out } = await run(['rand', a, '--file', `${b},${c}`, '-n', '20']);
    expect(out).toBe(files.map((file) => `Random value written to ${file}\n`).join(''));
    const values = await Promise.all(files.map((file) => readFile(file, 'utf8')));
    expect(new Set(values).size).toBe(3);
    for (const [index, file] of files.entries()) {
      expect(values[index]).toMatch(/^[A-Za-z0-9]{20}$/);
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
    expect((await stat(join(folder, 'deeper'))).mode & 0o777).toBe(0o700);
  });

  test('takes another mode', async () => {
    const file = join(folder, 'readable');
    await run(['rand', '--file', file, '--mode-files', '0640']);
    expect((await stat(file)).mode & 0o777).toBe(0o640);
  });

  test('never writes over a file', async () => {
    const file = join(folder, 'secret');
    await writeFile(file, 'in use');
    const { err, code } = await run(['rand', '--file', file]);
    expect(err).toBe(`${file} exists already: remove it or name another\n`);
    expect(code).toBe(1);
    expect(await readFile(file, 'utf8')).toBe('in use');
  });

  test('refuses an alphabet of one character', async () => {
    expect(await run(['rand', '--characters', 'a'])).toMatchObject({ code: 1, out: '' });
  });
});
