import type { Command } from 'commander';

import { formatProblem, loadConfiguration, resolveSource } from '../config/load.ts';
import type { Configuration } from '../config/schema.ts';
import { type Address, formatAddress } from '../lib/address.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRandom } from '../lib/random.ts';
import { systemTimers } from '../lib/timers.ts';
import { version } from '../lib/version.ts';
import { type StorageConfig, storageSchema } from '../storage/config.ts';
import { openStorage, type OpenStorageDeps } from '../storage/open-storage.ts';
import type { Storage } from '../storage/storage.ts';
import { addConfigOptions, type ConfigOptions } from './config-options.ts';
import { errorsTo } from './errors-to.ts';
import type { CliIo } from './io.ts';

/** The options of every command that works on the storage. Each stands for the key of the configuration of this name. */
export type StorageOptions = ConfigOptions & Readonly<Record<string, unknown>>;

const engineKeys = {
  local: ['path'],
  mysql: ['address', 'database', 'username', 'password'],
  postgres: ['address', 'database', 'schema', 'username', 'password'],
} as const;

const optionOf = (engine: keyof typeof engineKeys, key: string): string =>
  `${engine === 'local' ? 'sqlite' : engine}.${key}`;

/** Adds the options of the configuration and those that override its section `storage`. */
export function addStorageOptions(command: Command): Command {
  addConfigOptions(command).option('--encryption-key <key>', 'instead of storage.encryption_key');
  for (const engine of Object.keys(engineKeys) as (keyof typeof engineKeys)[]) {
    for (const key of engineKeys[engine]) {
      command.option(`--${optionOf(engine, key)} <${key}>`, `instead of storage.${engine}.${key}`);
    }
  }
  return command;
}

/** What went wrong, for people. */
export class CommandFailure extends Error {
  override name = 'CommandFailure';
}

export interface StorageSetting {
  readonly config: Configuration;
  readonly storage: StorageConfig;
  readonly deps: OpenStorageDeps;
}

/**
 * Runs a command with the storage that is configured. What it rejects with is written to standard error and ends the
 * process with 1; the configuration's own problems are written as they are.
 */
export async function withStorageSetting(
  options: StorageOptions,
  io: CliIo,
  run: (setting: StorageSetting) => Promise<void>,
): Promise<void> {
  const { config, problems } = loadConfiguration(resolveSource(options, io.environment));
  for (const problem of problems) io.err(`${formatProblem(problem)}\n`);
  if (config === null) return io.exit(1);
  try {
    await run({ config, storage: overridden(config.storage, options), deps: storageDepsOf(io) });
  } catch (error) {
    io.err(`sallyport: ${error instanceof Error ? error.message : String(error)}\n`);
    io.exit(1);
  }
}

/** As `withStorageSetting`, with the storage open: its schema is brought up, and its key checked. */
export async function withStorage(
  options: StorageOptions,
  io: CliIo,
  run: (storage: Storage, setting: StorageSetting) => Promise<void>,
): Promise<void> {
  await withStorageSetting(options, io, async (setting) => {
    const storage = await openStorage(setting.storage, setting.deps);
    try {
      await run(storage, setting);
    } finally {
      await storage.database.close();
    }
  });
}

export function storageDepsOf(io: CliIo): OpenStorageDeps {
  return {
    clock: systemClock,
    random: systemRandom,
    timers: systemTimers,
    logger: errorsTo(io),
    application: version,
  };
}

type EngineKey = keyof typeof engineKeys;

/** The configured storage with what the options say instead; an option of another engine chooses that engine. */
function overridden(configured: StorageConfig | undefined, options: StorageOptions): StorageConfig {
  const engines = Object.keys(engineKeys) as EngineKey[];
  const given = Object.fromEntries(
    engines.map((engine) => [
      engine,
      Object.fromEntries(
        engineKeys[engine]
          .map((key) => [key, options[optionOf(engine, key)]] as const)
          .filter(([, value]) => value !== undefined),
      ),
    ]),
  );
  const named = engines.filter((engine) => Object.keys(given[engine] ?? {}).length > 0);
  if (named.length > 1) {
    throw new CommandFailure('--sqlite.path, --mysql.* and --postgres.* exclude each other');
  }
  const engine = named[0] ?? engines.find((candidate) => configured?.[candidate] !== undefined);
  if (engine === undefined) {
    throw new CommandFailure(
      'no database is named: configure storage, or give --sqlite.path, --mysql.* or --postgres.*',
    );
  }
  const existing: Readonly<Record<string, unknown>> | undefined = configured?.[engine];
  const written = Object.fromEntries(
    engineKeys[engine].map((key) => [
      key,
      key === 'address' && existing ? addressOf(existing[key]) : existing?.[key],
    ]),
  );
  const result = storageSchema.safeParse({
    encryption_key: options['encryptionKey'] ?? configured?.encryption_key,
    [engine]: { ...written, ...given[engine] },
  });
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new CommandFailure(`storage.${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
  }
  const { accepted_encryption_keys, retention } = configured ?? result.data;
  // What has no option (tls, timeout, further servers) stays as it is configured.
  return {
    ...result.data,
    accepted_encryption_keys,
    retention,
    [engine]: { ...result.data[engine], ...existing, ...pick(result.data[engine], engineKeys[engine]) },
  };
}

const addressOf = (address: unknown): string => formatAddress(address as Address);

function pick(section: Readonly<Record<string, unknown>> | undefined, keys: readonly string[]): object {
  return Object.fromEntries(
    keys.map((key) => [key, section?.[key]]).filter(([, value]) => value !== undefined),
  );
}
