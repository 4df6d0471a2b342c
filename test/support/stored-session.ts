import type { StoredSession } from '../../src/sessions/store.ts';
import type { Random } from '../../src/lib/random.ts';

/** Makes sessions as a store gets them: signed in at `start`, an hour long, of `john`, with ids of their own. */
export function storedSessions(
  random: Random,
  start: number,
): (over?: Partial<StoredSession>) => StoredSession {
  return (over = {}) => ({
    key: random.bytes(32).toString('base64url'),
    version: 1,
    publicId: random.bytes(12).toString('base64url'),
    userId: 'john',
    sid: null,
    createdAt: start,
    expiresAt: start + 3_600_000,
    lastActivity: start,
    sealed: random.bytes(200),
    ...over,
  });
}
