import type { z } from 'zod';

import { duration, flag, integer, list, secret, section, text } from '../../../lib/schema.ts';
import { tlsSchema } from '../../../lib/tls-config.ts';

const nodeSchema = section({
  host: text().describe('Host of the sentinel.'),
  port: integer(1, 65_535).prefault(26_379).describe('Port of the sentinel.'),
});

/** `session.redis`. */
export const redisSchema = section({
  host: text()
    .optional()
    .describe(
      'Host of the server (or of the first sentinel); an absolute path is a Unix socket. Required unless `high_availability.nodes` is set.',
    ),
  port: integer(0, 65_535)
    .optional()
    .describe('Port; default 6379, with `high_availability` 26379. Not asked for sockets.'),
  timeout: duration().prefault('5s').describe('How long connecting may take.'),
  max_retries: integer(-1)
    .prefault(3)
    .describe(
      'How often a read is repeated whose connection fell, within half a second; -1 for never. Writes are not repeated.',
    ),
  username: text({ minimum: 0 })
    .optional()
    .describe(
      'User of the access control list. He needs `~sallyport:* +@connection +@read +@write +@scripting`, behind sentinels `+role +wait` too, and `+info +config|get` to be warned at start.',
    ),
  password: secret({ minimum: 0 }).optional().describe('Password.'),
  database_index: integer(0).prefault(0).describe('Number of the database.'),
  key_prefix: text({ minimum: 0 })
    .prefault('sallyport:')
    .describe('What the names of all keys begin with. Replicas that share sessions have the same.'),
  maximum_active_connections: integer(1)
    .prefault(8)
    .describe(
      'Most connections of this process to the server of the sessions. More than 2 (3 with `high_availability`) are never needed: one for reads, one for writes, one for writes that wait for a replica. With 1 all share it. Each sentinel has one more.',
    ),
  minimum_idle_connections: integer(0)
    .prefault(0)
    .describe('Connections that are opened at start and kept open without need, up to the maximum.'),
  tls: tlsSchema.optional().describe('TLS towards Redis; the section switches it on.'),
  high_availability: section({
    sentinel_name: text().describe('Name of the master that the sentinels watch.'),
    sentinel_username: text({ minimum: 0 }).optional().describe('User for the sentinels.'),
    sentinel_password: secret({ minimum: 0 }).optional().describe('Password for the sentinels.'),
    nodes: list(nodeSchema).prefault([]).describe('More sentinels.'),
    route_by_latency: flag()
      .prefault(false)
      .describe(
        'Asks the sentinels that answer fastest first. Sessions are read from the master all the same.',
      ),
    route_randomly: flag()
      .prefault(false)
      .describe('Asks the sentinels in random order. Sessions are read from the master all the same.'),
  })
    .optional()
    .describe('Redis Sentinel.'),
})
  .superRefine((redis, context) => {
    if (redis.host === undefined && !redis.high_availability?.nodes.length) {
      context.addIssue({
        code: 'custom',
        path: ['host'],
        message: 'is required unless high_availability.nodes names sentinels',
      });
    }
  })
  .transform((redis) => ({
    ...redis,
    port: redis.port || (redis.high_availability === undefined ? 6379 : 26_379),
  }));

export type RedisConfig = z.output<typeof redisSchema>;
