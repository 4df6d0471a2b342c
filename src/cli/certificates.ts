/**
 * `certificates …`, and the same under `crypto certificate …` and `crypto pair …` with the names, options and files of
 * Authelia's commands. Keys are written for their owner only (0600), and nothing is overwritten without `--force`.
 */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import {
  createAuthority,
  extendedUsages,
  generateCertificate,
  generateKeyPair,
  generateRequest,
  namedAfter,
  type Authority,
  type CertificateOptions,
  type Curve,
  type KeyKind,
  type SignatureHash,
  type Subject,
} from '../lib/certificates.ts';
import { systemClock } from '../lib/clock.ts';
import { parseDuration } from '../lib/duration.ts';
import { messageOf } from '../lib/message-of.ts';
import { systemRandom } from '../lib/random.ts';
import type { CliIo } from './io.ts';
import { codeOf, refuseExisting, writeFiles, type NewFile } from './new-files.ts';

const deps = { clock: systemClock, random: systemRandom };

export function certificatesCommand(io: CliIo): Command {
  const command = new Command('certificates').description(
    'make certificates for TLS, and an authority of your own',
  );
  attachHostCertificate(command, io);
  attachAuthority(command, io);
  attachKinds(command, io, [attachGenerate, attachRequest]);
  return command;
}

export function attachCryptoCertificates(crypto: Command, io: CliIo): void {
  const certificate = crypto.command('certificate').description('make certificates and certificate requests');
  attachKinds(certificate, io, [attachGenerate, attachRequest]);
  const pair = crypto.command('pair').description('make key pairs');
  attachKinds(pair, io, [attachPair]);
}

// --- kinds of keys --------------------------------------------------------------------------------------------------

interface KeyOptions {
  bits?: number;
  curve?: Curve;
}

interface Kind {
  readonly name: string;
  readonly title: string;
  /** The encoding of private keys before PKCS #8, if there is one. */
  readonly legacy?: 'pkcs1' | 'sec1';
  addOption(command: Command): void;
  key(options: KeyOptions): KeyKind;
}

const kinds: readonly Kind[] = [
  {
    name: 'rsa',
    title: 'RSA',
    legacy: 'pkcs1',
    addOption: (command) => command.option('-b, --bits <number>', 'length of the key', parseBits, 2048),
    key: ({ bits = 2048 }) => ({ type: 'rsa', bits }),
  },
  {
    name: 'ecdsa',
    title: 'ECDSA',
    legacy: 'sec1',
    addOption: (command) => command.option('-b, --curve <name>', 'P256, P384 or P521', parseCurve, 'P-256'),
    key: ({ curve = 'P-256' }) => ({ type: 'ecdsa', curve }),
  },
  { name: 'ed25519', title: 'Ed25519', addOption: () => undefined, key: () => ({ type: 'ed25519' }) },
];

function attachKinds(
  parent: Command,
  io: CliIo,
  attach: readonly ((group: Command, kind: Kind, io: CliIo) => void)[],
): void {
  for (const kind of kinds) {
    const group = parent.command(kind.name).description(`With an ${kind.title} key`);
    for (const one of attach) one(group, kind, io);
  }
}

// --- commands -------------------------------------------------------------------------------------------------------

interface HostOptions {
  host: string[];
  dir: string;
  ca?: true;
  duration: number;
  startDate?: number;
  rsaBits: number;
  ecdsaCurve?: Curve;
  ed25519?: true;
  'path.ca'?: string;
  force?: true;
}

function attachHostCertificate(parent: Command, io: CliIo): void {
  parent
    .command('generate')
    .description('make a certificate for some hosts: key.pem and cert.pem, RSA, signed by itself, for a year')
    .requiredOption('--host <hosts>', 'names, wildcards and IP addresses, separated by commas', collect)
    .option('--dir <folder>', 'where the files go', '.')
    .option('--ca', 'make a certificate that may sign others')
    .option('--duration <duration>', 'how long it is valid', duration, parseDuration('1y'))
    .option('--start-date <date>', 'when it begins to be valid (now)', parseDate)
    .option('--rsa-bits <number>', 'length of the RSA key', parseBits, 2048)
    .option('--ecdsa-curve <name>', 'an ECDSA key instead: P256, P384 or P521', parseCurve)
    .option('--ed25519', 'an Ed25519 key instead')
    .option('--path.ca <folder>', 'let the authority sign that `certificates ca` made there')
    .option('--force', 'replace files that exist')
    .action(
      reporting(io, async (options: HostOptions) => {
        const { host, dir, ecdsaCurve } = options;
        const files = { key: join(dir, 'key.pem'), certificate: join(dir, 'cert.pem') };
        refuseExisting(Object.values(files), options.force);
        const issuer = options['path.ca'] === undefined ? undefined : readAuthority(options['path.ca']);
        const notBefore = options.startDate ?? deps.clock.now();
        let key: KeyKind = { type: 'rsa', bits: options.rsaBits };
        if (options.ed25519) key = { type: 'ed25519' };
        if (ecdsaCurve !== undefined) key = { type: 'ecdsa', curve: ecdsaCurve };
        const made = await generateCertificate(
          {
            key,
            subject: namedAfter(host),
            hosts: host,
            notBefore,
            notAfter: notBefore + options.duration,
            ...(options.ca ? { authority: {} } : {}),
            ...(issuer === undefined ? {} : { issuer }),
          },
          deps,
        );
        writeFiles(
          [
            { path: files.key, text: made.privateKey, secret: true },
            { path: files.certificate, text: made.certificate },
          ],
          options.force,
        );
        io.out(describeCertificate(made.certificate, issuer) + describeFiles(files.key, files.certificate));
      }),
    );
}

const authorityFiles = { certificate: 'ca.public.crt', privateKey: 'ca.private.pem' } as const;

interface AuthorityCommandOptions {
  dir: string;
  domains?: string[];
  commonName?: string;
  duration: number;
  force?: true;
}

function attachAuthority(parent: Command, io: CliIo): void {
  parent
    .command('ca')
    .description(
      'make a local certificate authority: ca.public.crt to be trusted, ca.private.pem to sign with --path.ca',
    )
    .option('--dir <folder>', 'where the files go', '.')
    .option(
      '--domains <names>',
      'all that it may sign for: domains, IP addresses and networks, separated by commas',
      collect,
    )
    .option('-n, --common-name <name>', 'the name that it shows')
    .option('--duration <duration>', 'how long it is valid', duration, parseDuration('10y'))
    .option('--force', 'replace files that exist')
    .action(
      reporting(io, async ({ dir, domains, commonName, duration, force }: AuthorityCommandOptions) => {
        const files = {
          key: join(dir, authorityFiles.privateKey),
          certificate: join(dir, authorityFiles.certificate),
        };
        refuseExisting(Object.values(files), force);
        const made = await createAuthority(
          {
            durationMs: duration,
            ...(commonName === undefined ? {} : { commonName }),
            ...(domains === undefined ? {} : { permitted: domains }),
          },
          deps,
        );
        writeFiles(
          [
            { path: files.key, text: made.privateKey, secret: true },
            { path: files.certificate, text: made.certificate },
          ],
          force,
        );
        io.out(describeCertificate(made.certificate) + describeFiles(files.key, files.certificate));
        if (domains === undefined) {
          io.err(
            'Who has its key can pass for any site to those who trust it; --domains would limit that to yours.\n',
          );
        }
      }),
    );
}

interface SubjectOptions extends KeyOptions {
  commonName?: string;
  organization?: string[];
  organizationalUnit?: string[];
  country?: string[];
  province?: string[];
  locality?: string[];
  streetAddress?: string[];
  postcode?: string[];
  sans?: string[];
  signature: SignatureHash;
  directory: string;
  'file.privateKey'?: string;
  legacy?: true;
  'file.extension.legacy': string;
  force?: true;
}

interface GenerateOptions extends SubjectOptions {
  ca?: true;
  'path.ca'?: string;
  'file.caCertificate': string;
  'file.caPrivateKey': string;
  'file.certificate'?: string;
  bundles?: string[];
  'file.bundle.chain': string;
  'file.bundle.privChain': string;
  extendedUsage?: string[];
  duration: number;
  notBefore?: number;
  notAfter?: number;
}

function attachGenerate(group: Command, kind: Kind, io: CliIo): void {
  const command = group.command('generate').description(`Make an ${kind.title} key and a certificate of it`);
  addSubjectOptions(command, kind);
  addValidityOptions(command)
    .option('--ca', 'make a certificate that may sign others')
    .option('--path.ca <folder>', 'let the authority sign whose files are there; else it signs itself')
    .option('--file.ca-certificate <name>', 'certificate of that authority', authorityFiles.certificate)
    .option('--file.ca-private-key <name>', 'private key of that authority', authorityFiles.privateKey)
    .option(
      '--file.certificate <name>',
      'file of the certificate (default: "public.crt", "ca.public.crt" with --ca)',
    )
    .option('--extended-usage <names>', `what it is for: ${Object.keys(extendedUsages).join(', ')}`, collect)
    .option('--bundles <names>', 'files to make as well: chain, priv-chain', collect)
    .option(
      '--file.bundle.chain <name>',
      'file of the certificate and that of the authority',
      'public.chain.pem',
    )
    .option(
      '--file.bundle.priv-chain <name>',
      'file of the private key and both certificates',
      'private.chain.pem',
    )
    .action(
      reporting(io, async (options: GenerateOptions) => {
        const at = (name: string): string => join(options.directory, name);
        const key = at(
          options['file.privateKey'] ?? (options.ca ? authorityFiles.privateKey : 'private.pem'),
        );
        const certificate = at(
          options['file.certificate'] ?? (options.ca ? authorityFiles.certificate : 'public.crt'),
        );
        const bundles = (options.bundles ?? []).map((name) => bundleOf(name, options));
        const legacy = legacyOf(kind, options, key);
        refuseExisting([key, certificate, ...legacy, ...bundles.map(({ file }) => at(file))], options.force);

        const issuer =
          options['path.ca'] === undefined
            ? undefined
            : readAuthority(options['path.ca'], options['file.caCertificate'], options['file.caPrivateKey']);
        const notBefore = options.notBefore ?? deps.clock.now();
        const certificateOptions: CertificateOptions = {
          key: kind.key(options),
          subject: subjectOf(options),
          hosts: options.sans ?? [],
          hash: options.signature,
          notBefore,
          notAfter: options.notAfter ?? notBefore + options.duration,
          ...(options.ca ? { authority: {} } : {}),
          ...(options.extendedUsage === undefined ? {} : { extendedUsage: options.extendedUsage }),
          ...(issuer === undefined ? {} : { issuer }),
        };
        const made = await generateCertificate(certificateOptions, deps);
        const chain = made.certificate + (issuer?.certificate ?? '');
        writeFiles(
          [
            { path: key, text: made.privateKey, secret: true },
            { path: certificate, text: made.certificate },
            ...legacy.map((path) => legacyKey(kind, path, made.privateKey)),
            ...bundles.map(({ file, secret }) => ({
              path: at(file),
              text: secret ? made.privateKey + chain : chain,
              secret,
            })),
          ],
          options.force,
        );
        io.out(
          describeCertificate(made.certificate, issuer) +
            describeFiles(key, certificate, [...legacy, ...bundles.map(({ file }) => at(file))]),
        );
      }),
    );
}

function attachRequest(group: Command, kind: Kind, io: CliIo): void {
  const command = group
    .command('request')
    .description(`Make an ${kind.title} key and a request that an authority can sign`);
  addSubjectOptions(command, kind);
  // A request has no dates; they are taken, as Authelia takes them, so that a line that is used for both goes on working.
  addValidityOptions(command)
    .option('--file.csr <name>', 'file of the request', 'request.csr')
    .action(
      reporting(io, async (options: SubjectOptions & { 'file.csr': string }) => {
        const key = join(options.directory, options['file.privateKey'] ?? 'private.pem');
        const file = join(options.directory, options['file.csr']);
        const legacy = legacyOf(kind, options, key);
        refuseExisting([key, file, ...legacy], options.force);
        const made = await generateRequest({
          key: kind.key(options),
          subject: subjectOf(options),
          hosts: options.sans ?? [],
          hash: options.signature,
        });
        writeFiles(
          [
            { path: key, text: made.privateKey, secret: true },
            { path: file, text: made.request },
            ...legacy.map((path) => legacyKey(kind, path, made.privateKey)),
          ],
          options.force,
        );
        io.out(
          `Request for ${(options.sans ?? []).join(', ') || 'no hosts'}\n${describeFiles(key, file, legacy, 'Request')}`,
        );
      }),
    );
}

interface PairOptions extends KeyOptions {
  directory: string;
  'file.privateKey': string;
  'file.publicKey': string;
  legacy?: true;
  'file.extension.legacy': string;
  force?: true;
}

function attachPair(group: Command, kind: Kind, io: CliIo): void {
  const command = group.command('generate').description(`Make an ${kind.title} key pair`);
  kind.addOption(command);
  addLegacyOptions(command, kind)
    .option('-d, --directory <folder>', 'where the files go', '.')
    .option('--file.private-key <name>', 'file of the private key', 'private.pem')
    .option('--file.public-key <name>', 'file of the public key', 'public.pem')
    .option('--force', 'replace files that exist')
    .action(
      reporting(io, async (options: PairOptions) => {
        const key = join(options.directory, options['file.privateKey']);
        const publicKey = join(options.directory, options['file.publicKey']);
        const legacy = legacyOf(kind, options, key);
        // Public keys had an encoding of their own for RSA only.
        const legacyPublic = kind.legacy === 'pkcs1' ? legacyOf(kind, options, publicKey) : [];
        refuseExisting([key, publicKey, ...legacy, ...legacyPublic], options.force);
        const made = await generateKeyPair(kind.key(options));
        writeFiles(
          [
            { path: key, text: made.privateKey, secret: true },
            { path: publicKey, text: made.publicKey },
            ...legacy.map((path) => legacyKey(kind, path, made.privateKey)),
            ...legacyPublic.map((path) => ({
              path,
              text: createPublicKey(made.publicKey).export({ type: 'pkcs1', format: 'pem' }),
            })),
          ],
          options.force,
        );
        io.out(describeFiles(key, publicKey, [...legacy, ...legacyPublic], 'Public key'));
      }),
    );
}

// --- options --------------------------------------------------------------------------------------------------------

function addSubjectOptions(command: Command, kind: Kind): void {
  kind.addOption(command);
  addLegacyOptions(command, kind)
    .option('-n, --common-name <name>', 'subject: common name')
    .option('-o, --organization <names>', 'subject: organization (default: "Sallyport")', collect)
    .option('--organizational-unit <names>', 'subject: organizational unit', collect)
    .option('--country <codes>', 'subject: country', collect)
    .option('--province <names>', 'subject: province', collect)
    .option('-l, --locality <names>', 'subject: locality', collect)
    .option('-s, --street-address <names>', 'subject: street address', collect)
    .option('-p, --postcode <codes>', 'subject: postcode', collect)
    .option(
      '--sans <hosts>',
      'names, wildcards and IP addresses that it is for, separated by commas',
      collect,
    )
    .option('--signature <hash>', 'SHA256, SHA384 or SHA512', parseHash, 'SHA-256')
    .option('-d, --directory <folder>', 'where the files go', '.')
    .option(
      '--file.private-key <name>',
      'file of the private key (default: "private.pem", "ca.private.pem" with --ca)',
    )
    .option('--force', 'replace files that exist');
}

function addValidityOptions(command: Command): Command {
  return command
    .option('--duration <duration>', 'how long it is valid', duration, parseDuration('1y'))
    .option('--not-before <date>', 'when it begins to be valid (now)', parseDate)
    .option('--not-after <date>', 'when it ends to be valid, instead of --duration', parseDate);
}

function addLegacyOptions(command: Command, kind: Kind): Command {
  if (kind.legacy === undefined) return command;
  return command
    .option(
      '--legacy',
      `write the key in the older form (${kind.legacy === 'pkcs1' ? 'PKCS #1' : 'SEC 1'}) as well`,
    )
    .option(
      '--file.extension.legacy <text>',
      'what the names of those files have before their extension',
      'legacy',
    );
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, ...value.split(',').map((item) => item.trim())].filter((item) => item !== '');
}

function duration(value: string): number {
  let length = 0;
  try {
    length = parseDuration(value);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
  if (length <= 0) throw new InvalidArgumentError('must be longer than nothing');
  return length;
}

function parseBits(value: string): number {
  if (!/^\d{4,5}$/.test(value)) throw new InvalidArgumentError('must be a number of bits, at least 2048');
  return Number(value);
}

function parseCurve(value: string): Curve {
  const match = /^P-?(256|384|521)$/i.exec(value);
  if (match === null) throw new InvalidArgumentError('must be P256, P384 or P521');
  return `P-${match[1]}` as Curve;
}

function parseHash(value: string): SignatureHash {
  const match = /^SHA-?(256|384|512)$/i.exec(value);
  if (match === null)
    throw new InvalidArgumentError('must be SHA256, SHA384 or SHA512 (nothing accepts SHA1 any more)');
  return `SHA-${match[1]}` as SignatureHash;
}

/** Epoch milliseconds. A date without a zone is UTC; a number counts seconds. */
function parseDate(value: string): number {
  const text = value.trim();
  if (/^\d{9,11}$/.test(text)) return Number(text) * 1000;
  const isIso = /^\d{4}-\d\d-\d\d/.test(text);
  const hasZone = /(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$/.test(text) && (!isIso || text.length > 10);
  const plain = isIso ? text.replace(' ', 'T') : text;
  const time = Date.parse(hasZone || plain.length === 10 ? plain : `${plain}${isIso ? 'Z' : ' UTC'}`);
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError(
      'must be a date such as 2026-11-21, 2026-11-21T12:00:00Z or "Jan 2 15:04:05 2026"',
    );
  }
  return time;
}

function subjectOf(options: SubjectOptions): Subject {
  const { organizationalUnit, country, province, locality, streetAddress, postcode, commonName } = options;
  return {
    organization: options.organization ?? ['Sallyport'],
    ...(commonName === undefined ? {} : { commonName }),
    ...(organizationalUnit === undefined ? {} : { organizationalUnit }),
    ...(country === undefined ? {} : { country }),
    ...(province === undefined ? {} : { province }),
    ...(locality === undefined ? {} : { locality }),
    ...(streetAddress === undefined ? {} : { streetAddress }),
    ...(postcode === undefined ? {} : { postcode }),
  };
}

function bundleOf(name: string, options: GenerateOptions): { file: string; secret: boolean } {
  if (name === 'chain') return { file: options['file.bundle.chain'], secret: false };
  if (name === 'priv-chain' || name === 'privkey-chain')
    return { file: options['file.bundle.privChain'], secret: true };
  throw new Error(`--bundles: '${name}' is no bundle: chain, priv-chain`);
}

function readAuthority(
  folder: string,
  certificate: string = authorityFiles.certificate,
  privateKey: string = authorityFiles.privateKey,
): Authority {
  const text = (name: string): string => {
    try {
      return readFileSync(join(folder, name), 'utf8');
    } catch (error) {
      throw new Error(
        `--path.ca: cannot read ${join(folder, name)} (${codeOf(error)}); \`certificates ca\` makes an authority`,
        {
          cause: error,
        },
      );
    }
  };
  return { certificate: text(certificate), privateKey: text(privateKey) };
}

/** The names of files in the older form: `private.pem` has `private.legacy.pem` beside it. */
function legacyOf(
  kind: Kind,
  options: { legacy?: true; 'file.extension.legacy': string },
  path: string,
): string[] {
  if (kind.legacy === undefined || options.legacy === undefined) return [];
  const extension = extname(path);
  return [
    join(dirname(path), `${basename(path, extension)}.${options['file.extension.legacy']}${extension}`),
  ];
}

function legacyKey(kind: Kind, path: string, privateKey: string): NewFile {
  const text = createPrivateKey(privateKey).export({ type: kind.legacy ?? 'pkcs1', format: 'pem' });
  return { path, text, secret: true };
}

// --- words ----------------------------------------------------------------------------------------------------------

function describeCertificate(pem: string, issuer?: Authority): string {
  const certificate = new X509Certificate(pem);
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  const size = asymmetricKeyDetails?.modulusLength ?? asymmetricKeyDetails?.namedCurve ?? '';
  const rows: readonly (readonly [string, string])[] = [
    ['Subject', oneLine(certificate.subject ?? '') || '-'],
    ['Hosts', certificate.subjectAltName ?? '-'],
    ['Signed by', issuer === undefined ? 'itself' : oneLine(certificate.issuer)],
    ['Authority', certificate.ca ? 'yes' : 'no'],
    ['Valid', `${certificate.validFromDate.toISOString()} to ${certificate.validToDate.toISOString()}`],
    ['Key', `${asymmetricKeyType ?? ''} ${size}`.trim()],
    ['Serial', certificate.serialNumber],
    ['SHA-256', certificate.fingerprint256],
  ];
  return `Certificate\n${rows.map(([label, value]) => row(label, value)).join('')}`;
}

function describeFiles(
  key: string,
  other: string,
  more: readonly string[] = [],
  label = 'Certificate',
): string {
  return `Files\n${row('Private key', key)}${row(label, other)}${more.map((path) => row('Also', path)).join('')}`;
}

const oneLine = (name: string): string => name.replaceAll('\n', ', ');
const row = (label: string, value: string): string => `  ${`${label}:`.padEnd(14)}${value}\n`;

/** Whatever goes wrong is one line for the user, and exit code 1. */
function reporting<T>(io: CliIo, action: (options: T) => Promise<void>): (options: T) => Promise<void> {
  return async (options) => {
    try {
      await action(options);
    } catch (error) {
      io.err(`${messageOf(error)}\n`);
      io.exit(1);
    }
  };
}
