import { afterAll } from 'vitest';

import type { Clock } from '../../src/lib/clock.ts';
import type { Logger } from '../../src/lib/logger.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { RedisConfig } from '../../src/sessions/drivers/redis/config.ts';
import { redisDriver } from '../../src/sessions/drivers/redis/redis-driver.ts';
import type { SessionStore } from '../../src/sessions/store.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { type RedisSentinels, startRedisSentinels } from '../support/redis-sentinels.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';
import type { StorePlace } from './session-store-harnesses.ts';

/** Opens the driver as a gateway would that reads this as `session.redis`. */
export function openRedis(
  section: Readonly<Record<string, unknown>>,
  deps: { readonly clock: Clock; readonly realm?: string; readonly logger?: Logger },
): Promise<SessionStore> {
  return redisDriver.open(redisConfig(section), {
    realm: 'gateway',
    random: systemRandom,
    logger: recordingLogger(),
    ...deps,
  });
}

export function redisConfig(section: Readonly<Record<string, unknown>>): RedisConfig {
  return redisDriver.config.parse(section);
}

let server: RedisServer | undefined;
let sentinels: RedisSentinels | undefined;
let places = 0;

/** A prefix of its own on the one server of this file. */
export async function createRedisPlace({ clock }: { readonly clock: Clock }): Promise<StorePlace> {
  server ??= await startRedisServer();
  const { port } = server;
  return createPlace({ host: '127.0.0.1', port }, clock, async () => {
    await server?.stop();
    server = undefined;
  });
}

/** The same behind three Sentinels with a master and two replicas. */
export async function createSentinelPlace({ clock }: { readonly clock: Clock }): Promise<StorePlace> {
  sentinels ??= await startRedisSentinels();
  return createPlace(sentinels.section, clock, async () => {
    await sentinels?.stop();
    sentinels = undefined;
  });
}

afterAll(async () => {
  await server?.stop();
  await sentinels?.stop();
});

function createPlace(
  section: Readonly<Record<string, unknown>>,
  clock: Clock,
  cutOff: () => Promise<void>,
): StorePlace {
  const config = redisConfig({ ...section, key_prefix: `place${places++}:` });
  const opened: SessionStore[] = [];
  return {
    async open(realm) {
      const deps = { realm, clock, random: systemRandom, logger: recordingLogger() };
      const store = await redisDriver.open(config, deps);
      opened.push(store);
      return store;
    },
    cutOff,
    async dispose() {
      for (const store of opened) await store.close();
    },
  };
}
