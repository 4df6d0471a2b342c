import { choice, flag, secret, section, text } from './schema.ts';

const versions = ['TLS1.0', 'TLS1.1', 'TLS1.2', 'TLS1.3'] as const;

/** `tls` of a server that is connected to: LDAP, Redis, SQL, mail. */
export const tlsSchema = section({
  server_name: text()
    .optional()
    .describe(
      'Name that the certificate must carry and that is sent as SNI; default: the host of the address.',
    ),
  skip_verify: flag().prefault(false).describe('Accepts any certificate. Dangerous.'),
  minimum_version: choice(...versions)
    .prefault('TLS1.2')
    .describe('Oldest TLS version that is accepted.'),
  maximum_version: choice(...versions)
    .prefault('TLS1.3')
    .describe('Newest TLS version that is offered.'),
  certificate_chain: text({ name: 'PEM' }).optional().describe('Client certificate and its chain.'),
  private_key: secret().optional().describe('Private key of the client certificate, PEM.'),
}).superRefine((tls, context) => {
  const problem = (key: string, message: string): void =>
    context.addIssue({ code: 'custom', path: [key], message });
  if (versions.indexOf(tls.minimum_version) > versions.indexOf(tls.maximum_version)) {
    problem('minimum_version', 'must not be newer than maximum_version');
  }
  if (tls.certificate_chain !== undefined && tls.private_key === undefined)
    problem('private_key', 'is required with certificate_chain');
  if (tls.private_key !== undefined && tls.certificate_chain === undefined)
    problem('certificate_chain', 'is required with private_key');
});
