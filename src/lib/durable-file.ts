import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Files that are whole or not there, also after a power cut. What is written goes to a new file beside the old one,
 * onto the disk, and then takes its name; the folder is brought onto the disk before anything answers. Changes to one
 * folder that come together share that last step. One instance for each tree, and only one job at a time for each path.
 */
export interface DurableFiles {
  /**
   * Puts the bytes in the place of the file, readable for its owner only. When it fails, the file is as before or, if only
   * the last step failed, the new one.
   */
  write(path: string, chunks: readonly Uint8Array[]): Promise<void>;
  /** Removes the file. A file that is not there is removed already. */
  remove(path: string): Promise<void>;
}

/** What a crash leaves behind ends like this; it may be removed at the next start. */
export const TEMPORARY_SUFFIX = '.tmp';

export function createDurableFiles(): DurableFiles {
  /** By folder: the sync that has not begun yet, which covers everything done before it begins. */
  const waiting = new Map<string, Promise<void>>();
  const running = new Map<string, Promise<void>>();
  let count = 0;

  const syncTogether = (folder: string): Promise<void> => {
    const joined = waiting.get(folder);
    if (joined) return joined;
    const sync = (async () => {
      await running.get(folder)?.catch(() => undefined);
      waiting.delete(folder);
      const work = syncFolder(folder);
      running.set(folder, work);
      try {
        await work;
      } finally {
        if (running.get(folder) === work) running.delete(folder);
      }
    })();
    waiting.set(folder, sync);
    return sync;
  };

  return {
    async write(path, chunks) {
      const temporary = `${path}.${count++}${TEMPORARY_SUFFIX}`;
      try {
        await writeNew(temporary, chunks);
        await rename(temporary, path);
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw error;
      }
      await syncTogether(dirname(path));
    },

    async remove(path) {
      await removeFile(path);
      await syncTogether(dirname(path));
    },
  };
}

/** Removes a file that may come back after a power cut. A file that is not there is removed already. */
export async function removeFile(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/**
 * Puts the bytes in the place of a file that exists. Its owner, mode and group (where that may do more or less than
 * everybody) stay; fails where they cannot be kept. The file is whole at any time, the old one or the new one. For files
 * that others keep: whoever calls sees to it that no process does so twice at one time. What a crash left behind, at the
 * path with `.tmp` behind it, is written over.
 */
export async function replaceDurably(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  const owned = await stat(path);
  await removeFile(temporary);
  try {
    await writeNew(temporary, [bytes], owned);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(path));
}

interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

async function writeNew(path: string, chunks: readonly Uint8Array[], owned?: Ownership): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    if (owned) await handOver(file, owned);
    for (const chunk of chunks) await writeAll(file, chunk);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function handOver(file: FileHandle, { uid, gid, mode }: Ownership): Promise<void> {
  const made = await file.stat();
  if (made.uid !== uid || made.gid !== gid) {
    try {
      await file.chown(uid, gid);
    } catch (error) {
      // A group that may do what everybody may is nothing to keep.
      if (made.uid !== uid || ((mode >> 3) & 7) !== (mode & 7)) throw error;
    }
  }
  await file.chmod(mode & 0o7777);
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length;) done += (await file.write(chunk, done)).bytesWritten;
}

/** Brings what a folder lists onto the disk. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
