import { eventually } from './eventually.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';
import type { TestCertificate } from './test-authority.ts';

/** A master, its replicas and three Sentinels of which two must agree; a dead master is replaced after about a second. */
export interface RedisSentinels {
  /** `session.redis` for it. */
  readonly section: Readonly<Record<string, unknown>>;
  /** The first is the master at first. */
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];
  /** The port of the master that a living Sentinel names. */
  masterPort(): Promise<number>;
  stop(): Promise<void>;
}

export interface RedisSentinelsOptions {
  readonly tls?: TestCertificate;
  /** Users and passwords at both layers; nobody without. */
  readonly withAccessControl?: boolean;
  /** Default 2. */
  readonly replicas?: number;
  /** The port by which others reach the first master; given its own. Default: its own. */
  readonly wayToMaster?: (port: number) => Promise<number>;
  /** After how many milliseconds of silence a Sentinel takes a server for dead; default 1000. */
  readonly downAfter?: number;
}

const MASTER_NAME = 'sessions';
const administrator = { username: 'administrator', password: 'of-the-servers' };
const gateway = { username: 'gateway', password: 'of-the-gateway' };
const watcher = { username: 'watcher', password: 'of-the-watcher' };

/** Returns when the replicas follow and each Sentinel knows all others. */
export async function startRedisSentinels(options: RedisSentinelsOptions = {}): Promise<RedisSentinels> {
  const { tls, withAccessControl = false, replicas = 2, downAfter = 1000, wayToMaster } = options;
  const common = { ...(tls ? { tls } : {}), ...(withAccessControl ? { administrator } : {}) };
  const user = (one: { username: string; password: string }, rules: string): string =>
    `user ${one.username} on >${one.password} ${rules}`;
  const accounts = withAccessControl ? ['user default off', user(administrator, '~* &* +@all')] : [];
  const ofServers = withAccessControl
    ? [
        ...accounts,
        // What the manual tells people to allow.
        user(
          gateway,
          '~sallyport:* ~place* resetchannels -@all +@connection +@read +@write +@scripting +role +wait',
        ),
        `masteruser ${administrator.username}`,
        `masterauth ${administrator.password}`,
      ]
    : [];
  const master = await startRedisServer({ ...common, lines: ofServers });
  const masterPort = wayToMaster ? await wayToMaster(master.port) : master.port;
  // As a replica, later, it is known by the same port.
  if (masterPort !== master.port)
    await master.ask('CONFIG', 'SET', 'replica-announce-port', String(masterPort));
  const copies = await Promise.all(
    Array.from({ length: replicas }, () =>
      startRedisServer({ ...common, lines: [...ofServers, `replicaof 127.0.0.1 ${masterPort}`] }),
    ),
  );
  const ofSentinels = withAccessControl
    ? [
        ...accounts,
        user(
          watcher,
          'allchannels -@all +@connection +sentinel|get-master-addr-by-name +sentinel|master +sentinel|replicas +subscribe',
        ),
        `sentinel auth-user ${MASTER_NAME} ${administrator.username}`,
        `sentinel auth-pass ${MASTER_NAME} ${administrator.password}`,
        `sentinel sentinel-user ${administrator.username}`,
        `sentinel sentinel-pass ${administrator.password}`,
      ]
    : [];
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, () =>
      startRedisServer({
        ...common,
        sentinel: true,
        lines: [
          `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${masterPort} 2`,
          `sentinel down-after-milliseconds ${MASTER_NAME} ${downAfter}`,
          `sentinel failover-timeout ${MASTER_NAME} 3000`,
          ...ofSentinels,
        ],
      }),
    ),
  );
  const servers = [master, ...copies];
  const countOf = async (sentinel: RedisServer, what: string): Promise<number> => {
    const reply = await sentinel.ask('SENTINEL', what, MASTER_NAME);
    return Array.isArray(reply) ? reply.length : 0;
  };
  await eventually('the replicas follow and the Sentinels know each other', 15_000, async () => {
    for (const sentinel of sentinels) {
      if ((await countOf(sentinel, 'SENTINELS')) !== 2) return undefined;
      if ((await countOf(sentinel, 'REPLICAS')) !== replicas) return undefined;
    }
    const info = await master.ask('INFO', 'replication');
    return String(info).split('state=online').length === replicas + 1 ? true : undefined;
  });
  const [first, ...others] = sentinels.map(({ port }) => ({ host: '127.0.0.1', port }));
  return {
    section: {
      ...first,
      ...(withAccessControl ? gateway : {}),
      high_availability: {
        sentinel_name: MASTER_NAME,
        nodes: others,
        ...(withAccessControl
          ? { sentinel_username: watcher.username, sentinel_password: watcher.password }
          : {}),
      },
    },
    servers,
    sentinels,
    async masterPort() {
      for (const sentinel of sentinels) {
        const reply = await sentinel
          .ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER_NAME)
          .catch(() => null);
        if (Array.isArray(reply)) return Number(reply[1]);
      }
      throw new Error('no Sentinel answers');
    },
    async stop() {
      await Promise.all([...servers, ...sentinels].map((server) => server.stop()));
    },
  };
}
