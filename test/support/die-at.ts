import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/**
 * From now on this process dies by SIGKILL before its step number `last` on the disk, counted from 0: opening, writing
 * (of which half is done), bringing onto the disk, closing, renaming, removing.
 */
export async function dieAt(last: number): Promise<void> {
  let steps = 0;
  const die = (): void => {
    process.kill(process.pid, 'SIGKILL');
  };
  const count = (): boolean => steps++ === last;
  const { open, rename, unlink } = fs;
  const probe = await open(process.execPath, 'r');
  const handles = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const { sync, close } = handles;
  const write = handles.write as (bytes: Buffer, offset: number, length?: number) => Promise<unknown>;
  Object.assign(handles, {
    async write(this: FileHandle, bytes: Buffer, offset: number) {
      if (!count()) return write.call(this, bytes, offset);
      await write.call(this, bytes, offset, Math.floor(bytes.length / 2));
      return die();
    },
    async sync(this: FileHandle) {
      if (count()) die();
      return sync.call(this);
    },
    async close(this: FileHandle) {
      if (count()) die();
      return close.call(this);
    },
  });
  fs.open = async (...args) => {
    if (count()) die();
    return open(...args);
  };
  fs.rename = async (...args) => {
    if (count()) die();
    return rename(...args);
  };
  fs.unlink = async (...args) => {
    if (count()) die();
    return unlink(...args);
  };
  syncBuiltinESMExports();
}
