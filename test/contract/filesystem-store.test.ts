import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import {
  access,
  chmod,
  copyFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { filesystemDriver } from '../../src/sessions/drivers/filesystem.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../../src/sessions/store.ts';
import { startChild } from '../support/child.ts';
import { eventually } from '../support/eventually.ts';
import { fakeClock, seededRandom } from '../support/fake-clock.ts';
import { recordingLogger } from '../support/recording-logger.ts';
import { storedSessions } from '../support/stored-session.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';

/** What the files are for: restarts, crashes, broken disks and foreign hands. */

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const random = seededRandom('filesystem store');
const child = join(import.meta.dirname, 'filesystem-child.ts');

let clock = fakeClock();
const start = clock.now();
let logger = recordingLogger();
let folder: TemporaryFolder;
let path: string;
let opened: SessionStore[];
let mounts: string[];

beforeEach(async () => {
  clock = fakeClock();
  logger = recordingLogger();
  folder = await temporaryFolder('sessions');
  path = join(folder.path, 'sessions');
  opened = [];
  mounts = [];
});

afterEach(async () => {
  for (const store of opened) await store.close();
  for (const mount of mounts) await run('umount', [mount]);
  await folder.remove();
});

async function openStore(at = path): Promise<SessionStore> {
  const store = await filesystemDriver.open({ path: at }, { realm: 'gateway', clock, random, logger });
  opened.push(store);
  return store;
}

async function restart(store: SessionStore): Promise<SessionStore> {
  await store.close();
  return openStore();
}

const record = storedSessions(random, start);

async function insertAll(store: SessionStore, sessions: readonly StoredSession[]): Promise<void> {
  expect(await Promise.all(sessions.map(async (session) => store.insert(session)))).toEqual(
    sessions.map(() => true),
  );
}

async function find(store: SessionStore, key: string): Promise<StoredSession | null | undefined> {
  return (await store.findMany([key]))[0];
}

/** All files of the store, with their path below the realm's folder. */
async function filesBelow(at = path): Promise<string[]> {
  const realm = join(at, 'gateway');
  const entries = await readdir(realm, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(realm.length + 1))
    .sort();
}

async function sessionFiles(at = path): Promise<string[]> {
  return (await filesBelow(at)).filter((name) => /^[0-9a-f]{2}\//.test(name));
}

/** The file of a session, found by its key, which stands in it. */
async function fileOf(key: string): Promise<string> {
  for (const name of await sessionFiles()) {
    const file = join(path, 'gateway', name);
    if ((await readFile(file)).includes(key)) return file;
  }
  throw new Error('no file has this key');
}

describe('restart', () => {
  test('sessions, changes and activity stay', async () => {
    const odd = record({ userId: 'zoë 漢字', sid: 'sid-1', version: 7, sealed: random.bytes(70_000) });
    const [one, two] = [record(), record()];
    let store = await openStore();
    await insertAll(store, [odd, one, two]);
    const rotated = record({ publicId: one.publicId, version: 2 });
    expect(await store.replace(one.key, 1, rotated)).toBe(true);
    await store.touchMany([{ key: two.key, at: start + 1234 }]);
    store = await restart(store);
    expect(await store.findMany([odd.key, one.key, rotated.key, two.key])).toEqual([
      odd,
      null,
      rotated,
      { ...two, lastActivity: start + 1234 },
    ]);
    expect(await store.listByUser('john')).toHaveLength(2);
    // A session that begins afterwards has a file of its own.
    await insertAll(store, [record(), record()]);
    expect(await sessionFiles()).toHaveLength(5);
    store = await restart(store);
    expect(await store.listByUser('john')).toHaveLength(4);
    expect(logger.entries).toEqual([]);
  });

  test('a logout stays a logout', async () => {
    const [one, two, three, harry] = [record(), record(), record(), record({ userId: 'harry' })];
    let store = await openStore();
    await insertAll(store, [one, two, three, harry]);
    expect(await store.delete(one.key)).toBe(one.publicId);
    expect(await store.deleteByUser('john', three.publicId)).toEqual([two.publicId]);
    expect(await sessionFiles()).toHaveLength(2);
    store = await restart(store);
    expect(await store.findMany([one.key, two.key, three.key, harry.key])).toEqual([
      null,
      null,
      three,
      harry,
    ]);
  });

  test('what has expired is swept from the disk too', async () => {
    const store = await openStore();
    const kept = record();
    await insertAll(store, [kept, ...Array.from({ length: 50 }, () => record({ expiresAt: start - 1 }))]);
    expect(await store.sweep(start, 20)).toBe(20);
    expect(await sessionFiles()).toHaveLength(31);
    expect(await store.sweep(start, 100)).toBe(30);
    expect(await find(await restart(store), kept.key)).toEqual(kept);
  });

  test('close waits for what is under way', async () => {
    const store = await openStore();
    const sessions = Array.from({ length: 20 }, () => record());
    const inserts = sessions.map(async (session) => store.insert(session));
    await store.close();
    expect(await Promise.all(inserts)).toEqual(sessions.map(() => true));
    const again = await openStore();
    expect(await again.findMany(sessions.map(({ key }) => key))).toEqual(sessions);
  });
});

describe('activity', () => {
  /** What a start would find if the process died now. */
  const afterCrash = async (name: string): Promise<SessionStore> => {
    await cp(path, join(folder.path, name), { recursive: true });
    return openStore(join(folder.path, name));
  };

  test('reaches the disk at most once a minute, in one file', async () => {
    const [one, two] = [record(), record()];
    const store = await openStore();
    await insertAll(store, [one, two]);
    const before = await sessionFiles();
    const written = await Promise.all(before.map((name) => stat(join(path, 'gateway', name))));
    for (let second = 1; second <= 59; second++) {
      clock.advance(1000);
      await store.touchMany([{ key: one.key, at: clock.now() }]);
      await store.sweep(clock.now(), 10);
    }
    expect(await filesBelow()).not.toContain('activity');
    expect((await find(await afterCrash('first'), one.key))?.lastActivity).toBe(start);

    clock.advance(1000);
    await store.touchMany([{ key: one.key, at: clock.now() }]);
    await eventually('the activity is written', 5000, async () =>
      (await filesBelow()).includes('activity') ? true : undefined,
    );
    const second = await afterCrash('second');
    expect(await second.findMany([one.key, two.key])).toEqual([
      { ...one, lastActivity: start + 60_000 },
      two,
    ]);
    // No record was written again.
    const now = await Promise.all(before.map((name) => stat(join(path, 'gateway', name))));
    expect(now.map(({ ino, mtimeMs }) => [ino, mtimeMs])).toEqual(
      written.map(({ ino, mtimeMs }) => [ino, mtimeMs]),
    );
  });

  test('the last one is written by the next sweep when nobody comes any more', async () => {
    const one = record();
    const store = await openStore();
    await insertAll(store, [one]);
    await store.touchMany([{ key: one.key, at: start + 5 }]);
    clock.advance(60_000);
    await store.sweep(clock.now(), 10);
    await eventually('the activity is written', 5000, async () =>
      (await filesBelow()).includes('activity') ? true : undefined,
    );
    expect((await find(await afterCrash('copy'), one.key))?.lastActivity).toBe(start + 5);
  });

  test('an older file never lowers what a record says, a broken one costs only activity', async () => {
    const one = record();
    let store = await openStore();
    await insertAll(store, [one]);
    await store.touchMany([{ key: one.key, at: start + 100 }]);
    await store.close();
    const old = await readFile(join(path, 'gateway/activity'));
    store = await openStore();
    expect(await store.replace(one.key, 1, { ...one, version: 2, lastActivity: start + 500 })).toBe(true);
    await store.close();
    await writeFile(join(path, 'gateway/activity'), old);
    store = await openStore();
    expect((await find(store, one.key))?.lastActivity).toBe(start + 500);
    await store.close();
    old[old.length - 3] = 1 ^ (old.at(-3) ?? 0);
    await writeFile(join(path, 'gateway/activity'), old);
    store = await openStore();
    expect((await find(store, one.key))?.lastActivity).toBe(start + 500);
    expect(logger.entries.map(({ fields }) => fields.file)).toEqual(['activity']);
    expect(await filesBelow()).toContain('quarantine/activity');
  });
});

describe('concurrent changes', () => {
  test('"all sessions of a user" includes one that is being rotated', async () => {
    const sessions = Array.from({ length: 10 }, () => record());
    const store = await openStore();
    await insertAll(store, sessions);
    const rotations = sessions.map(async (session) =>
      store.replace(session.key, 1, record({ publicId: session.publicId, version: 2 })),
    );
    const ended = await store.deleteByUser('john');
    await Promise.all(rotations);
    expect([...ended].sort()).toEqual(sessions.map(({ publicId }) => publicId).sort());
    expect(await store.listByUser('john')).toEqual([]);
    expect(await sessionFiles()).toEqual([]);
  });

  test('what comes out cannot change what is kept', async () => {
    const one = record();
    const store = await openStore();
    const sealed = Buffer.from(one.sealed);
    await insertAll(store, [one]);
    one.sealed.fill(0);
    (await find(store, one.key))?.sealed.fill(1);
    (await store.listByUser('john'))[0]?.sealed.fill(2);
    expect((await find(store, one.key))?.sealed).toEqual(sealed);
  });
});

describe('one process', () => {
  const holder = async (command: string, args: readonly string[]) => {
    const holding = startChild(command, [...args, child, path, 'hold'], { cwd: folder.path });
    await eventually('the child holds the folder', 10_000, () =>
      holding.output().includes('open') ? true : undefined,
    );
    return holding;
  };

  test('a second one is refused with the pid of the first; when that is killed it may begin', async () => {
    const first = await holder(process.execPath, []);
    await expect(openStore()).rejects.toThrow(
      new RegExp(
        `^session\\.filesystem\\.path: ${path} .*held by process ${first.pid} on .*: one process only`,
      ),
    );
    first.signal('SIGKILL');
    await eventually('the child is gone', 5000, () => (first.hasExited ? true : undefined));
    const store = await openStore();
    expect(await store.insert(record())).toBe(true);
  });

  test.skipIf(!isRoot)(
    'also from another process id namespace, as containers have (needs root)',
    async () => {
      const first = await holder('unshare', ['--pid', '--fork', '--kill-child', process.execPath]);
      await expect(openStore()).rejects.toThrow(/held by process \d+ on /);
      first.signal('SIGKILL');
      await eventually('the child has let go', 5000, () => openStore());
    },
  );

  test('two stores of one process exclude each other too', async () => {
    const store = await openStore();
    await expect(openStore()).rejects.toThrow(`held by process ${process.pid} on `);
    // The refusal did not give the lock away.
    const second = startChild(process.execPath, [child, path, 'hold'], { cwd: folder.path });
    await eventually('the child is refused', 10_000, () => (second.hasExited ? true : undefined));
    expect(second.output()).toContain(`held by process ${process.pid}`);
    await store.close();
    await openStore();
  });

  test('a lock file that is none is an error that names the key', async () => {
    await mkdir(join(path, 'gateway'), { recursive: true });
    await writeFile(join(path, 'gateway/lock'), 'x'.repeat(4096));
    await expect(openStore()).rejects.toThrow(/^session\.filesystem\.path: .*not a database/);
  });
});

describe('permissions', () => {
  test('folders are 0700, files 0600, also in a folder that was open to all', async () => {
    await mkdir(join(path, 'gateway'), { recursive: true, mode: 0o777 });
    await chmod(join(path, 'gateway'), 0o777);
    const store = await openStore();
    const one = record();
    await insertAll(store, [one, record()]);
    await store.replace(one.key, 1, { ...one, version: 2 });
    await store.touchMany([{ key: one.key, at: start + 1 }]);
    await store.close();
    const entries = await readdir(join(path, 'gateway'), { recursive: true, withFileTypes: true });
    const modes = new Set<string>();
    for (const entry of [{ parentPath: path, name: 'gateway' }, ...entries]) {
      const found = await stat(join(entry.parentPath, entry.name));
      modes.add(`${found.isDirectory() ? 'folder' : 'file'} ${(found.mode & 0o777).toString(8)}`);
    }
    expect([...modes].sort()).toEqual(['file 600', 'folder 700']);
  });

  test('a symbolic link at the path or the realm is refused', async () => {
    const target = join(folder.path, 'target');
    await mkdir(target);
    await symlink(target, path);
    await expect(openStore()).rejects.toThrow(
      /^session\.filesystem\.path: .*is a symbolic link: name the folder itself/,
    );
    await expect(openStore(`${path}/`)).rejects.toThrow('is a symbolic link');
    await rm(path);
    await mkdir(path);
    await symlink(target, join(path, 'gateway'));
    await expect(openStore()).rejects.toThrow('is a symbolic link');
    expect(await readdir(target)).toEqual([]);
  });

  test('a path that is a file, or below one, is an error that names the key', async () => {
    await writeFile(path, '');
    await expect(openStore()).rejects.toThrow(/^session\.filesystem\.path: .*EEXIST/);
    await expect(openStore(join(path, 'below'))).rejects.toThrow(/^session\.filesystem\.path: .*ENOTDIR/);
  });
});

describe('broken and foreign files', () => {
  test('torn and altered ones are put into quarantine and cost only themselves', async () => {
    let store = await openStore();
    const good = [record({ userId: 'good' }), record({ userId: 'good' })];
    await insertAll(store, good);
    const size = (await stat(await fileOf(good[0]?.key ?? ''))).size;
    // One is cut at each length, another has one bit turned at each byte.
    const bad = Array.from({ length: 2 * size }, () => record());
    const goodFiles = new Set(await sessionFiles());
    await insertAll(store, bad);
    await store.close();
    const badFiles = (await sessionFiles()).filter((name) => !goodFiles.has(name));
    expect(badFiles).toHaveLength(2 * size);
    for (const [index, name] of badFiles.entries()) {
      const file = join(path, 'gateway', name);
      const at = index % size;
      if (index < size) await truncate(file, at);
      else {
        const bytes = await readFile(file);
        bytes[at] = (bytes[at] ?? 0) ^ (1 << (index % 8));
        await writeFile(file, bytes);
      }
    }
    store = await openStore();
    expect(await store.findMany(good.map(({ key }) => key))).toEqual(good);
    expect(await store.findMany(bad.map(({ key }) => key))).toEqual(bad.map(() => null));
    expect(await readdir(join(path, 'gateway/quarantine'))).toHaveLength(2 * size);
    expect(logger.entries).toHaveLength(21);
    expect(logger.entries.at(-1)?.fields.reason).toBe(`${2 * size} files altogether`);
    store = await restart(store);
    expect(await store.listByUser('good')).toHaveLength(2);
    expect(logger.entries).toHaveLength(21);
  });

  test('what is none of ours is put aside unread', async () => {
    let store = await openStore();
    const one = record();
    await insertAll(store, [one]);
    const file = await fileOf(one.key);
    await store.close();
    const realm = join(path, 'gateway');
    const secret = join(folder.path, 'secret');
    await writeFile(secret, 'not yours');
    await writeFile(join(realm, '05/notes.txt'), 'hello');
    await writeFile(join(realm, '05/105.session'), 'hello');
    await writeFile(join(realm, '05/205.session'), Buffer.alloc(2_000_000));
    await writeFile(join(realm, '05/6.session'), 'in the wrong folder');
    await mkdir(join(realm, '05/305.session'));
    await symlink(secret, join(realm, '05/405.session'));
    await run('mkfifo', [join(realm, '05/505.session')]);
    await copyFile(file, join(realm, '05/605.session'));
    await writeFile(join(realm, '05/705.session.3.tmp'), 'what a crash leaves');
    store = await openStore();
    expect(await store.listByUser('john')).toEqual([one]);
    expect(logger.entries.map(({ fields }) => String(fields.file)).sort()).toEqual([
      '05/105.session',
      '05/205.session',
      '05/305.session',
      '05/405.session',
      '05/505.session',
      '05/6.session',
      '05/605.session',
      '05/notes.txt',
    ]);
    expect(await readdir(join(realm, '05'))).toEqual([]);
    expect(await readFile(secret, 'utf8')).toBe('not yours');
  });

  test('of two files with one key the second is put aside', async () => {
    const [one, two] = [record(), record()];
    let store = await openStore();
    await insertAll(store, [one, two]);
    await store.close();
    // Another store's file of the same number.
    const other = join(folder.path, 'other');
    const foreign = await openStore(other);
    await insertAll(foreign, [record(), { ...one, userId: 'harry' }]);
    await foreign.close();
    await rename(join(other, 'gateway/01/1.session'), join(path, 'gateway/01/1.session'));
    store = await openStore();
    expect(await store.findMany([one.key, two.key])).toEqual([one, null]);
    expect(logger.entries.map(({ fields }) => fields.file)).toEqual(['01/1.session']);
  });

  test('files that vanish while the store is open hinder nothing', async () => {
    const [one, two] = [record(), record()];
    const store = await openStore();
    await insertAll(store, [one, two]);
    for (const name of await sessionFiles()) await rm(join(path, 'gateway', name));
    expect(await store.findMany([one.key, two.key])).toEqual([one, two]);
    expect(await store.delete(one.key)).toBe(one.publicId);
    expect(await store.replace(two.key, 1, { ...two, version: 2 })).toBe(true);
    expect(await find(await restart(store), two.key)).toEqual({ ...two, version: 2 });
  });
});

describe('a process that dies', () => {
  const old = record();
  const next = record({ publicId: old.publicId, version: 2 });
  const added = record();
  const states = {
    old: [old, null, null],
    next: [null, next, null],
    both: [old, null, added],
    none: [null, null, null],
  };

  test.each([
    { operation: 'insert', args: [added], before: states.old, after: states.both, answer: 'true' },
    { operation: 'replace', args: [old, next], before: states.old, after: states.next, answer: 'true' },
    { operation: 'delete', args: [old], before: states.old, after: states.none, answer: old.publicId },
  ])(
    'at any step of $operation leaves the state before or after it',
    async ({ operation, args, before, after, answer }) => {
      const other = record();
      const prepared = join(folder.path, 'prepared');
      const store = await openStore(prepared);
      await insertAll(store, [old, other]);
      await store.close();
      const texts = args.map((session) => JSON.stringify(session));
      let acknowledged = false;
      const seen: string[] = [];
      for (let step = 0; !acknowledged; step++) {
        path = join(folder.path, `crash-${step}`);
        await cp(prepared, path, { recursive: true });
        const crashing = startChild(process.execPath, [child, path, operation, String(step), ...texts], {
          cwd: folder.path,
        });
        await eventually('the child is gone', 10_000, () => (crashing.hasExited ? true : undefined));
        acknowledged = crashing.output().includes('acknowledged');
        expect(crashing.output()).toBe(acknowledged ? `acknowledged ${answer}\n` : '');
        const restarted = await openStore();
        const found = await restarted.findMany([old.key, next.key, added.key]);
        expect(acknowledged ? [after] : [before, after]).toContainEqual(found);
        expect(await find(restarted, other.key)).toEqual(other);
        expect((await filesBelow()).filter((name) => /quarantine|tmp/.test(name))).toEqual([]);
        expect(logger.entries).toEqual([]);
        seen.push(JSON.stringify(found) === JSON.stringify(before) ? 'before' : 'after');
        await restarted.close();
      }
      expect(seen[0]).toBe('before');
      expect(seen.length).toBeGreaterThan(3);
    },
  );
});

describe.skipIf(!isRoot)('a disk that fails (needs root, for mounts)', () => {
  const mount = async (options: string): Promise<void> => {
    await mkdir(path);
    await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
    mounts.push(path);
  };

  test.each([
    ['space', 'size=1m,mode=700'],
    ['inodes', 'nr_inodes=400,mode=700'],
  ])('a disk without %s: reads go on, new sessions are refused, logouts hold', async (_what, options) => {
    await mount(options);
    let store = await openStore();
    const held: StoredSession[] = [];
    const fill = async (): Promise<void> => {
      for (;;) {
        const session = record({ sealed: random.bytes(400) });
        await store.insert(session);
        held.push(session);
      }
    };
    await expect(fill()).rejects.toThrow(StoreUnavailable);
    await expect(fill()).rejects.toThrow(/sessions folder .* cannot be changed: ENOSPC/);
    expect(held.length).toBeGreaterThan(100);
    const [first, second] = [held[0], held[1]];
    if (!first || !second) throw new Error('nothing was written');
    await expect(store.replace(first.key, 1, { ...first, version: 2 })).rejects.toThrow(StoreUnavailable);
    expect(await store.findMany(held.map(({ key }) => key))).toEqual(held);
    expect(await store.listByUser('john')).toHaveLength(held.length);
    await store.touchMany([{ key: second.key, at: start + 1 }]);
    expect((await filesBelow()).filter((name) => name.endsWith('.tmp'))).toEqual([]);
    expect(await store.ping()).toBeUndefined();
    // It can be opened again while it is full: what was answered is there, the activity was not written.
    store = await restart(store);
    expect(await store.findMany(held.map(({ key }) => key))).toEqual(held);
    expect(await store.delete(first.key)).toBe(first.publicId);
    const later = record();
    expect(await store.insert(later)).toBe(true);
    store = await restart(store);
    expect(await store.findMany([first.key, second.key, later.key])).toEqual([null, second, later]);
  });

  test('a disk that becomes read-only: reads go on, nothing is said to be changed', async () => {
    await mount('size=4m,mode=700');
    const store = await openStore();
    const [one, old] = [record(), record({ expiresAt: start - 1 })];
    await insertAll(store, [one, old]);
    // Over the old one, which an open file keeps from becoming read-only itself.
    await run('mount', ['--bind', path, path]);
    mounts.push(path);
    await run('mount', ['-o', 'remount,bind,ro', path]);
    await expect(store.insert(record())).rejects.toThrow(StoreUnavailable);
    await expect(store.replace(one.key, 1, { ...one, version: 2 })).rejects.toThrow(StoreUnavailable);
    await expect(store.delete(one.key)).rejects.toThrow(StoreUnavailable);
    await expect(store.deleteByUser('john')).rejects.toThrow(StoreUnavailable);
    await expect(store.sweep(start, 10)).rejects.toThrow(StoreUnavailable);
    expect(await store.findMany([one.key, old.key])).toEqual([one, old]);
    await run('umount', [mounts.pop() ?? '']);
    // To repeat it is safe.
    expect(await store.delete(one.key)).toBe(one.publicId);
    expect(await store.sweep(start, 10)).toBe(1);
  });
});

test('a folder that was moved away: reads go on, changes and ping say so', async () => {
  const one = record();
  const store = await openStore();
  await insertAll(store, [one]);
  expect(await store.ping()).toBeUndefined();
  await rename(path, `${path}-moved`);
  await expect((async () => store.ping())()).rejects.toThrow(/was moved, removed or unmounted/);
  await expect(store.insert(record())).rejects.toThrow(StoreUnavailable);
  await expect(store.delete(one.key)).rejects.toThrow(StoreUnavailable);
  expect(await find(store, one.key)).toEqual(one);
  await store.close();
  await expect(access(path, constants.F_OK)).rejects.toThrow('ENOENT');
});
