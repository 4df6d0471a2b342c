import { readFileSync } from 'node:fs';
import { Command } from 'commander';

import { totpSchema } from '../factors/config.ts';
import {
  createTotpSecret,
  formatTotpSecret,
  parseTotpSecret,
  type TotpParameters,
  totpUrl,
} from '../factors/totp.ts';
import { encodePng } from '../lib/png.ts';
import { createQrCode } from '../lib/qr-code.ts';
import {
  createTotpCredentials,
  type StoredTotpCredential,
  type TotpCredentials,
} from '../storage/totp-credentials.ts';
import { type AuthenticatorExchange, createAuthenticatorExchange } from './exchange-authenticator.ts';
import type { CliIo } from './io.ts';
import { type NewFile, refuseExisting, writeFiles } from './new-files.ts';
import type { OpenSharedSessions } from './shared-sessions.ts';
import {
  addStorageOptions,
  CommandFailure,
  type StorageOptions,
  type StorageSetting,
  withStorage,
} from './storage-options.ts';
import { formatTotpExport, readTotpExport } from './totp-export.ts';

interface TotpOptions extends StorageOptions {
  readonly secret?: string;
  readonly secretSize?: string;
  readonly issuer?: string;
  readonly algorithm?: string;
  readonly digits?: string;
  readonly period?: string;
  readonly force?: true;
  readonly path?: string;
  readonly file: string;
  readonly directory: string;
}

/** Pixels for each module of a QR code. */
const PNG_SCALE = 6;
const PAGE = 100;

/** `storage user totp`: people's authenticators. */
export function userTotpCommand(io: CliIo, open: OpenSharedSessions): Command {
  const sub = (name: string, description: string): Command =>
    addStorageOptions(new Command(name)).description(description);
  const exported = (name: string, description: string, file: string, format: Format): Command =>
    sub(name, description)
      .option('-f, --file <path>', 'the file to write', file)
      .action((options: TotpOptions) => exportTo(format, options, io));
  return new Command('totp')
    .enablePositionalOptions()
    .description('make, remove, import and export authenticators (time-based one-time passwords)')
    .addCommand(
      sub('generate', 'make an authenticator for a user, as the user backend spells the name')
        .argument('<user>')
        .option('--secret <base32>', 'the secret; default: a random one')
        .option('--secret-size <bytes>', 'size of a random secret; default: totp.secret_size')
        .option('--issuer <name>', 'what the app shows; default: totp.issuer')
        .option('--algorithm <name>', 'SHA1, SHA256 or SHA512; default: totp.algorithm')
        .option('--digits <number>', '6 or 8; default: totp.digits')
        .option('--period <seconds>', 'default: totp.period')
        .option('-f, --force', "replace the user's present one")
        .option('-p, --path <file>', 'write the QR code as a PNG image, too')
        .action((user: string, options: TotpOptions) => generate(user, options, io, open)),
    )
    .addCommand(
      sub('delete', 'remove the authenticator of a user')
        .argument('<user>')
        .action((user: string, options: TotpOptions) => remove(user, options, io, open)),
    )
    .addCommand(
      sub('import', 'add the authenticators of a file that "export" wrote')
        .argument('<file>')
        .option('--force', 'replace those that people have')
        .action((file: string, options: TotpOptions) => importFrom(file, options, io, open)),
    )
    .addCommand(
      exported(
        'export',
        'write all authenticators, with their secrets, as YAML',
        'sallyport.export.totp.yml',
        'yaml',
      )
        .enablePositionalOptions()
        .addCommand(exported('csv', 'as CSV, with secrets in Base32', 'sallyport.export.totp.csv', 'csv'))
        .addCommand(
          sub('png', 'as one QR code for each user, in a folder')
            .option('-d, --directory <folder>', 'the folder to write to', 'sallyport.export.totp')
            .action((options: TotpOptions) => exportTo('png', options, io)),
        )
        .addCommand(
          sub('uri', 'print the otpauth: addresses').action((options: TotpOptions) =>
            exportTo('uri', options, io),
          ),
        ),
    );
}

type Format = 'yaml' | 'csv' | 'png' | 'uri';

async function withCredentials(
  options: StorageOptions,
  io: CliIo,
  open: OpenSharedSessions,
  run: (totp: TotpCredentials, exchange: AuthenticatorExchange, setting: StorageSetting) => Promise<void>,
): Promise<void> {
  await withStorage(options, io, async (storage, setting) => {
    const exchange = createAuthenticatorExchange({ storage, setting, io, open });
    try {
      await run(createTotpCredentials(storage), exchange, setting);
    } finally {
      await exchange.close();
    }
  });
}

/** False for who has one already, unless that is to be replaced. */
async function put(
  credential: StoredTotpCredential,
  totp: TotpCredentials,
  exchange: AuthenticatorExchange,
  isForced = false,
): Promise<boolean> {
  const { username } = credential;
  if (!isForced && (await totp.has(username))) return false;
  return exchange.run(username, 'factor-added', async () => {
    if (!isForced) return totp.insert(credential);
    await totp.replace(credential);
    return true;
  });
}

async function generate(
  username: string,
  options: TotpOptions,
  io: CliIo,
  open: OpenSharedSessions,
): Promise<void> {
  await withCredentials(options, io, open, async (totp, exchange, { config, deps }) => {
    const defaults = config.totp ?? totpSchema.parse({});
    const credential: StoredTotpCredential = {
      username,
      createdAt: deps.clock.now(),
      lastUsedAt: null,
      issuer: options.issuer ?? defaults.issuer,
      algorithm: oneOf(
        'algorithm',
        options.algorithm?.toUpperCase(),
        ['SHA1', 'SHA256', 'SHA512'],
        defaults.algorithm,
      ),
      digits: oneOf(
        'digits',
        options.digits === undefined ? undefined : Number(options.digits),
        [6, 8],
        defaults.digits,
      ),
      period: wholeNumber('period', options.period, 15, 3600, defaults.period),
      secret:
        options.secret === undefined
          ? createTotpSecret(
              wholeNumber('secret-size', options.secretSize, 20, 256, defaults.secret_size),
              deps.random,
            )
          : parseTotpSecret(options.secret),
    };
    if (options.path !== undefined) refuseExisting([options.path], options.force);
    if (!(await put(credential, totp, exchange, options.force))) {
      throw new CommandFailure(`${username} has an authenticator already; --force replaces it`);
    }
    const url = urlOf(credential);
    if (options.path !== undefined) {
      writeFiles([{ path: options.path, text: pngOf(url), secret: true }], options.force);
      io.out(`The QR code is in ${options.path}.\n`);
    }
    io.out(`${username} has an authenticator now:\n${url}\n`);
  });
}

async function remove(
  username: string,
  options: TotpOptions,
  io: CliIo,
  open: OpenSharedSessions,
): Promise<void> {
  await withCredentials(options, io, open, async (totp, exchange) => {
    const isRemoved = await exchange.run(username, 'factor-removed', () => totp.remove(username));
    if (!isRemoved) throw new CommandFailure(`${username} has no authenticator`);
    io.out(`The authenticator of ${username} is removed.\n`);
  });
}

async function importFrom(
  file: string,
  options: TotpOptions,
  io: CliIo,
  open: OpenSharedSessions,
): Promise<void> {
  await withCredentials(options, io, open, async (totp, exchange) => {
    const credentials = readFile(file);
    const refused: string[] = [];
    for (const credential of credentials) {
      const isAdded = await put(credential, totp, exchange, options.force);
      if (!isAdded) refused.push(credential.username);
    }
    io.out(`${credentials.length - refused.length} of ${credentials.length} authenticators are imported.\n`);
    if (refused.length > 0) {
      throw new CommandFailure(
        `these have one already, which stays (--force replaces it): ${refused.join(', ')}`,
      );
    }
  });
}

function readFile(file: string): readonly StoredTotpCredential[] {
  try {
    return readTotpExport(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new CommandFailure(`cannot import ${file}: ${(error as Error).message}`, { cause: error });
  }
}

async function exportTo(format: Format, options: TotpOptions, io: CliIo): Promise<void> {
  await withStorage(options, io, async (storage) => {
    const credentials = await listAll(createTotpCredentials(storage));
    if (credentials.length === 0) throw new CommandFailure('nobody has an authenticator');
    if (format === 'uri') return io.out(credentials.map((one) => `${urlOf(one)}\n`).join(''));
    const files: readonly NewFile[] =
      format === 'png'
        ? credentials.map((one) => ({
            path: `${options.directory}/${encodeURIComponent(one.username)}.png`,
            text: pngOf(urlOf(one)),
            secret: true,
          }))
        : [
            {
              path: options.file,
              text: format === 'yaml' ? formatTotpExport(credentials) : formatCsv(credentials),
              secret: true,
            },
          ];
    refuseExisting(
      files.map(({ path }) => path),
      undefined,
    );
    writeFiles(files, undefined);
    const place = format === 'png' ? options.directory : options.file;
    io.out(`${credentials.length} authenticators are in ${place}. Whoever has it can log in with them.\n`);
  });
}

async function listAll(totp: TotpCredentials): Promise<readonly StoredTotpCredential[]> {
  const all: StoredTotpCredential[] = [];
  for (;;) {
    const page = await totp.list(all.at(-1)?.username ?? null, PAGE);
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}

const urlOf = (credential: StoredTotpCredential): string =>
  totpUrl(credential, credential.issuer, credential.username);

const pngOf = (url: string): Buffer => encodePng(createQrCode(url).modules, PNG_SCALE);

/** RFC 4180; a leading sign of a formula is no danger here: every field is quoted, and names come from the backend. */
function formatCsv(credentials: readonly StoredTotpCredential[]): string {
  const rows = [
    ['issuer', 'username', 'algorithm', 'digits', 'period', 'secret'],
    ...credentials.map(({ issuer, username, algorithm, digits, period, secret }) => [
      issuer,
      username,
      algorithm,
      String(digits),
      String(period),
      formatTotpSecret(secret),
    ]),
  ];
  return rows
    .map((row) => `${row.map((field) => `"${field.replaceAll('"', '""')}"`).join(',')}\r\n`)
    .join('');
}

function oneOf<T extends TotpParameters[keyof TotpParameters]>(
  option: string,
  value: string | number | undefined,
  allowed: readonly T[],
  otherwise: T,
): T {
  if (value === undefined) return otherwise;
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw new CommandFailure(`--${option} must be one of ${allowed.join(', ')}`);
  return found;
}

function wholeNumber(
  option: string,
  text: string | undefined,
  least: number,
  most: number,
  otherwise: number,
): number {
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  throw new CommandFailure(`--${option} must be a whole number from ${least} to ${most}`);
}
