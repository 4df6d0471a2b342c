import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { type FileLock, tryLockFile } from '../../../src/lib/file-lock.ts';
import { temporaryFolder, type TemporaryFolder } from '../../support/temporary-folder.ts';

let home: TemporaryFolder;
let path = '';

beforeEach(async () => {
  home = await temporaryFolder('file-lock');
  path = join(home.path, 'lock');
});

afterEach(() => home.remove());

test('one holds it at a time, also within one process; the file stays, empty', async () => {
  const first = await tryLockFile(path);
  expect(first).not.toBeNull();
  expect(await tryLockFile(path)).toBeNull();
  expect(await tryLockFile(path)).toBeNull();
  first?.release();
  const second = await tryLockFile(path);
  expect(second).not.toBeNull();
  second?.release();
  expect(await readFile(path, 'utf8')).toBe('');
});

test('different files are locked apart', async () => {
  const locks = await Promise.all([path, `${path}2`].map(tryLockFile));
  expect(locks).not.toContain(null);
  for (const lock of locks) lock?.release();
});

test('of many that try at once one gets it', async () => {
  const locks = await Promise.all(Array.from({ length: 10 }, () => tryLockFile(path)));
  const held = locks.filter((lock): lock is FileLock => lock !== null);
  expect(held).toHaveLength(1);
  held[0]?.release();
});

test('where it cannot be made it is refused, and nothing is left open', async () => {
  await expect(tryLockFile(join(home.path, 'nowhere', 'lock'))).rejects.toThrow(/unable to open/);
  await writeFile(
    path,
    'this is no lock but the notes of somebody else, and longer than a page header of a database, by far: it goes on and on',
  );
  await expect(tryLockFile(path)).rejects.toThrow(/not a database/);
  expect((await stat(path)).size).toBeGreaterThan(100);
});

test.skipIf(process.getuid?.() === 0)(
  'a file that may only be read gives no lock (not as root)',
  async () => {
    await writeFile(path, '', { mode: 0o444 });
    await expect(tryLockFile(path)).rejects.toThrow(/EACCES/);
  },
);
