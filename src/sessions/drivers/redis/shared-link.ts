import { fixedSource } from '../../../lib/redis/source.ts';
import { openRedisLink, type RedisLink } from '../../../lib/redis/link.ts';
import { openSentinels } from '../../../lib/redis/sentinels.ts';
import { redisAddress } from '../../../lib/redis.ts';
import { systemTimers } from '../../../lib/timers.ts';
import type { DriverDeps } from '../../driver.ts';
import type { RedisConfig } from './config.ts';
import { inspectServer } from './inspect-server.ts';

/** The stores of all realms of one configuration share its connections. */
const links = new WeakMap<RedisConfig, { readonly link: RedisLink; holders: number }>();

/** Opens the connections, or joins those that are open. */
export function holdLink(
  config: RedisConfig,
  deps: DriverDeps,
): { readonly link: RedisLink; release(): void } {
  const known = links.get(config);
  const entry = known ?? { link: openLink(config, deps), holders: 0 };
  links.set(config, entry);
  entry.holders++;
  if (known === undefined) void inspectServer(entry.link, deps);
  let isHeld = true;
  return {
    link: entry.link,
    release() {
      if (!isHeld) return;
      isHeld = false;
      if (--entry.holders > 0) return;
      links.delete(config);
      entry.link.close();
    },
  };
}

function openLink(config: RedisConfig, { random, clock, logger }: DriverDeps): RedisLink {
  const { host, port, timeout, high_availability: sentinel } = config;
  const common = { tls: config.tls ?? null, name: 'sallyport' };
  const deps = { timers: systemTimers, random, clock, logger };
  const addresses = [
    ...(host === undefined ? [] : [redisAddress(host, port)]),
    ...(sentinel?.nodes ?? []).map((node) => redisAddress(node.host, node.port)),
  ];
  const [address = redisAddress('localhost', port)] = addresses;
  const source = sentinel
    ? openSentinels(
        {
          addresses,
          masterName: sentinel.sentinel_name,
          order: sentinel.route_by_latency ? 'latency' : sentinel.route_randomly ? 'random' : 'listed',
          timeout,
          login: {
            ...common,
            username: sentinel.sentinel_username,
            password: sentinel.sentinel_password,
            database: 0,
          },
        },
        deps,
      )
    : fixedSource(address);
  const needed = sentinel ? 3 : 2;
  return openRedisLink(
    source,
    {
      login: {
        ...common,
        username: config.username,
        password: config.password,
        database: config.database_index,
      },
      timeout,
      connections: Math.min(
        config.maximum_active_connections,
        Math.max(needed, config.minimum_idle_connections),
      ),
      retries: Math.max(0, config.max_retries),
      mark: ['SET', `${config.key_prefix}mark`, '1', 'PX', '10000'],
    },
    deps,
  );
}
