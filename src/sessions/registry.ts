import { filesystemDriver } from './drivers/filesystem.ts';
import { memoryDriver } from './drivers/memory.ts';
import { postgresDriver } from './drivers/postgres.ts';
import { redisDriver } from './drivers/redis.ts';

/** The session stores by name. A driver is one file and one line here; the contract suite finds it by itself. */
export const sessionDrivers = {
  memory: memoryDriver,
  filesystem: filesystemDriver,
  redis: redisDriver,
  postgres: postgresDriver,
} as const;
