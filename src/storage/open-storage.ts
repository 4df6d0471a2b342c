/**
 * The storage of the configuration: durable SQL for what must outlive sessions. The database may be Authelia's: our tables
 * stand beside its own, which are never read, written or changed.
 *
 * States: not prepared (nothing was reached yet: everything rejects with StorageUnavailable and tries to prepare), prepared
 * (schema and key were found right, once), closed. Not here: what is kept of a subject (one file each), and when old records
 * go (housekeeping.ts).
 */
import { type ColumnCipher, createColumnCipher } from './column-cipher.ts';
import type { StorageConfig } from './config.ts';
import { createDatabase, type Database } from './database.ts';
import { type Engine, type SqlEngine, STATEMENT_DEADLINE, type StorageDeps } from './dialect.ts';
import { checkCanary } from './encryption-check.ts';
import { StorageUnavailable, StorageUnfit } from './errors.ts';
import { migrateTo, type Migration, migrations as ownMigrations } from './migrations.ts';
import { storageDialects } from './registry.ts';
import type { Storage } from './storage.ts';

export interface OpenStorageDeps extends StorageDeps {
  /** The version of this program, for the record of migrations. */
  readonly application: string;
  /** Default: those of this version. */
  readonly migrations?: readonly Migration[];
}

/**
 * Opens the database, brings its schema up and checks the key. Rejects with StorageUnfit, naming key and mend, when it must
 * not be used like this: refused by the server, a schema of a newer version, a wrong key. A database that is only out of
 * reach is no reason: then the storage opens, and everything rejects with StorageUnavailable until it is there.
 */
export async function openStorage(config: StorageConfig, deps: OpenStorageDeps): Promise<Storage> {
  const { engine, sql } = await openEngine(config, deps);
  const cipher = cipherOf(config, deps);
  const { logger, timers } = deps;
  const ungated = createDatabase(engine, sql, null);

  let isPrepared = false;
  const prepare = async (): Promise<void> => {
    const known = deps.migrations ?? ownMigrations;
    const done = await migrateTo(known.length, engine, sql, deps);
    for (const { version, name } of done) logger.info({ version, name }, 'The schema of the storage is new');
    const key = await checkCanary(ungated, cipher);
    isPrepared = true;
    if (key === 'previous') {
      logger.warn(
        {},
        'storage.encryption_key is new: run `sallyport storage encryption change-key` before the former key is removed',
      );
    }
  };

  let preparing: Promise<void> | null = null;
  const prepareOnce = (): Promise<void> =>
    (preparing ??= prepare().finally(() => {
      preparing = null;
    }));

  const gate = async (): Promise<void> => {
    if (isPrepared) return;
    await new Promise<void>((resolve, reject) => {
      const stop = timers.after(STATEMENT_DEADLINE, () =>
        reject(new StorageUnavailable('the schema of the storage is still being prepared')),
      );
      prepareOnce().then(resolve, reject).finally(stop);
    }).catch((error: unknown) => {
      if (!(error instanceof StorageUnfit)) throw error;
      logger.error({ error }, 'The storage cannot be used');
      throw new StorageUnavailable(error.message);
    });
  };

  try {
    await prepareOnce();
  } catch (error) {
    if (!(error instanceof StorageUnavailable)) {
      await sql.close();
      throw error;
    }
    logger.warn({ error }, 'The storage is not there yet');
  }
  return { database: createDatabase(engine, sql, gate), cipher, clock: deps.clock, random: deps.random };
}

/** The database as it is, whatever its schema: for commands that mend it. */
export async function openUnprepared(
  config: StorageConfig,
  deps: StorageDeps,
): Promise<{ readonly engine: Engine; readonly sql: SqlEngine; readonly database: Database }> {
  const { engine, sql } = await openEngine(config, deps);
  return { engine, sql, database: createDatabase(engine, sql, null) };
}

export function cipherOf(config: StorageConfig, deps: Pick<StorageDeps, 'random'>): ColumnCipher {
  return createColumnCipher([config.encryption_key, ...config.accepted_encryption_keys], deps);
}

async function openEngine(
  { local, mysql, postgres }: StorageConfig,
  deps: StorageDeps,
): Promise<{ readonly engine: Engine; readonly sql: SqlEngine }> {
  const [engine, sql] = local
    ? [storageDialects.local.engine, storageDialects.local.open(local, deps)]
    : mysql
      ? [storageDialects.mysql.engine, storageDialects.mysql.open(mysql, deps)]
      : postgres
        ? [storageDialects.postgres.engine, storageDialects.postgres.open(postgres, deps)]
        : [null, null];
  if (engine === null) throw new StorageUnfit('storage needs one of local, mysql and postgres');
  return { engine, sql: await sql };
}
