import { chmod, readFile, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { tryLockFile } from './file-lock.ts';

/** Keeps a folder for one process: a lock on its file `lock`, with everything that `file-lock.ts` says of one. */
export interface FolderLock {
  release(): Promise<void>;
}

/** Another process, or this one, holds the folder. */
export class FolderHeld extends Error {
  override name = 'FolderHeld';
}

/** Throws `FolderHeld`, naming the holder, when the folder is taken, and other errors when it cannot be locked at all. */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const note = join(folder, 'owner');
  const lock = await tryLockFile(join(folder, 'lock'));
  if (!lock) {
    const holder = await readFile(note, 'utf8').catch(() => '');
    throw new FolderHeld(`${folder} is held by ${holder.trim() || 'another process'}`);
  }
  await chmod(join(folder, 'lock'), 0o600).catch(() => undefined);
  // Only for people: on a full disk the lock holds without it.
  await writeFile(note, `process ${process.pid} on ${hostname()}\n`, { mode: 0o600 }).catch(() => undefined);
  return {
    async release() {
      await unlink(note).catch(() => undefined);
      lock.release();
    },
  };
}
