/**
 * Makes keys, certificates, certificate requests and small certificate authorities. Everything comes and goes as PEM
 * text; files are the caller's. The library that encodes certificates is loaded at the first use only.
 */
import { createPrivateKey, KeyObject, X509Certificate, type webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import type * as Library from '@peculiar/x509';
import type { Clock } from './clock.ts';
import { canonicalAddress, parseNetwork } from './ip-network.ts';
import type { Random } from './random.ts';

type X509 = typeof Library;

export type Curve = 'P-256' | 'P-384' | 'P-521';
/** `bits` is at least 2048. */
export type KeyKind = { type: 'rsa'; bits: number } | { type: 'ecdsa'; curve: Curve } | { type: 'ed25519' };
export type SignatureHash = 'SHA-256' | 'SHA-384' | 'SHA-512';

export interface Subject {
  readonly commonName?: string;
  readonly organization?: readonly string[];
  readonly organizationalUnit?: readonly string[];
  /** Two-letter codes. */
  readonly country?: readonly string[];
  readonly province?: readonly string[];
  readonly locality?: readonly string[];
  readonly streetAddress?: readonly string[];
  readonly postcode?: readonly string[];
}

/** A private key (PKCS #8) and the certificate of its public key. */
export interface Certified {
  readonly certificate: string;
  readonly privateKey: string;
}

/** What signs certificates: treat `privateKey` accordingly. */
export type Authority = Certified;

export interface RequestOptions {
  key: KeyKind;
  subject: Subject;
  /** Names, wildcards (`*.example.com`) and addresses that the certificate is for. */
  hosts: readonly string[];
  /** Of the signature; Ed25519 has its own. */
  hash?: SignatureHash;
}

export interface CertificateOptions extends RequestOptions {
  /** Epoch milliseconds; now by default. */
  notBefore?: number;
  /** Epoch milliseconds. A certificate never outlives its issuer: a later date is brought forward. */
  notAfter: number;
  /** May sign other certificates; at most `pathLength` authorities below it. */
  authority?: { pathLength?: number; permitted?: readonly string[] };
  /** Names of `extendedUsages`, in any spelling of theirs (`server-auth`). */
  extendedUsage?: readonly string[];
  /** Who signs; the certificate signs itself without one. */
  issuer?: Authority;
}

export interface CertificateDeps {
  clock: Clock;
  random: Random;
}

/** Those of RFC 5280 section 4.2.1.12, and three for IPsec that are registered beside them. */
export const extendedUsages: Readonly<Record<string, string>> = {
  any: '2.5.29.37.0',
  serverauth: '1.3.6.1.5.5.7.3.1',
  clientauth: '1.3.6.1.5.5.7.3.2',
  codesigning: '1.3.6.1.5.5.7.3.3',
  emailprotection: '1.3.6.1.5.5.7.3.4',
  ipsecendsystem: '1.3.6.1.5.5.7.3.5',
  ipsectunnel: '1.3.6.1.5.5.7.3.6',
  ipsecuser: '1.3.6.1.5.5.7.3.7',
  timestamping: '1.3.6.1.5.5.7.3.8',
  ocspsigning: '1.3.6.1.5.5.7.3.9',
};

const yearMs = 365 * 86_400_000;

/** A key pair; the public key as SPKI, the private one as PKCS #8. */
export async function generateKeyPair(kind: KeyKind): Promise<{ privateKey: string; publicKey: string }> {
  const { privateKey, publicKey } = await newKeys(kind);
  return {
    privateKey: pemOf(privateKey),
    publicKey: KeyObject.from(publicKey).export({ type: 'spki', format: 'pem' }),
  };
}

/** Throws an Error that names what is wrong with a host, the dates or the issuer. */
export async function generateCertificate(
  options: CertificateOptions,
  deps: CertificateDeps,
): Promise<Certified> {
  const x509 = await loadX509();
  const names = hostNames(options.hosts);
  const notBefore = options.notBefore ?? deps.clock.now();
  const issuer = options.issuer === undefined ? null : await openIssuer(x509, options.issuer, options.hash);
  const notAfter = Math.min(options.notAfter, issuer?.notAfter ?? options.notAfter);
  if (notAfter <= notBefore)
    throw new Error('the certificate would end before it begins: see its dates and those of its issuer');
  if (notAfter >= Date.UTC(10_000, 0)) throw new Error('a certificate must end before the year 10000');

  const keys = await newKeys(options.key);
  const subject = subjectName(x509, options.subject);
  const subjectKeyId = await x509.SubjectKeyIdentifierExtension.create(keys.publicKey);
  const usages = options.extendedUsage ?? (options.authority === undefined ? ['serverauth'] : []);
  const extensions: Library.Extension[] = [
    new x509.BasicConstraintsExtension(options.authority !== undefined, options.authority?.pathLength, true),
    new x509.KeyUsagesExtension(keyUsage(x509, options), true),
    subjectKeyId,
    new x509.AuthorityKeyIdentifierExtension(issuer?.keyId ?? subjectKeyId.keyId),
  ];
  if (usages.length > 0) extensions.push(new x509.ExtendedKeyUsageExtension(usages.map(usageId)));
  // Without a subject the names are all that identifies it: critical then (RFC 5280 section 4.2.1.6).
  if (names.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(names, subject.isEmpty));
  if (options.authority?.permitted !== undefined) {
    extensions.push(new x509.Extension('2.5.29.30', true, nameConstraints(options.authority.permitted)));
  }
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(deps.random),
    subject: subject.name,
    issuer: issuer?.subject ?? subject.name,
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    publicKey: keys.publicKey,
    signingKey: issuer?.key ?? keys.privateKey,
    signingAlgorithm: issuer?.algorithm ?? signing(options.key.type, options.hash),
    extensions,
  });
  return { certificate: `${certificate.toString('pem')}\n`, privateKey: pemOf(keys.privateKey) };
}

/** A PKCS #10 request (RFC 2986) that somebody else's authority can sign. */
export async function generateRequest(
  options: RequestOptions,
): Promise<{ request: string; privateKey: string }> {
  const x509 = await loadX509();
  const names = hostNames(options.hosts);
  const keys = await newKeys(options.key);
  const subject = subjectName(x509, options.subject);
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: subject.name,
    keys,
    signingAlgorithm: signing(options.key.type, options.hash),
    extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, subject.isEmpty)],
  });
  return { request: `${request.toString('pem')}\n`, privateKey: pemOf(keys.privateKey) };
}

export interface AuthorityOptions {
  /** "Sallyport local authority" by default. */
  commonName?: string;
  /**
   * Domains (each with everything below it), addresses and address ranges that it may sign for. A browser that trusts it
   * then believes it about nothing else. Without them it may sign for any name.
   */
  permitted?: readonly string[];
  /** 10 years by default. */
  durationMs?: number;
}

/** An authority (ECDSA P-256) for TLS servers and clients, without authorities below it. */
export async function createAuthority(options: AuthorityOptions, deps: CertificateDeps): Promise<Authority> {
  return generateCertificate(
    {
      key: { type: 'ecdsa', curve: 'P-256' },
      subject: { commonName: options.commonName ?? 'Sallyport local authority', organization: ['Sallyport'] },
      hosts: [],
      notAfter: deps.clock.now() + (options.durationMs ?? 10 * yearMs),
      authority: {
        pathLength: 0,
        ...(options.permitted === undefined ? {} : { permitted: options.permitted }),
      },
      extendedUsage: ['serverauth', 'clientauth'],
    },
    deps,
  );
}

/** A certificate (ECDSA P-256) for a TLS server that is reached by these hosts. Lasts a year by default. */
export async function issueServerCertificate(
  authority: Authority,
  hosts: readonly string[],
  options: { durationMs?: number },
  deps: CertificateDeps,
): Promise<Certified> {
  return generateCertificate(
    {
      key: { type: 'ecdsa', curve: 'P-256' },
      subject: namedAfter(hosts),
      hosts,
      notAfter: deps.clock.now() + (options.durationMs ?? yearMs),
      issuer: authority,
    },
    deps,
  );
}

/**
 * The first host as the common name, for people to read: clients look at hosts. Not if it is too long (64 characters) or
 * an address, which OpenSSL would take for a name that an authority's limits must permit.
 */
export function namedAfter(hosts: readonly string[]): Subject {
  const [first = ''] = hosts;
  return /[a-z]/i.test(first) && !/[:[]/.test(first) && first.length <= 64
    ? { commonName: first }
    : { organization: ['Sallyport'] };
}

// --- parts ----------------------------------------------------------------------------------------------------------

let loading: Promise<X509> | undefined;
function loadX509(): Promise<X509> {
  // The decorators of the second need what the first defines.
  loading ??= import('reflect-metadata').then(() => import('@peculiar/x509'));
  return loading;
}

function newKeys(kind: KeyKind): Promise<webcrypto.CryptoKeyPair> {
  const subtle = globalThis.crypto.subtle;
  const uses: webcrypto.KeyUsage[] = ['sign', 'verify'];
  switch (kind.type) {
    case 'rsa':
      if (!Number.isInteger(kind.bits) || kind.bits < 2048 || kind.bits > 16_384) {
        throw new Error('an RSA key must have from 2048 to 16384 bits');
      }
      return subtle.generateKey(
        {
          name: 'RSASSA-PKCS1-v1_5',
          modulusLength: kind.bits,
          publicExponent: new Uint8Array([1, 0, 1]),
          hash: 'SHA-256',
        },
        true,
        uses,
      );
    case 'ecdsa':
      return subtle.generateKey({ name: 'ECDSA', namedCurve: kind.curve }, true, uses);
    case 'ed25519':
      return subtle.generateKey('Ed25519', true, uses) as Promise<webcrypto.CryptoKeyPair>;
  }
}

const pemOf = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' });

interface Signing {
  name: string;
  hash: SignatureHash;
}

function signing(type: KeyKind['type'], hash: SignatureHash = 'SHA-256'): Signing {
  return { name: { rsa: 'RSASSA-PKCS1-v1_5', ecdsa: 'ECDSA', ed25519: 'Ed25519' }[type], hash };
}

interface Issuer {
  subject: Library.Name;
  keyId: string;
  notAfter: number;
  key: webcrypto.CryptoKey;
  algorithm: Signing;
}

const kindsOfOpenSsl: Readonly<Record<string, KeyKind['type']>> = {
  rsa: 'rsa',
  ec: 'ecdsa',
  ed25519: 'ed25519',
};
const curvesOfOpenSsl: Readonly<Record<string, Curve>> = {
  prime256v1: 'P-256',
  secp384r1: 'P-384',
  secp521r1: 'P-521',
};

async function openIssuer(
  x509: X509,
  authority: Authority,
  hash: SignatureHash = 'SHA-256',
): Promise<Issuer> {
  const certificate = read('certificate', () => new X509Certificate(authority.certificate));
  const key = read('private key', () => createPrivateKey(authority.privateKey));
  if (!certificate.ca)
    throw new Error('the certificate of the authority is none of an authority (CA:TRUE is missing)');
  if (!certificate.checkPrivateKey(key))
    throw new Error('the private key of the authority does not belong to its certificate');

  const parsed = new x509.X509Certificate(authority.certificate);
  const keyId =
    parsed.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId ??
    (await x509.SubjectKeyIdentifierExtension.create(parsed.publicKey)).keyId;
  const curve = curvesOfOpenSsl[key.asymmetricKeyDetails?.namedCurve ?? ''];
  const type = kindsOfOpenSsl[key.asymmetricKeyType ?? ''];
  if (type === undefined || (type === 'ecdsa' && curve === undefined)) {
    throw new Error('the key of the authority must be RSA, Ed25519 or on the curve P-256, P-384 or P-521');
  }
  const algorithm = signing(type, hash);
  return {
    subject: parsed.subjectName,
    keyId,
    notAfter: parsed.notAfter.getTime(),
    key: key.toCryptoKey({ ...algorithm, ...(curve === undefined ? {} : { namedCurve: curve }) }, false, [
      'sign',
    ]),
    algorithm,
  };
}

function read<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new Error(`the ${what} of the authority is no PEM that can be read (an encrypted key cannot)`, {
      cause: error,
    });
  }
}

function keyUsage(x509: X509, options: CertificateOptions): number {
  const { digitalSignature, keyEncipherment, keyCertSign, cRLSign } = x509.KeyUsageFlags;
  if (options.authority !== undefined) return digitalSignature | keyCertSign | cRLSign;
  return options.key.type === 'rsa' ? digitalSignature | keyEncipherment : digitalSignature;
}

function usageId(name: string): string {
  const id = extendedUsages[name.toLowerCase().replaceAll(/[-_ ]/g, '')];
  if (id === undefined)
    throw new Error(`'${name}' is no extended usage: ${Object.keys(extendedUsages).join(', ')}`);
  return id;
}

/** Positive, 127 bits of randomness (RFC 5280 section 4.1.2.2). The high bit keeps its length. */
function serialNumber(random: Random): string {
  const bytes = random.bytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function subjectName(x509: X509, subject: Subject): { name: Library.Name; isEmpty: boolean } {
  const { commonName, country = [] } = subject;
  if (commonName !== undefined && commonName.length > 64)
    throw new Error('a common name has at most 64 characters');
  for (const code of country) {
    if (!/^[A-Z]{2}$/.test(code)) throw new Error(`'${code}' is no country code of two capital letters`);
  }
  const attributes: readonly (readonly [string, readonly string[] | undefined])[] = [
    ['ST', subject.province],
    ['L', subject.locality],
    ['2.5.4.9', subject.streetAddress],
    ['2.5.4.17', subject.postcode],
    ['O', subject.organization],
    ['OU', subject.organizationalUnit],
    ['CN', commonName === undefined ? undefined : [commonName]],
  ];
  // Typed values: the library would read quotes and a leading # in plain text as syntax.
  const params = [
    ...country.map((printableString) => ({ C: [{ printableString }] })),
    ...attributes.flatMap(([type, values = []]) =>
      values.filter((value) => value !== '').map((utf8String) => ({ [type]: [{ utf8String }] })),
    ),
  ];
  return { name: new x509.Name(params), isEmpty: params.length === 0 };
}

function hostNames(hosts: readonly string[]): { type: 'dns' | 'ip'; value: string }[] {
  return hosts.map((host) => {
    const bare = /^\[.*\]$/.test(host) ? host.slice(1, -1) : host;
    const address = canonicalAddress(bare);
    return address === null ? { type: 'dns', value: domainName(host) } : { type: 'ip', value: address };
  });
}

/** In ASCII, lower case; a `*` may stand for the first label. */
function domainName(host: string): string {
  const wildcard = host.startsWith('*.');
  const plain = wildcard ? host.slice(2) : host;
  // What is not ASCII is mapped; anything else that could vanish on the way (line ends, percent signs) is refused.
  const ascii = /^[\w.\-\u0080-\u{10ffff}]+$/u.test(plain) ? domainToASCII(plain) : '';
  const labels = ascii.split('.');
  if (
    ascii === '' ||
    ascii.length > 251 ||
    !labels.every((label) => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/.test(label)) ||
    isIP(ascii) !== 0
  ) {
    throw new Error(
      `'${host}' is no host: give a name, a wildcard such as *.example.com, or an IP address, without scheme and port`,
    );
  }
  return wildcard ? `*.${ascii}` : ascii;
}

// --- name constraints (RFC 5280 section 4.2.1.10): the library has no type for them ---------------------------------

function der(tag: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const size = content.length;
  const length = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** Kinds of names that have no permitted subtree would be unrestricted: addresses are excluded unless some are given. */
function nameConstraints(permitted: readonly string[]): Buffer {
  const ranges: Buffer[] = [];
  const domains: string[] = [];
  for (const item of permitted) {
    const range = addressRange(item);
    if (range === null) domains.push(domainName(item.replace(/^(?:\*?\.)/, '')));
    else ranges.push(range);
  }
  // A name that nobody can have, so that no domain is not every domain.
  if (domains.length === 0) domains.push('invalid');
  const excluded = [8, 32]
    .filter((size) => !ranges.some((range) => range.length === size))
    .map((size) => Buffer.alloc(size));
  const subtrees = (tag: number, names: Buffer[]): Buffer =>
    der(tag, ...names.map((name) => der(0x30, name)));
  return der(
    0x30,
    subtrees(0xa0, [
      ...domains.map((domain) => der(0x82, Buffer.from(domain, 'ascii'))),
      ...ranges.map((range) => der(0x87, range)),
    ]),
    ...(excluded.length === 0
      ? []
      : [
          subtrees(
            0xa1,
            excluded.map((range) => der(0x87, range)),
          ),
        ]),
  );
}

/** Address and mask, or null if it is no address. */
function addressRange(item: string): Buffer | null {
  if (isIP(item) === 0 && !item.includes('/')) return null;
  const { words, bits } = parseNetwork(item);
  const range = Buffer.alloc(words.length * 8);
  words.forEach((word, index) => range.writeUInt32BE(word, index * 4));
  for (let bit = 0; bit < bits; bit++) {
    const at = words.length * 4 + (bit >> 3);
    range[at] = (range[at] ?? 0) | (0x80 >> (bit & 7));
  }
  return range;
}
