import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createAuthority,
  generateCertificate,
  generateKeyPair,
  generateRequest,
  issueServerCertificate,
  namedAfter,
  type Authority,
  type Certified,
  type KeyKind,
} from '../../../src/lib/certificates.ts';

const now = Date.UTC(2026, 10, 21, 12);
const day = 86_400_000;
let counter = 0;
const deps = {
  clock: { now: () => now },
  random: { bytes: (size: number) => Buffer.alloc(size, ++counter) },
};
const ecdsa: KeyKind = { type: 'ecdsa', curve: 'P-256' };
const kinds: [string, KeyKind][] = [
  ['RSA', { type: 'rsa', bits: 2048 }],
  ['P-256', ecdsa],
  ['P-384', { type: 'ecdsa', curve: 'P-384' }],
  ['P-521', { type: 'ecdsa', curve: 'P-521' }],
  ['Ed25519', { type: 'ed25519' }],
];

let folder = '';
let authority: Authority;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-certificates-'));
  authority = await createAuthority({ permitted: ['Demo.localhost', '127.0.0.0/8', '2001:db8::/33'] }, deps);
});
afterAll(() => rmSync(folder, { recursive: true }));

function save(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const text = (certificate: string): string =>
  execFileSync('openssl', ['x509', '-noout', '-text'], { input: certificate, encoding: 'utf8' });

/** What openssl, strict about RFC 5280, says about a server certificate. */
function verdict(ca: string, certificate: string): string {
  const { stdout, stderr } = spawnSync(
    'openssl',
    [
      'verify',
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-attime',
      String(now / 1000 + 60),
      '-CAfile',
      save('ca', ca),
      save('leaf', certificate),
    ],
    { encoding: 'utf8' },
  );
  return `${stdout}${stderr}`;
}

const serverOf = (hosts: string[], by: Authority = authority): Promise<Certified> =>
  issueServerCertificate(by, hosts, {}, deps);

describe('an authority', () => {
  it('is limited in every way that a certificate can say', () => {
    const certificate = new X509Certificate(authority.certificate);
    expect(certificate.ca).toBe(true);
    expect(certificate.validToDate.getTime()).toBe(now + 3650 * day);
    const words = text(authority.certificate);
    expect(words).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(words).toMatch(/Key Usage: critical\s+Digital Signature, Certificate Sign, CRL Sign/);
    expect(words).toMatch(
      /Extended Key Usage:\s+TLS Web Server Authentication, TLS Web Client Authentication/,
    );
    expect(words).toMatch(
      /Name Constraints: critical\s+Permitted:\s+DNS:demo\.localhost\s+IP:127\.0\.0\.0\/255\.0\.0\.0\s+IP:2001:DB8:0:0:0:0:0:0\/FFFF:FFFF:8000:0:0:0:0:0/,
    );
  });

  it.each([
    [['demo.localhost']],
    [['*.demo.localhost', 'a.b.demo.localhost']],
    [['127.9.9.9']],
    [['2001:db8:1::1']],
  ])('may sign for %j', async (hosts) => {
    expect(verdict(authority.certificate, (await serverOf(hosts)).certificate)).toContain(': OK');
  });

  it.each([
    [['example.com']],
    [['notdemo.localhost']],
    [['demo.localhost', 'example.com']],
    [['10.0.0.1']],
    [['2001:db8:8000::']],
  ])('is not believed about %j', async (hosts) => {
    expect(verdict(authority.certificate, (await serverOf(hosts)).certificate)).toContain(
      'permitted subtree violation',
    );
  });

  it('for domains only is believed about no address, and the other way round', async () => {
    const domains = await createAuthority({ permitted: ['*.example.com'] }, deps);
    expect(verdict(domains.certificate, (await serverOf(['a.example.com'], domains)).certificate)).toContain(
      ': OK',
    );
    expect(verdict(domains.certificate, (await serverOf(['10.0.0.1'], domains)).certificate)).toContain(
      'excluded subtree',
    );
    const addresses = await createAuthority({ permitted: ['10.0.0.1'] }, deps);
    expect(verdict(addresses.certificate, (await serverOf(['10.0.0.1'], addresses)).certificate)).toContain(
      ': OK',
    );
    expect(
      verdict(addresses.certificate, (await serverOf(['example.com'], addresses)).certificate),
    ).toContain('violation');
  });

  it('cannot make another one', async () => {
    const below = await generateCertificate(
      {
        key: ecdsa,
        subject: { commonName: 'below' },
        hosts: [],
        notAfter: now + day,
        authority: {},
        issuer: authority,
      },
      deps,
    );
    const leaf = await serverOf(['demo.localhost'], below);
    const { stderr } = spawnSync(
      'openssl',
      [
        'verify',
        '-attime',
        String(now / 1000 + 60),
        '-CAfile',
        save('root', authority.certificate),
        '-untrusted',
        save('below', below.certificate),
        save('leaf', leaf.certificate),
      ],
      { encoding: 'utf8' },
    );
    expect(stderr).toContain('path length constraint exceeded');
  });

  it('serves TLS to a client that trusts it, and to no other', async () => {
    // A real client looks at the real clock.
    const real = { ...deps, clock: { now: () => new Date().getTime() } };
    const by = await createAuthority({ permitted: ['demo.localhost'] }, real);
    const { certificate, privateKey } = await issueServerCertificate(by, ['*.demo.localhost'], {}, real);
    const server = createServer({ cert: certificate, key: privateKey }, (socket) => socket.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const ask = (servername: string, ca?: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect({ port, host: '127.0.0.1', servername, ...(ca === undefined ? {} : { ca }) });
        socket.on('data', (data) => resolve(String(data)));
        socket.on('error', (error) => resolve('code' in error ? String(error.code) : error.message));
      });
    try {
      expect(await ask('app.demo.localhost', by.certificate)).toBe('hello');
      expect(await ask('other.localhost', by.certificate)).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
      expect(await ask('app.demo.localhost')).toMatch(/UNABLE_TO_VERIFY|SELF_SIGNED/);
    } finally {
      server.close();
    }
  });
});

describe('a certificate', () => {
  it.each(kinds)('with a key of %s signs itself, and is signed', async (_, key) => {
    const own = await generateCertificate(
      { key, subject: {}, hosts: ['a.example'], notAfter: now + day, hash: 'SHA-384' },
      deps,
    );
    expect(verdict(own.certificate, own.certificate)).toContain(': OK');
    expect(new X509Certificate(own.certificate).checkPrivateKey(createPrivateKey(own.privateKey))).toBe(true);
    expect(own.privateKey).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    expect(text(own.certificate)).toMatch(/Subject Alternative Name: critical/);

    const root = await generateCertificate(
      { key, subject: { commonName: 'root' }, hosts: [], notAfter: now + day, authority: {} },
      deps,
    );
    const leaf = await serverOf(['a.example'], root);
    expect(verdict(root.certificate, leaf.certificate)).toContain(': OK');
  });

  it('says what it is told', async () => {
    const { certificate } = await generateCertificate(
      {
        key: { type: 'rsa', bits: 2048 },
        subject: {
          commonName: 'Zoë, "x" + y = z',
          organization: ['O 1', 'O 2'],
          organizationalUnit: ['OU'],
          country: ['DE'],
          province: ['P'],
          locality: ['L'],
          streetAddress: ['S 1'],
          postcode: ['12'],
        },
        hosts: ['Example.COM', '*.münchen.example', '192.0.2.1', '[2001:db8::1]', 'under_score.example'],
        notBefore: now - day,
        notAfter: now + day,
        extendedUsage: ['client-auth', 'ServerAuth'],
      },
      deps,
    );
    const parsed = new X509Certificate(certificate);
    expect(parsed.subject).toBe(
      'C=DE\nST=P\nL=L\nstreet=S 1\npostalCode=12\nO=O 1\nO=O 2\nOU=OU\nCN=Zoë\\, \\"x\\" \\+ y = z',
    );
    expect(parsed.subjectAltName).toBe(
      'DNS:example.com, DNS:*.xn--mnchen-3ya.example, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, DNS:under_score.example',
    );
    expect([parsed.validFromDate.getTime(), parsed.validToDate.getTime()]).toEqual([now - day, now + day]);
    expect(parsed.ca).toBe(false);
    expect(text(certificate)).toMatch(
      /Extended Key Usage:\s+TLS Web Client Authentication, TLS Web Server Authentication/,
    );
    expect(text(certificate)).toMatch(/Key Usage: critical\s+Digital Signature, Key Encipherment/);
  });

  it('has a positive serial number of its own', async () => {
    const serials = await Promise.all(
      [0x00, 0xff].map(async (byte) => {
        const random = { bytes: (size: number) => Buffer.alloc(size, byte) };
        const { certificate } = await issueServerCertificate(
          authority,
          ['demo.localhost'],
          {},
          { ...deps, random },
        );
        return new X509Certificate(certificate).serialNumber;
      }),
    );
    expect(serials).toEqual([`40${'00'.repeat(15)}`, `7F${'FF'.repeat(15)}`]);
  });

  it('does not outlive its issuer', async () => {
    const short = await createAuthority({ durationMs: day }, deps);
    const { certificate } = await serverOf(['a.example'], short);
    expect(new X509Certificate(certificate).validToDate.getTime()).toBe(now + day);
  });

  it.each([
    '',
    'a b',
    'https://a.example',
    'a.example:443',
    '*',
    '*.*.example',
    'a.*.example',
    '-a.example',
    'a..example',
    '1.2.3',
    '1.2.3.256',
    'a\nb',
    'a%62',
    'fe80::1%eth0',
    `${'a'.repeat(64)}.example`,
    '*.',
  ])('refuses the host %j', async (host) => {
    await expect(serverOf([host])).rejects.toThrow(`'${host}' is no host`);
  });

  it('refuses what cannot be', async () => {
    const base = { key: ecdsa, subject: {}, hosts: ['a.example'], notAfter: now + day };
    await expect(generateCertificate({ ...base, notAfter: now }, deps)).rejects.toThrow(
      'end before it begins',
    );
    await expect(generateCertificate({ ...base, notAfter: Date.UTC(10_001, 0) }, deps)).rejects.toThrow(
      'year 10000',
    );
    await expect(generateCertificate({ ...base, key: { type: 'rsa', bits: 1024 } }, deps)).rejects.toThrow(
      '2048',
    );
    await expect(generateCertificate({ ...base, subject: { country: ['de'] } }, deps)).rejects.toThrow(
      "'de' is no country",
    );
    await expect(generateCertificate({ ...base, extendedUsage: ['tls'] }, deps)).rejects.toThrow(
      "'tls' is no extended usage",
    );
    await expect(createAuthority({ permitted: ['10.0.0.0/99'] }, deps)).rejects.toThrow('10.0.0.0/99');
  });

  it('refuses an issuer that cannot sign', async () => {
    const leaf = await serverOf(['demo.localhost']);
    const other = await createAuthority({}, deps);
    await expect(serverOf(['a'], leaf)).rejects.toThrow('CA:TRUE is missing');
    await expect(serverOf(['a'], { ...authority, privateKey: other.privateKey })).rejects.toThrow(
      'does not belong',
    );
    await expect(serverOf(['a'], { ...authority, privateKey: 'x' })).rejects.toThrow(
      'private key of the authority is no PEM',
    );
    await expect(serverOf(['a'], { ...authority, certificate: '' })).rejects.toThrow(
      'certificate of the authority is no PEM',
    );
  });
});

describe('a request', () => {
  it.each(kinds)('with a key of %s is signed by that key', async (_, key) => {
    const { request, privateKey } = await generateRequest({
      key,
      subject: namedAfter(['a.example']),
      hosts: ['a.example', '192.0.2.1'],
    });
    const { stdout, stderr } = spawnSync('openssl', ['req', '-verify', '-noout', '-text'], {
      input: request,
      encoding: 'utf8',
    });
    expect(stderr).toContain('verify OK');
    expect(stdout).toContain('Subject: CN = a.example');
    expect(stdout).toContain('DNS:a.example, IP Address:192.0.2.1');
    const publicKey = execFileSync('openssl', ['req', '-noout', '-pubkey'], {
      input: request,
      encoding: 'utf8',
    });
    expect(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' })).toBe(publicKey);
  });

  it('without hosts has no extension', async () => {
    const { request } = await generateRequest({ key: ecdsa, subject: { commonName: 'x' }, hosts: [] });
    expect(
      execFileSync('openssl', ['req', '-noout', '-text'], { input: request, encoding: 'utf8' }),
    ).not.toContain('Alternative');
  });
});

describe('a key pair', () => {
  it.each(kinds)('of %s fits together', async (_, key) => {
    const { privateKey, publicKey } = await generateKeyPair(key);
    expect(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' })).toBe(publicKey);
  });
});
