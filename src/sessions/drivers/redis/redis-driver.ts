import type { SessionDriver } from '../../driver.ts';
import { type SessionStore, StoreUnavailable } from '../../store.ts';
import { redisSchema } from './config.ts';
import { mendOf } from './mend.ts';
import { openRedisStore } from './redis-store.ts';
import { holdLink } from './shared-link.ts';

/**
 * Sessions in Redis or Valkey (6.2 and later): one server, or a master that Sentinels watch.
 *
 * Below `<key_prefix><realm>:` there is one string for each session (`s:<key>`, see `encode`) and four keys for all:
 * `activity` (sorted set of keys by last activity), `expiry` and `users` (sorted sets of user and key, by end and by
 * user) and `mark`; for all realms one more `mark`. The last activity stands in the sorted set alone, where it can be raised without touching the record
 * and without bringing back one that is gone. Whatever must happen in one step is a script over declared keys.
 */
export const redisDriver: SessionDriver<typeof redisSchema> = {
  config: redisSchema.describe('Keeps sessions in Redis (or Valkey), one server or Sentinel.'),
  shared: true,
  async open(config, deps) {
    const held = holdLink(config, deps);
    const store = openRedisStore(held.link, config.key_prefix, deps, held.release);
    const trouble = (await held.link.firstAttempt) ?? (await refusalOf(store));
    const mend = trouble === null ? null : mendOf(trouble, config);
    if (mend !== null) {
      await store.close();
      throw new Error(mend, { cause: trouble });
    }
    return store;
  },
};

/** Why Redis can never do what sessions need, found by asking for something that changes nothing. */
async function refusalOf(store: SessionStore): Promise<Error | null> {
  const nobody = { publicId: '', userId: '', sid: null, sealed: Buffer.alloc(0) };
  const never = { key: '', version: 0, createdAt: 0, expiresAt: 0, lastActivity: 0, ...nobody };
  try {
    await store.activityOf('');
    await store.replace('', 0, never);
    return null;
  } catch (error) {
    const cause = error instanceof StoreUnavailable ? error.cause : null;
    return cause instanceof Error ? cause : null;
  }
}
