import { Command } from 'commander';

import { StorageUnfit } from '../storage/errors.ts';
import { checkCanary } from '../storage/encryption-check.ts';
import {
  listMigrations,
  type MigrationRecord,
  migrateTo,
  migrations,
  versionOf,
} from '../storage/migrations.ts';
import { cipherOf, openUnprepared } from '../storage/open-storage.ts';
import { formatTable } from './format-table.ts';
import type { CliIo } from './io.ts';
import {
  addStorageOptions,
  CommandFailure,
  type StorageOptions,
  type StorageSetting,
  withStorageSetting,
} from './storage-options.ts';

type Unprepared = Awaited<ReturnType<typeof openUnprepared>>;

async function withUnprepared(
  options: StorageOptions,
  io: CliIo,
  run: (opened: Unprepared, setting: StorageSetting) => Promise<void>,
): Promise<void> {
  await withStorageSetting(options, io, async (setting) => {
    const opened = await openUnprepared(setting.storage, setting.deps);
    try {
      await run(opened, setting);
    } finally {
      await opened.database.close();
    }
  });
}

/** `storage schema-info`: which version the schema has, and whether the key fits. */
export function schemaInfoCommand(io: CliIo): Command {
  return addStorageOptions(new Command('schema-info'))
    .description('show the version of the schema and whether the encryption key fits')
    .action((options: StorageOptions) =>
      withUnprepared(options, io, async ({ engine, sql, database }, { storage, deps }) => {
        const history = await listMigrations(engine, sql);
        const version = versionOf(history);
        const newest = migrations.length;
        const upgrade =
          version === newest
            ? 'none'
            : version === 'unfinished' || version < newest
              ? `to ${newest}`
              : 'needs a newer program';
        io.out(
          formatTable([
            ['Engine:', engine],
            ['Schema version:', String(version)],
            ['Newest known:', String(newest)],
            ['Upgrade:', upgrade],
            ['Encryption key:', version === newest ? await keyState(database, storage, deps) : 'not checked'],
          ]),
        );
      }),
    );
}

async function keyState(
  database: Unprepared['database'],
  storage: StorageSetting['storage'],
  deps: StorageSetting['deps'],
): Promise<string> {
  try {
    const state = await checkCanary(database, cipherOf(storage, deps));
    return state === 'current' ? 'fits' : 'a previous one fits: run sallyport storage encryption change-key';
  } catch (error) {
    if (error instanceof StorageUnfit) return 'does not fit';
    throw error;
  }
}

interface MigrateOptions extends StorageOptions {
  readonly target?: string;
  readonly destroyData?: true;
}

/** `storage migrate`: brings the schema to a version. A gateway does the way up by itself when it starts. */
export function migrateCommand(io: CliIo): Command {
  const sub = (name: string, description: string): Command =>
    addStorageOptions(new Command(name)).description(description);
  return new Command('migrate')
    .description('change the version of the schema')
    .addCommand(
      sub('up', 'bring the schema to the newest version')
        .option('-t, --target <version>', 'the version to go to')
        .action((options: MigrateOptions) => migrate('up', options, io)),
    )
    .addCommand(
      sub('down', 'take the schema back; what is kept in what is removed is lost')
        .requiredOption('-t, --target <version>', 'the version to go back to; 0 removes everything')
        .option('--destroy-data', 'says that you know it')
        .action((options: MigrateOptions) => migrate('down', options, io)),
    )
    .addCommand(
      sub('history', 'show what was done to the schema').action((options: StorageOptions) =>
        withUnprepared(options, io, async ({ engine, sql }) => {
          const history = await listMigrations(engine, sql);
          io.out(
            history.length === 0 ? 'Nothing was done yet: there is no schema.\n' : formatHistory(history),
          );
        }),
      ),
    )
    .addCommand(
      sub('list-up', 'list the migrations that lead up from here').action((options) =>
        listWays('up', options, io),
      ),
    )
    .addCommand(
      sub('list-down', 'list the migrations that lead down from here').action((options) =>
        listWays('down', options, io),
      ),
    );
}

function readTarget(text: string | undefined): number {
  const target = text === undefined ? migrations.length : Number(text);
  if (Number.isInteger(target) && target >= 0 && target <= migrations.length) return target;
  throw new CommandFailure(`--target must be a version from 0 to ${migrations.length}`);
}

async function migrate(direction: 'up' | 'down', options: MigrateOptions, io: CliIo): Promise<void> {
  await withUnprepared(options, io, async ({ engine, sql }, { deps }) => {
    const target = readTarget(options.target);
    const version = versionOf(await listMigrations(engine, sql));
    if (version !== 'unfinished') {
      if (direction === 'up' ? target < version : target > version) {
        throw new CommandFailure(
          `the schema has version ${version} already: "storage migrate ${direction === 'up' ? 'down' : 'up'}" leads to ${target}`,
        );
      }
    }
    if (direction === 'down' && options.destroyData === undefined) {
      throw new CommandFailure(
        'going down destroys what is kept in the tables that are removed: say --destroy-data if you mean it',
      );
    }
    const done = await migrateTo(target, engine, sql, deps);
    io.out(done.length === 0 ? `Nothing to do: the schema has version ${target}.\n` : formatHistory(done));
  });
}

async function listWays(direction: 'up' | 'down', options: StorageOptions, io: CliIo): Promise<void> {
  await withUnprepared(options, io, async ({ engine, sql }) => {
    const version = versionOf(await listMigrations(engine, sql));
    if (version === 'unfinished') {
      throw new CommandFailure('a migration was stopped half-way: run "storage migrate up" to finish it');
    }
    const ways = direction === 'up' ? migrations.slice(version) : migrations.slice(0, version).toReversed();
    io.out(
      ways.length === 0
        ? `None: the schema has version ${version}.\n`
        : formatTable([
            ['version', 'name'],
            ...ways.map((migration) => [String(migration.version), migration.name]),
          ]),
    );
  });
}

function formatHistory(history: readonly MigrationRecord[]): string {
  return formatTable([
    ['when', 'from', 'to', 'name', 'by version'],
    ...history.map((record) => [
      record.finishedAt === null ? 'unfinished' : new Date(record.finishedAt).toISOString(),
      String(record.versionBefore),
      String(record.version),
      record.name,
      record.application,
    ]),
  ]);
}
