import { isIP } from 'node:net';
import type { ConnectionOptions, SecureVersion } from 'node:tls';
import type { tlsSchema } from './tls-config.ts';

export type TlsConfig = (typeof tlsSchema)['_output'];

/**
 * What `tls` of the configuration means to node: the certificate must be of a trusted authority and carry `server_name`,
 * by default the host of the address; only `skip_verify` switches that off.
 */
export function tlsOptions(tls: TlsConfig, host: string): ConnectionOptions {
  const name = tls.server_name ?? host;
  return {
    host: name,
    // An address must not stand in SNI (RFC 6066 section 3).
    ...(isIP(name) === 0 ? { servername: name } : {}),
    rejectUnauthorized: !tls.skip_verify,
    minVersion: versions[tls.minimum_version],
    maxVersion: versions[tls.maximum_version],
    // OpenSSL allows the digests of TLS 1.0 and 1.1 at this level only.
    ...(/1\.[01]$/.test(tls.minimum_version) ? { ciphers: 'DEFAULT@SECLEVEL=0' } : {}),
    ...(tls.certificate_chain === undefined ? {} : { cert: tls.certificate_chain }),
    ...(tls.private_key === undefined ? {} : { key: tls.private_key }),
  };
}

const versions: Readonly<Record<TlsConfig['minimum_version'], SecureVersion>> = {
  'TLS1.0': 'TLSv1',
  'TLS1.1': 'TLSv1.1',
  'TLS1.2': 'TLSv1.2',
  'TLS1.3': 'TLSv1.3',
};
