import { writeSync } from 'node:fs';
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

import { filesystemDriver } from '../../src/sessions/drivers/filesystem.ts';
import type { SessionStore, StoredSession } from '../../src/sessions/store.ts';
import { fakeClock } from '../support/fake-clock.ts';
import { recordingLogger } from '../support/recording-logger.ts';

/**
 * A process with a filesystem store, for tests that kill it.
 * `<path> hold`: opens the store and stays.
 * `<path> <operation> <n> <session> [<next>]`: opens it and dies by SIGKILL before the n-th step on the disk (in the
 * middle of it if that is a write); prints `acknowledged <answer>` if there are not that many.
 */
const [path = '', operation = '', step = '', ...sessions] = process.argv.slice(2);

const parse = (text: string | undefined): StoredSession => {
  const session = JSON.parse(text ?? '') as StoredSession;
  return { ...session, sealed: Buffer.from(session.sealed) };
};

const operations: Readonly<Record<string, (store: SessionStore) => unknown>> = {
  insert: (store) => store.insert(parse(sessions[0])),
  replace: (store) => store.replace(parse(sessions[0]).key, 1, parse(sessions[1])),
  delete: (store) => store.delete(parse(sessions[0]).key),
};

async function dieAt(last: number): Promise<void> {
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

const random = { bytes: (size: number) => Buffer.alloc(size) };
const deps = { realm: 'gateway', clock: fakeClock(), random, logger: recordingLogger() };
const store = await filesystemDriver.open({ path }, deps);
if (operation === 'hold') {
  writeSync(1, 'open\n');
  setInterval(() => undefined, 60_000);
} else {
  await dieAt(Number(step));
  writeSync(1, `acknowledged ${String(await operations[operation]?.(store))}\n`);
  process.kill(process.pid, 'SIGKILL');
}
