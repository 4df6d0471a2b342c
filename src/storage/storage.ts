import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { ColumnCipher } from './column-cipher.ts';
import type { Database } from './database.ts';

/**
 * The open storage: a database with our schema, and the key for what is encrypted in it. It does nothing by itself: what is
 * kept of each subject is a file of its own beside this one, made from it by a `create…` function.
 */
export interface Storage {
  readonly database: Database;
  readonly cipher: ColumnCipher;
  readonly clock: Clock;
  readonly random: Random;
}
