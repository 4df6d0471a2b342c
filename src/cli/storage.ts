import { Command } from 'commander';

import type { CliIo } from './io.ts';
import { type OpenSharedSessions, openSharedSessions } from './shared-sessions.ts';
import { bansCommand } from './storage-bans.ts';
import { encryptionCommand } from './storage-encryption.ts';
import { migrateCommand, schemaInfoCommand } from './storage-schema.ts';
import { userTotpCommand } from './storage-user-totp.ts';

/** `sallyport storage`: what is kept in the database, beside the running gateways. */
export function storageCommand(io: CliIo, open: OpenSharedSessions = openSharedSessions): Command {
  // One command has options and commands with the same options: what stands behind a command is that command's.
  return new Command('storage')
    .enablePositionalOptions()
    .description('look after the database: schema, encryption, bans, authenticators')
    .addCommand(schemaInfoCommand(io))
    .addCommand(migrateCommand(io))
    .addCommand(encryptionCommand(io))
    .addCommand(bansCommand(io))
    .addCommand(
      new Command('user')
        .enablePositionalOptions()
        .description('what is kept of people')
        .addCommand(userTotpCommand(io, open)),
    );
}
