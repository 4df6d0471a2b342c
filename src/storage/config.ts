import { tcpRules } from '../lib/address.ts';
import { postgresShape } from '../lib/postgres-config.ts';
import { address, choice, duration, path, secret, section, text } from '../lib/schema.ts';
import { tlsSchema } from '../lib/tls-config.ts';

const mysqlSchema = section({
  address: address(tcpRules(3306)).describe('The server: `tcp://host:port` or `unix:///socket`.'),
  database: text().describe('Name of the database.'),
  username: text().describe('Who signs in.'),
  password: secret({ minimum: 0 }).optional().describe('Password.'),
  timeout: duration().prefault('5s').describe('How long connecting may take.'),
  tls: tlsSchema.optional().describe('TLS towards the server.'),
});

const postgresSchema = section({
  ...postgresShape,
  ssl: section({
    mode: choice('disable', 'require', 'verify-ca', 'verify-full')
      .prefault('disable')
      .describe('How far the certificate is checked.'),
    root_certificate: path().optional().describe('CA certificate.'),
    certificate: path().optional().describe('Client certificate.'),
    key: path().optional().describe('Private key of the client certificate.'),
  })
    .optional()
    .describe('Deprecated: use `tls`.'),
}).superRefine((postgres, context) => {
  if (postgres.tls !== undefined && postgres.ssl !== undefined) {
    context.addIssue({
      code: 'custom',
      path: ['ssl'],
      message: 'must not be combined with tls: use the latter',
    });
  }
});

/** `storage` */
export const storageSchema = section({
  encryption_key: secret({ minimum: 20 }).describe(
    'Encrypts what is kept in the database; at least 20 characters. Losing it loses every second factor.',
  ),
  local: section({ path: path().describe('File of the database.') })
    .optional()
    .describe('SQLite.'),
  mysql: mysqlSchema.optional().describe('MySQL or MariaDB.'),
  postgres: postgresSchema.optional().describe('PostgreSQL.'),
}).superRefine((storage, context) => {
  const used = (['local', 'mysql', 'postgres'] as const).filter((name) => storage[name] !== undefined);
  if (used.length !== 1) {
    const message =
      used.length === 0
        ? 'needs one of local, mysql and postgres'
        : `must have only one of ${used.join(' and ')}`;
    context.addIssue({ code: 'custom', path: [], message });
  }
});
