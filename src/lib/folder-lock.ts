import { chmod, readFile, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/**
 * Keeps a folder for one process. The lock is the operating system's own (a POSIX record lock on the file `lock`, which
 * SQLite takes for us, as Node cannot): it vanishes with the process however that ends, so nothing stale is ever left
 * and no process id is compared. It holds between containers and process id namespaces that share the folder, and over
 * NFS where the server offers locks. It holds within one process too.
 *
 * Its limits: a file system without locks is refused; whoever deletes the file `lock` while it is held breaks it; and no
 * other code of this process may open that file, as closing it would give the lock away (a quirk of POSIX locks).
 */
export interface FolderLock {
  release(): Promise<void>;
}

/** Another process, or this one, holds the folder. */
export class FolderHeld extends Error {
  override name = 'FolderHeld';
}

const SQLITE_BUSY = 5;

/** Throws `FolderHeld`, naming the holder, when the folder is taken, and other errors when it cannot be locked at all. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const note = join(folder, 'owner');
  // Loaded only where it is needed.
  const { DatabaseSync } = await import('node:sqlite');
  const database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 });
  try {
    database.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    database.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
    const holder = await readFile(note, 'utf8').catch(() => '');
    throw new FolderHeld(`${folder} is held by ${holder.trim() || 'another process'}`, { cause: error });
  }
  await chmod(join(folder, 'lock'), 0o600).catch(() => undefined);
  // Only for people: on a full disk the lock holds without it.
  await writeFile(note, `process ${process.pid} on ${hostname()}\n`, { mode: 0o600 }).catch(() => undefined);
  return {
    async release() {
      await unlink(note).catch(() => undefined);
      database.close();
    },
  };
}
