import type { Clock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { postgresDriver } from '../../src/sessions/drivers/postgres.ts';
import type { SessionStore } from '../../src/sessions/store.ts';
import { fakeClock } from './fake-clock.ts';
import { recordingLogger } from './recording-logger.ts';
import { testAccount } from './postgres-server.ts';

type Config = (typeof postgresDriver.config)['_output'];

/** `session.postgres` for the test account, from what would stand in the YAML. */
export function postgresConfig(port: number, over: Readonly<Record<string, unknown>> = {}): Config {
  return postgresDriver.config.parse({ address: `tcp://127.0.0.1:${port}`, ...testAccount, ...over });
}

/** Differing timeouts make differing pools: each call is a replica of its own, although all live in this process. */
let replicas = 0;

export function openPostgresSessions(
  config: Config,
  deps: { readonly realm?: string; readonly clock?: Clock; readonly logger?: Logger } = {},
): Promise<SessionStore> {
  const { realm = 'gateway', clock = fakeClock(), logger = recordingLogger() } = deps;
  return postgresDriver.open(
    { ...config, timeout: config.timeout + ++replicas / 1000 },
    { realm, clock, random: systemRandom, logger },
  );
}
