import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachCryptoCertificates, certificatesCommand } from '../../../src/cli/certificates.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-certificates-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

interface Outcome {
  code: number;
  out: string;
  err: string;
}

/** The command line as a user types it; `@` stands for the folder of the test. */
async function sallyport(line: string): Promise<Outcome> {
  const outcome: Outcome = { code: 0, out: '', err: '' };
  const io = {
    out: (text: string): void => {
      outcome.out += text;
    },
    err: (text: string): void => {
      outcome.err += text;
    },
    environment: {},
    exit: (code: number): never => {
      throw new Exit(code);
    },
  };
  const program = new Command('sallyport');
  program.addCommand(certificatesCommand(io));
  attachCryptoCertificates(program.command('crypto'), io);
  const settle = (command: Command): void => {
    command
      .exitOverride((error) => io.exit(error.exitCode))
      .configureOutput({ writeOut: io.out, writeErr: io.err });
    command.commands.forEach(settle);
  };
  settle(program);
  try {
    await program.parseAsync(
      line.split(' ').map((word) => word.replace('@', folder)),
      { from: 'user' },
    );
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    outcome.code = error.code;
  }
  return outcome;
}

async function done(line: string): Promise<string> {
  const { code, out, err } = await sallyport(line);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
}

const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const certificate = (name: string): X509Certificate => new X509Certificate(read(name));
const mode = (name: string): number => statSync(join(folder, name)).mode & 0o777;
const daysOf = ({ validFromDate, validToDate }: X509Certificate): number =>
  (validToDate.getTime() - validFromDate.getTime()) / 86_400_000;

describe('certificates generate', () => {
  it('makes key.pem and cert.pem: RSA 2048, one year, signed by itself', async () => {
    const out = await done(
      'certificates generate --host login.example.com,*.example.com --host 192.0.2.1 --dir @/certs',
    );
    expect(readdirSync(join(folder, 'certs')).sort()).toEqual(['cert.pem', 'key.pem']);
    const made = certificate('certs/cert.pem');
    expect(made.publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 2048 });
    expect(made.subjectAltName).toBe('DNS:login.example.com, DNS:*.example.com, IP Address:192.0.2.1');
    expect(daysOf(made)).toBe(365);
    expect(made.checkPrivateKey(createPrivateKey(read('certs/key.pem')))).toBe(true);
    expect([mode('certs/key.pem'), mode('certs/cert.pem')]).toEqual([0o600, 0o644]);
    expect(out).toContain(`Private key:  ${folder}/certs/key.pem`);
    expect(out).toContain(made.fingerprint256);
    expect(out).not.toContain('BEGIN');
  });

  it.each([
    ['--ecdsa-curve P384', { namedCurve: 'secp384r1' }],
    ['--rsa-bits 3072', { modulusLength: 3072 }],
  ])('%s', async (options, details) => {
    await done(`certificates generate --host a.example --dir @ ${options}`);
    expect(certificate('cert.pem').publicKey.asymmetricKeyDetails).toMatchObject(details);
  });

  it('takes a date, a duration, --ca and --ed25519', async () => {
    await done(
      'certificates generate --host a.example --dir @ --ed25519 --ca --start-date 2030-01-02 --duration 8760h',
    );
    const made = certificate('cert.pem');
    expect(made.publicKey.asymmetricKeyType).toBe('ed25519');
    expect(made.ca).toBe(true);
    expect(made.validFromDate.toISOString()).toBe('2030-01-02T00:00:00.000Z');
    expect(daysOf(made)).toBe(365);
  });

  it('overwrites nothing, unless forced', async () => {
    await done('certificates generate --host a.example --dir @ --ed25519');
    const before = read('key.pem');
    chmodSync(join(folder, 'key.pem'), 0o644);
    const again = await sallyport('certificates generate --host a.example --dir @ --ed25519');
    expect(again).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/key\.pem exists already.*--force/),
    });
    expect(read('key.pem')).toBe(before);
    await done('certificates generate --host a.example --dir @ --ed25519 --force');
    expect(read('key.pem')).not.toBe(before);
    expect(mode('key.pem')).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(['cert.pem', 'key.pem']);
  });

  it('leaves no key behind when the certificate cannot be written', async () => {
    writeFileSync(join(folder, 'cert.pem'), '');
    const { code, err } = await sallyport('certificates generate --host a.example --dir @ --ed25519');
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining('cert.pem exists already') });
    expect(existsSync(join(folder, 'key.pem'))).toBe(false);
    expect(
      await sallyport('certificates generate --host a.example --dir @/cert.pem/x --ed25519'),
    ).toMatchObject({
      code: 1,
      err: expect.stringMatching(/cannot write .*ENOTDIR/),
    });
  });

  it.each([
    ['', "required option '--host <hosts>' not specified"],
    ['--host a:443', "'a:443' is no host"],
    ['--host a --rsa-bits 1024', '2048'],
    ['--host a --rsa-bits many', 'at least 2048'],
    ['--host a --ecdsa-curve P224', 'must be P256, P384 or P521'],
    ['--host a --duration soon', 'must be a duration'],
    ['--host a --duration 0', 'longer than nothing'],
    ['--host a --start-date soon', 'must be a date such as'],
    ['--host a --hots b', 'Did you mean --host?'],
    ['--host a --path.ca @', 'ca.public.crt (ENOENT)'],
  ])('answers "%s" clearly', async (options, words) => {
    const { code, err, out } = await sallyport(`certificates generate --dir @ ${options}`.trim());
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain(words);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('certificates ca', () => {
  it('makes an authority that the other commands sign with', async () => {
    await done('certificates ca --dir @/ca --domains example.com,127.0.0.1 --common-name Home');
    expect(mode('ca/ca.private.pem')).toBe(0o600);
    const authority = certificate('ca/ca.public.crt');
    expect([authority.ca, authority.subject, daysOf(authority)]).toEqual([
      true,
      'O=Sallyport\nCN=Home',
      3650,
    ]);

    await done('certificates generate --host login.example.com --dir @/one --path.ca @/ca');
    await done('certificates ecdsa generate --sans login.example.com --directory @/two --path.ca @/ca');
    for (const file of ['one/cert.pem', 'two/public.crt']) {
      const made = certificate(file);
      expect([made.verify(authority.publicKey), made.checkIssued(authority), made.ca]).toEqual([
        true,
        true,
        false,
      ]);
      expect(
        execFileSync('openssl', ['verify', '-CAfile', join(folder, 'ca/ca.public.crt'), join(folder, file)], {
          encoding: 'utf8',
        }),
      ).toContain('OK');
    }
  });

  it('says what an unlimited one means', async () => {
    expect(await sallyport('certificates ca --dir @')).toMatchObject({
      code: 0,
      err: expect.stringContaining('--domains'),
    });
  });
});

describe.each(['certificates', 'crypto certificate'])('%s', (group) => {
  it.each([
    ['rsa', '--bits 3072', { modulusLength: 3072 }, 'rsa'],
    ['ecdsa', '-b P521', { namedCurve: 'secp521r1' }, 'ec'],
    ['ed25519', '', {}, 'ed25519'],
  ])('%s generate %s', async (kind, options, details, type) => {
    await done(
      `${group} ${kind} generate --common-name Login --sans a.example,192.0.2.1 -d @ ${options}`.trim(),
    );
    const made = certificate('public.crt');
    expect(made.publicKey.asymmetricKeyType).toBe(type);
    expect(made.publicKey.asymmetricKeyDetails).toMatchObject(details);
    expect(made.subject).toBe('O=Sallyport\nCN=Login');
    expect(made.checkPrivateKey(createPrivateKey(read('private.pem')))).toBe(true);
    expect(mode('private.pem')).toBe(0o600);
  });

  it.each(['rsa', 'ecdsa', 'ed25519'])('%s request', async (kind) => {
    await done(
      `${group} ${kind} request -n Login --sans a.example --duration 2y --directory @ --file.csr my.csr`,
    );
    const words = execFileSync(
      'openssl',
      ['req', '-verify', '-noout', '-text', '-in', join(folder, 'my.csr')],
      { encoding: 'utf8', stdio: 'pipe' },
    );
    expect(words).toMatch(/O = Sallyport, CN = Login[^]*DNS:a\.example/);
    expect(mode('private.pem')).toBe(0o600);
  });

  it('signs with an authority of another folder and other names', async () => {
    await done(`${group} ecdsa generate --ca -n Root -d @/root`);
    expect(readdirSync(join(folder, 'root')).sort()).toEqual(['ca.private.pem', 'ca.public.crt']);
    const line = `${group} rsa generate --sans a.example -d @ --file.private-key k.pem --file.certificate c.pem --extended-usage client-auth,serverauth`;
    await done(
      `${line} --path.ca @/root --bundles chain,priv-chain --signature SHA512 --not-before 2027-01-01T00:00:00+02:00 --not-after 2027-02-01`,
    );
    expect(readdirSync(folder).sort()).toEqual([
      'c.pem',
      'k.pem',
      'private.chain.pem',
      'public.chain.pem',
      'root',
    ]);
    const made = certificate('c.pem');
    expect(made.verify(certificate('root/ca.public.crt').publicKey)).toBe(true);
    expect(made.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1']);
    expect(made.validFromDate.toISOString()).toBe('2026-12-31T22:00:00.000Z');
    expect(made.validToDate.toISOString()).toBe('2027-02-01T00:00:00.000Z');
    expect(read('public.chain.pem')).toBe(read('c.pem') + read('root/ca.public.crt'));
    expect(read('private.chain.pem')).toBe(read('k.pem') + read('public.chain.pem'));
    expect([mode('private.chain.pem'), mode('public.chain.pem')]).toEqual([0o600, 0o644]);
  });

  it.each([
    ['rsa', 'BEGIN RSA PRIVATE KEY'],
    ['ecdsa', 'BEGIN EC PRIVATE KEY'],
  ])('%s writes the older form as well', async (kind, header) => {
    await done(`${group} ${kind} generate --sans a.example -d @ --legacy`);
    expect(read('private.legacy.pem')).toContain(header);
    expect(mode('private.legacy.pem')).toBe(0o600);
    expect(certificate('public.crt').checkPrivateKey(createPrivateKey(read('private.legacy.pem')))).toBe(
      true,
    );
  });

  it.each([
    ['--signature SHA1', 'SHA256, SHA384 or SHA512'],
    ['--bundles all', "'all' is no bundle"],
    ['--extended-usage tls', "'tls' is no extended usage"],
    ['--country Germany', "'Germany' is no country code"],
    ['--file.certificate private.pem', 'would be written twice'],
    ['--not-after 2020-01-01', 'end before it begins'],
  ])('answers "%s" clearly', async (options, words) => {
    const { code, err } = await sallyport(`${group} ecdsa generate -d @ ${options}`);
    expect(code).toBe(1);
    expect(err).toContain(words);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('crypto pair', () => {
  it.each([
    ['rsa', '-b 2048 --legacy', ['private.legacy.pem', 'private.pem', 'public.legacy.pem', 'public.pem']],
    [
      'ecdsa',
      '--curve P384 --legacy --file.extension.legacy old',
      ['private.old.pem', 'private.pem', 'public.pem'],
    ],
    ['ed25519', '', ['private.pem', 'public.pem']],
  ])('%s generate %s', async (kind, options, files) => {
    await done(`crypto pair ${kind} generate -d @ ${options}`.trim());
    expect(readdirSync(folder).sort()).toEqual(files);
    for (const file of files) expect(mode(file)).toBe(file.startsWith('private') ? 0o600 : 0o644);
    const [first, ...others] = files.map((file) =>
      createPublicKey(read(file)).export({ type: 'spki', format: 'pem' }),
    );
    expect(others).toEqual(others.map(() => first));
  });
});
