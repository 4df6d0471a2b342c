import { constants } from 'node:fs';
import { access } from 'node:fs/promises';

/**
 * A lock between processes on a file that is made for it. The lock is the operating system's own (a POSIX record lock,
 * which SQLite takes for us, as Node cannot): it vanishes with the process however that ends, so nothing stale is ever
 * left and no process id is compared. It holds between containers and process id namespaces that share the file, over
 * NFS where the server offers locks, and within one process too. The file stays, empty.
 *
 * Its limits: a file system without locks is refused; whoever deletes the file while it is locked breaks the lock; and no
 * other code of this process may open it, as closing it would give the lock away (a quirk of POSIX locks).
 */
export interface FileLock {
  release(): void;
}

const SQLITE_BUSY = 5;

/** Null, at once, while somebody else holds it. Throws when the file cannot be made or locked at all. */
export async function tryLockFile(path: string): Promise<FileLock | null> {
  // Loaded only where it is needed.
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return null;
    throw error;
  }
  try {
    // Where the file may only be read, SQLite begins without a lock and does not say so.
    await access(path, constants.W_OK);
  } catch (error) {
    database.close();
    throw error;
  }
  return { release: () => database.close() };
}
