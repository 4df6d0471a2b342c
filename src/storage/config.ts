import { tcpRules } from '../lib/address.ts';
import { postgresShape } from '../lib/postgres-config.ts';
import { address, choice, duration, list, path, secret, section, text } from '../lib/schema.ts';
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

const day = 86_400_000;

/** How long things are kept after they are of no more use, or after they happened. */
const retentionSchema = section({
  attempts: duration({ minimum: day })
    .prefault('90d')
    .describe('Log of the tries to log in (user, address, outcome).'),
  audit: duration({ minimum: day }).prefault('365d').describe('Audit log.'),
  bans: duration().prefault('90d').describe('Bans that are over.'),
  codes: duration().prefault('7d').describe('One-time codes and reset links that are over.'),
  known_devices: duration({ minimum: day })
    .prefault('365d')
    .describe('Devices with which nobody has logged in since; after that they count as new.'),
});

/** `storage` */
export const storageSchema = section({
  encryption_key: secret({ minimum: 20 }).describe(
    'Encrypts what is kept in the database; at least 20 characters. Losing it loses every second factor.',
  ),
  accepted_encryption_keys: list(secret({ minimum: 20 }))
    .prefault([])
    .describe(
      'More keys that decrypt, while `encryption_key` encrypts: for changing it while gateways run. Put the new one here on every replica, swap the two, run `sallyport storage encryption change-key`, and drop the old one. Also one a line in the file that SALLYPORT_STORAGE_ACCEPTED_ENCRYPTION_KEYS_FILE names.',
    ),
  retention: retentionSchema.prefault({}).describe('When old records are removed.'),
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

export type StorageConfig = (typeof storageSchema)['_output'];
