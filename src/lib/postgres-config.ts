import { tcpRules } from './address.ts';
import { address, duration, list, secret, section, text } from './schema.ts';
import { tlsSchema } from './tls-config.ts';

/** The keys of every section that names PostgreSQL. */
export const postgresShape = {
  address: address(tcpRules(5432)).describe('The server: `tcp://host:port` or `unix:///socket`.'),
  database: text().describe('Name of the database.'),
  username: text().describe('Who signs in.'),
  password: secret({ minimum: 0 }).optional().describe('Password.'),
  timeout: duration().prefault('5s').describe('How long connecting may take.'),
  tls: tlsSchema.optional().describe('TLS towards the server.'),
  schema: text().prefault('public').describe('Schema of the tables.'),
  servers: list(
    section({
      address: address(tcpRules(5432)).describe('The server.'),
      tls: tlsSchema.optional().describe('TLS towards this server; default: `tls` of the first.'),
    }),
  )
    .prefault([])
    .describe('Servers that are tried when the first does not answer or does not take writes.'),
};
