import { writeSync } from 'node:fs';

import { filesystemDriver } from '../../src/sessions/drivers/filesystem.ts';
import type { SessionStore, StoredSession } from '../../src/sessions/store.ts';
import { dieAt } from '../support/die-at.ts';
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
