import { Command } from 'commander';

import { createColumnCipher } from '../storage/column-cipher.ts';
import type { Database } from '../storage/database.ts';
import { checkCanary } from '../storage/encryption-check.ts';
import { changeKey, checkValues, type EncryptionReport } from '../storage/encryption-values.ts';
import { listMigrations, migrations, versionOf } from '../storage/migrations.ts';
import { openUnprepared } from '../storage/open-storage.ts';
import { formatTable } from './format-table.ts';
import type { CliIo } from './io.ts';
import {
  addStorageOptions,
  CommandFailure,
  type StorageOptions,
  withStorageSetting,
} from './storage-options.ts';

interface EncryptionOptions extends StorageOptions {
  readonly verbose?: true;
  readonly newEncryptionKey?: string;
}

const SHORTEST_KEY = 20;

/** `storage encryption`: whether what is encrypted can be read, and a new key for it. */
export function encryptionCommand(io: CliIo): Command {
  const sub = (name: string, description: string): Command =>
    addStorageOptions(new Command(name)).description(description);
  return new Command('encryption')
    .description('check the encrypted values, or encrypt them with a new key')
    .addCommand(
      sub('check', 'try the key on every encrypted value')
        .option('--verbose', 'name the rows that cannot be decrypted')
        .action((options: EncryptionOptions) => check(options, io)),
    )
    .addCommand(
      sub('change-key', 'encrypt every value with a new key; may be stopped and run again')
        .option(
          '--new-encryption-key <key>',
          'the new key; without it, all goes from storage.accepted_encryption_keys to storage.encryption_key',
        )
        .action((options: EncryptionOptions) => change(options, io)),
    );
}

async function check(options: EncryptionOptions, io: CliIo): Promise<void> {
  await withValues(options, io, async (database, secrets, deps) => {
    const reports = await checkValues(database, createColumnCipher(secrets, deps));
    io.out(formatReports(reports));
    const lost = reports.flatMap(({ table, undecipherable }) =>
      undecipherable.map((row) => `${table}: ${row}\n`),
    );
    if (options.verbose) io.out(lost.join(''));
    if (lost.length > 0) {
      throw new CommandFailure(
        `${lost.length} values cannot be decrypted: the key is not theirs, or they were altered${options.verbose ? '' : ' (--verbose names them)'}`,
      );
    }
  });
}

async function change(options: EncryptionOptions, io: CliIo): Promise<void> {
  const next = options.newEncryptionKey;
  await withValues(options, io, async (database, secrets, deps) => {
    if (next !== undefined && next.length < SHORTEST_KEY) {
      throw new CommandFailure(`--new-encryption-key must have at least ${SHORTEST_KEY} characters`);
    }
    const cipher = createColumnCipher(next === undefined ? secrets : [next, ...secrets], deps);
    // A key that opens nothing here must not change what it can open by chance.
    await checkCanary(database, cipher);
    const reports = await changeKey(database, cipher);
    const left = reports.reduce(
      (sum, { undecipherable, previous }) => sum + undecipherable.length + previous,
      0,
    );
    if (left > 0) {
      io.out(formatReports(reports));
      throw new CommandFailure(
        `${left} values are not under the new key: run it again; what no key opens is shown by "storage encryption check"`,
      );
    }
    io.out(
      next === undefined
        ? 'Everything is encrypted with storage.encryption_key: the former keys can be removed from storage.accepted_encryption_keys.\n'
        : 'Everything is encrypted with the new key: set it as storage.encryption_key now.\n',
    );
  });
}

async function withValues(
  options: EncryptionOptions,
  io: CliIo,
  run: (
    database: Database,
    secrets: readonly [string, ...string[]],
    deps: Parameters<typeof createColumnCipher>[1],
  ) => Promise<void>,
): Promise<void> {
  await withStorageSetting(options, io, async ({ storage, deps }) => {
    const { engine, sql, database } = await openUnprepared(storage, deps);
    try {
      const version = versionOf(await listMigrations(engine, sql));
      if (version !== migrations.length) {
        throw new CommandFailure(
          `the schema has version ${version}, not ${migrations.length}: run "sallyport storage migrate up" first`,
        );
      }
      await run(database, [storage.encryption_key, ...storage.accepted_encryption_keys], deps);
    } finally {
      await database.close();
    }
  });
}

function formatReports(reports: readonly EncryptionReport[]): string {
  return formatTable([
    ['table', 'column', 'values', 'of a previous key', 'cannot be decrypted'],
    ...reports.map(({ table, column, values, previous, undecipherable }) => [
      table,
      column,
      String(values),
      String(previous),
      String(undecipherable.length),
    ]),
  ]);
}
