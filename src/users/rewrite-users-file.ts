import { constants } from 'node:fs';
import { access, chmod, chown, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import { replaceDurably } from '../lib/durable-file.ts';
import { type FileLock, tryLockFile } from '../lib/file-lock.ts';
import type { Timers } from '../lib/timers.ts';
import { BackendUnavailable } from './backend.ts';
import { readUsersFile } from './read-users-file.ts';

/** How long a writer waits for another one, in milliseconds. A change takes a few. */
const LOCK_DEADLINE = 5_000;
const LOCK_RETRY = 20;

/**
 * Changes the users file, one writer at a time in all processes that share the file: a lock (`.<name>.lock`, beside the
 * file where it really lies) is held from the reading to the end of the writing. The file is exchanged as a whole, so that
 * who reads it meets the old or the new one, also after a crash; links to it, its owner and its mode stay.
 * `edit` gets the text and answers the new one, or null to leave it. Throws what `edit` throws, `InvalidUsersFile` when
 * the file cannot be read, and `BackendUnavailable`, naming the mend, when it cannot be written.
 */
export async function rewriteUsersFile(
  path: string,
  edit: (text: string) => string | null,
  { timers }: { readonly timers: Timers },
): Promise<void> {
  const target = await realpath(path).catch(() => path);
  await orUnavailable(target, async () => {
    // A file that is exchanged is not asked for its mode: one that is made read-only on purpose stays as it is.
    await access(target, constants.W_OK);
    await access(dirname(target), constants.W_OK);
  });
  const lock = await waitForLock(target, timers);
  try {
    const next = edit(await readUsersFile(target));
    if (next === null) return;
    try {
      await orUnavailable(target, () => replaceDurably(target, Buffer.from(next)));
    } finally {
      await stampLock(lockPath(target), target);
    }
  } finally {
    lock.release();
  }
}

/**
 * Differs from before whenever some process has changed the file in this way; null when none ever did. Changes that are
 * made to the file by other means do not count.
 */
export async function lastRewrite(path: string): Promise<bigint | null> {
  try {
    return (await stat(lockPath(await realpath(path)), { bigint: true })).ctimeNs;
  } catch {
    return null;
  }
}

const lockPath = (target: string): string => join(dirname(target), `.${basename(target)}.lock`);

async function orUnavailable<T>(target: string, job: () => Promise<T>): Promise<T> {
  try {
    return await job();
  } catch (cause) {
    throw new BackendUnavailable(`${target}: ${writeFailure(cause)}`, { cause });
  }
}

async function waitForLock(target: string, timers: Timers): Promise<FileLock> {
  const path = lockPath(target);
  for (let waited = 0; waited <= LOCK_DEADLINE; waited += LOCK_RETRY) {
    const lock = await orUnavailable(path, () => tryLockFile(path));
    if (lock) return lock;
    await new Promise<void>((resolve) => {
      timers.after(LOCK_RETRY, resolve);
    });
  }
  throw new BackendUnavailable(
    `${target}: another process has been writing for ${LOCK_DEADLINE} ms; find out which one holds ${path}`,
  );
}

/**
 * Sets the lock's time of change, which `lastRewrite` tells. Its owner and mode become those of the file: whoever may
 * write that may lock it, also after an administrator's command was the first to do so.
 */
async function stampLock(path: string, target: string): Promise<void> {
  try {
    const { uid, gid, mode } = await stat(target);
    await chown(path, uid, gid);
    await chmod(path, mode & 0o666);
  } catch {
    // The change is written, and the lock holds as it is; where another user is shut out by it, he is told so.
  }
}

function writeFailure(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  switch (code) {
    case 'EROFS':
      return 'it lies on a read-only file system; mount its folder writable, or set password_reset.disable and password_change.disable';
    case 'EBUSY':
    case 'EXDEV':
      return 'it is mounted as a single file, which cannot be exchanged; mount its folder instead';
    case 'EACCES':
    case 'ERR_SQLITE_ERROR':
      return 'this process may not write it; give its user the right to write the file and into its folder';
    case 'EPERM':
      return 'this process cannot keep the owner and the group of the file; make them those of this process';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'the disk is full';
    default:
      return message;
  }
}
