import { filesystemDriver } from './drivers/filesystem.ts';
import { memoryDriver } from './drivers/memory.ts';
import { postgresDriver } from './drivers/postgres.ts';
import { redisDriver } from './drivers/redis/redis-driver.ts';

/** The session stores by name. A driver is one file (or folder) and one line here; the contract suite finds it by itself. */
export const sessionDrivers = {
  memory: memoryDriver,
  filesystem: filesystemDriver,
  redis: redisDriver,
  postgres: postgresDriver,
} as const;
