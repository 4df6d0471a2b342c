/**
 * `crypto hash generate`, `crypto hash validate` and `crypto rand`, with the names, options and output of Authelia's
 * commands. Key pairs and certificates under `crypto` are attached by `certificates.ts`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { formatProblem, loadConfiguration, resolveSource } from '../config/load.ts';
import { messageOf } from '../lib/message-of.ts';
import { systemRandom, type Random } from '../lib/random.ts';
import { hashPassword, InvalidDigest, parseDigest, type Digest } from '../users/digest.ts';
import {
  DEFAULT_PASSWORD_OPTIONS,
  PBKDF2_ITERATIONS,
  type PasswordOptions,
} from '../users/password-options.ts';
import { CHARSETS, randomText } from '../users/random-text.ts';
import { attachCryptoCertificates } from './certificates.ts';
import type { CliIo } from './io.ts';
import { readSecret as readSecretFromInput, type ReadSecret } from './read-secret.ts';

export interface CryptoDeps {
  readonly random?: Random;
  readonly readSecret?: ReadSecret;
}

export function cryptoCommand(io: CliIo, deps: CryptoDeps = {}): Command {
  const { random = systemRandom, readSecret = readSecretFromInput } = deps;
  const command = new Command('crypto').description(
    'make random values, password digests, keys and certificates',
  );
  attachRand(command, io, random);
  const hash = command.command('hash').description('make and check password digests');
  attachGenerate(hash, { io, random, readSecret });
  attachValidate(hash, { io, random, readSecret });
  attachCryptoCertificates(command, io);
  return command;
}

interface Context {
  readonly io: CliIo;
  readonly random: Random;
  readonly readSecret: ReadSecret;
}

// ---- crypto hash generate

interface PasswordFlags {
  readonly password?: string;
  readonly confirm: boolean;
  readonly random?: true;
  readonly 'random.length': number;
  readonly 'random.charset': string;
  readonly 'random.characters'?: string;
  readonly config?: readonly string[];
}

type Algorithm = PasswordOptions['algorithm'];

/** One option of an algorithm's command: its key in the configuration, how it is written, what it takes. */
interface AlgorithmFlag {
  readonly key: string;
  readonly flags: string;
  readonly text: string;
  /** The words that it takes; a number if there are none. */
  readonly words?: readonly string[];
}

const VARIANT = { key: 'variant', flags: '-v, --variant <variant>', text: 'variant' };
const ITERATIONS = { key: 'iterations', flags: '-i, --iterations <number>', text: 'number of iterations' };
const KEY_SIZE = { key: 'key_length', flags: '-k, --key-size <bytes>', text: 'key size in bytes' };
const SALT_SIZE = { key: 'salt_length', flags: '-s, --salt-size <bytes>', text: 'salt size in bytes' };
const PARALLELISM = {
  key: 'parallelism',
  flags: '-p, --parallelism <number>',
  text: 'parallelism or threads',
};

const ALGORITHM_FLAGS: Readonly<Record<Algorithm, readonly AlgorithmFlag[]>> = {
  argon2: [
    { ...VARIANT, words: ['argon2id', 'argon2i', 'argon2d'] },
    ITERATIONS,
    { key: 'memory', flags: '-m, --memory <kibibytes>', text: 'memory in kibibytes' },
    PARALLELISM,
    KEY_SIZE,
    SALT_SIZE,
  ],
  bcrypt: [
    { ...VARIANT, words: ['standard', 'sha256'] },
    { key: 'cost', flags: '-i, --cost <number>', text: 'hashing cost' },
  ],
  pbkdf2: [{ ...VARIANT, words: Object.keys(PBKDF2_ITERATIONS) }, ITERATIONS, SALT_SIZE],
  scrypt: [
    ITERATIONS,
    { key: 'block_size', flags: '-r, --block-size <number>', text: 'block size' },
    PARALLELISM,
    KEY_SIZE,
    SALT_SIZE,
  ],
  sha2crypt: [{ ...VARIANT, words: ['sha256', 'sha512'] }, ITERATIONS, SALT_SIZE],
};

/** RFC 9106 section 4: the second and the first recommended choice. */
const ARGON2_PROFILES = {
  'low-memory': { variant: 'argon2id', iterations: 3, memory: 65_536, parallelism: 4 },
  recommended: { variant: 'argon2id', iterations: 1, memory: 2_097_152, parallelism: 4 },
} as const;

function attachGenerate(hash: Command, context: Context): void {
  const generate = hash
    .command('generate')
    .description('make the digest of a password (argon2 unless configured)');
  // On the parent command these are understood before and behind the name of the algorithm.
  addPasswordOptions(generate)
    .option('--no-confirm', 'do not ask for the password a second time')
    .option('--random', 'make up a random password')
    .option('--random.length <number>', 'characters of the random password', toCount, 72)
    .option(
      '--random.charset <name>',
      `characters to choose from: ${charsetNames}`,
      toCharset,
      'alphanumeric',
    )
    .option('--random.characters <characters>', 'the very characters to choose from')
    .option('-c, --config <file>', 'take algorithm and parameters from this configuration', collect)
    .configureHelp({ showGlobalOptions: true })
    .action(
      reporting(context.io, async (flags: PasswordFlags) => {
        await printDigest(flags, configuredOptions(flags, context.io), context);
      }),
    );

  for (const [algorithm, all] of Object.entries(ALGORITHM_FLAGS) as [Algorithm, readonly AlgorithmFlag[]][]) {
    const command = generate
      .command(algorithm)
      .description(`Make the digest of a password with ${algorithm}`);
    if (algorithm === 'argon2') {
      command.addOption(
        new Option('--profile <profile>', 'parameters of RFC 9106').choices(Object.keys(ARGON2_PROFILES)),
      );
    }
    for (const { key, flags, text, words } of all) {
      // The default stands in the help only: what is not given is taken from the configuration.
      const option = new Option(flags, `${text} (default: ${String(defaultOf(algorithm, key))})`);
      command.addOption(words ? option.choices(words) : option.argParser(toCount));
    }
    command.action(
      reporting(context.io, async (_own: unknown, self: Command) => {
        const flags = self.optsWithGlobals<PasswordFlags>();
        const options = withFlags(configuredOptions(flags, context.io), algorithm, self);
        await printDigest(flags, options, context);
      }),
    );
  }
}

function defaultOf(algorithm: Algorithm, key: string): unknown {
  return (DEFAULT_PASSWORD_OPTIONS[algorithm] as Readonly<Record<string, unknown>>)[key];
}

/** The options of `base` with those that were given on the command line in their place. */
function withFlags(base: PasswordOptions, algorithm: Algorithm, command: Command): PasswordOptions {
  const given = command.opts<Record<string, unknown>>();
  const profile = given['profile'] as keyof typeof ARGON2_PROFILES | undefined;
  const settings: Record<string, unknown> = { ...base[algorithm], ...(profile && ARGON2_PROFILES[profile]) };
  for (const { key, flags } of ALGORITHM_FLAGS[algorithm]) {
    const value = given[new Option(flags).attributeName()];
    if (value !== undefined) settings[key] = value;
  }
  // Another hash function has another fitting number of iterations.
  if (algorithm === 'pbkdf2' && given['variant'] !== undefined && given['iterations'] === undefined) {
    settings['iterations'] = PBKDF2_ITERATIONS[given['variant'] as keyof typeof PBKDF2_ITERATIONS];
  }
  return { ...base, algorithm, [algorithm]: settings };
}

function configuredOptions({ config: files }: PasswordFlags, io: CliIo): PasswordOptions {
  if (files === undefined) return DEFAULT_PASSWORD_OPTIONS;
  const { config, problems } = loadConfiguration(resolveSource({ config: [...files] }, io.environment));
  if (!config) throw new Error(problems.map((problem) => formatProblem(problem)).join('\n'));
  return config.authentication_backend.file?.password ?? DEFAULT_PASSWORD_OPTIONS;
}

async function printDigest(flags: PasswordFlags, options: PasswordOptions, context: Context): Promise<void> {
  const { io, random } = context;
  if (flags.random) {
    const alphabet = alphabetOf(flags['random.charset'], flags['random.characters']);
    const password = randomText(random, alphabet, flags['random.length']);
    const digest = await hashPassword(password, options, random);
    io.out(`Random Password: ${password}\nDigest: ${digest}\n`);
    return;
  }
  const password = flags.password ?? (await askNewPassword(flags.confirm, context));
  io.out(`Digest: ${await hashPassword(password, options, random)}\n`);
}

async function askNewPassword(confirm: boolean, { io, readSecret }: Context): Promise<string> {
  const first = await readSecret('Enter Password: ', io);
  if (confirm && first.interactive) {
    const second = await readSecret('Confirm Password: ', io);
    if (second.text !== first.text) throw new Error('the two passwords are not the same');
  }
  return first.text;
}

// ---- crypto hash validate

function attachValidate(hash: Command, { io, readSecret }: Context): void {
  const validate = hash
    .command('validate')
    .description('say whether a password is that of a digest; exit code 1 if it is not')
    .argument('<digest>', 'the digest, in single quotes');
  addPasswordOptions(validate).action(
    reporting(io, async (text: string, flags: { readonly password?: string }) => {
      const digest = readDigest(text);
      const password = flags.password ?? (await readSecret('Enter Password: ', io)).text;
      const matches = await digest.matches(password);
      io.out(matches ? 'The password matches the digest.\n' : 'The password does not match the digest.\n');
      if (!matches) io.exit(1);
    }),
  );
}

function readDigest(text: string): Digest {
  try {
    return parseDigest(text);
  } catch (cause) {
    throw cause instanceof InvalidDigest
      ? new Error(`the digest cannot be used: ${cause.message}`, { cause })
      : cause;
  }
}

function addPasswordOptions(command: Command): Command {
  return command.option(
    '--password <password>',
    'the password itself; others can see it in the list of processes, so better leave it out: it is then asked for, or read from standard input',
  );
}

// ---- crypto rand

interface RandFlags {
  readonly length: number;
  readonly charset: string;
  readonly characters?: string;
  readonly file?: readonly string[];
  readonly modeFiles: number;
  readonly modeDirs: number;
}

function attachRand(command: Command, io: CliIo, random: Random): void {
  command
    .command('rand')
    .description('make a random value, such as a secret for the configuration')
    .argument('[files...]', 'files to write values to, as with --file')
    .option('-n, --length <number>', 'number of characters', toCount, 72)
    .option('-x, --charset <name>', `characters to choose from: ${charsetNames}`, toCharset, 'alphanumeric')
    .option('--characters <characters>', 'the very characters to choose from')
    .option('--file <files>', 'write one value to each of these new files instead of printing it', collect)
    .addOption(octal('--mode-files <mode>', 'mode of files that are made', 0o600))
    .addOption(octal('--mode-dirs <mode>', 'mode of folders that are made', 0o700))
    .action(
      reporting(io, async (positional: readonly string[], flags: RandFlags) => {
        const alphabet = alphabetOf(flags.charset, flags.characters);
        const files = [...positional, ...(flags.file ?? [])];
        if (files.length === 0) io.out(`Random Value: ${randomText(random, alphabet, flags.length)}\n`);
        for (const file of files) {
          writeSecret(file, randomText(random, alphabet, flags.length), flags);
          io.out(`Random value written to ${file}\n`);
        }
      }),
    );
}

/** Never writes over anything: what stands there may be a secret in use. */
function writeSecret(file: string, value: string, { modeFiles, modeDirs }: RandFlags): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: modeDirs });
    writeFileSync(file, value, { flag: 'wx', mode: modeFiles });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new Error(
      code === 'EEXIST'
        ? `${file} exists already: remove it or name another`
        : `cannot write ${file} (${code})`,
      { cause },
    );
  }
}

// ---- values of options

const charsetNames = [...CHARSETS.keys()].join(', ');

/** Several values: separated by commas, or the option given more than once. */
function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...value.split(',')];
}

function toCharset(name: string): string {
  if (!CHARSETS.has(name)) throw new InvalidArgumentError(`must be one of ${charsetNames}`);
  return name;
}

function alphabetOf(charset: string, characters: string | undefined): string {
  return characters ?? CHARSETS.get(charset) ?? '';
}

function toCount(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 0xffff_ffff) {
    throw new InvalidArgumentError('must be a whole number of at least 1');
  }
  return value;
}

function octal(flags: string, text: string, value: number): Option {
  return new Option(flags, text).default(value, `0${value.toString(8)}`).argParser((given: string) => {
    if (!/^0?[0-7]{3}$/.test(given)) throw new InvalidArgumentError('must be an octal mode such as 0600');
    return Number.parseInt(given, 8);
  });
}

/** Whatever goes wrong is said on a line, with exit code 1. */
function reporting<A extends readonly unknown[]>(
  io: CliIo,
  action: (...args: A) => Promise<void>,
): (...args: A) => Promise<void> {
  return async (...args) => {
    try {
      await action(...args);
    } catch (error) {
      io.err(`${messageOf(error)}\n`);
      io.exit(1);
    }
  };
}
