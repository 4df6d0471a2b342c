import { execFile } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from './environment.ts';

const run = promisify(execFile);

export interface TestCertificate {
  /** PEM files: the certificate, its key, and both in one file. */
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly bundleFile: string;
  /** The certificate of the authority that clients trust, as PEM. */
  readonly authority: string;
  readonly authorityFile: string;
}

/** An authority that lives for a day and a certificate of it for `names`, both below `folder`. Needs openssl. */
export async function createTestCertificate(
  folder: string,
  names: readonly string[],
): Promise<TestCertificate> {
  const openssl = findProgram('openssl');
  if (openssl === undefined) throw new Error('openssl is not installed: run scripts/install-test-servers');
  const file = (name: string): string => join(folder, name);
  const request = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1'.split(' ');
  const issue = (name: string, args: readonly string[]): Promise<unknown> =>
    run(openssl, ['req', ...request, ...args, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)]);
  await issue('authority', ['-subj', '/CN=Sallyport tests', '-addext', 'keyUsage=critical,keyCertSign']);
  const alternatives = `subjectAltName=${names.map((name) => `DNS:${name}`).join(',')}`;
  const subject = [
    '-subj',
    `/CN=${names[0]}`,
    '-addext',
    alternatives,
    '-addext',
    'basicConstraints=critical,CA:FALSE',
  ];
  await issue('server', ['-CA', file('authority.crt'), '-CAkey', file('authority.key'), ...subject]);
  const [certificate, key] = await Promise.all([readFile(file('server.crt')), readFile(file('server.key'))]);
  await writeFile(file('server.pem'), Buffer.concat([certificate, key]));
  await chmod(file('server.key'), 0o644);
  return {
    certificateFile: file('server.crt'),
    keyFile: file('server.key'),
    bundleFile: file('server.pem'),
    authority: await readFile(file('authority.crt'), 'utf8'),
    authorityFile: file('authority.crt'),
  };
}
