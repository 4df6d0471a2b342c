import { chmod, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashPassword } from '../../../../src/users/digest.ts';
import { openFileBackend } from '../../../../src/users/drivers/file.ts';
import type { FileBackendDeps, FileBackendOptions } from '../../../../src/users/drivers/file.ts';
import { InvalidUsersFile } from '../../../../src/users/users-file.ts';
import type { UserBackend } from '../../../../src/users/backend.ts';
import type { PasswordOptions } from '../../../../src/users/password-options.ts';
import { fakeTimers } from '../../../support/fake-timers.ts';
import { cheapPasswords, countingQueue, listLogger, random } from '../fakes.ts';

let folder = '';
let path = '';
let opened: UserBackend[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-file-backend-'));
  path = join(folder, 'users.yml');
});

afterEach(async () => {
  await Promise.all(opened.map((backend) => backend.close()));
  opened = [];
  await rm(folder, { recursive: true });
});

const digest = (password: string, options: PasswordOptions = cheapPasswords) =>
  hashPassword(password, options, random);

const fileOf = (users: Record<string, object>): string => JSON.stringify({ users });

/** Folders that are watched, and how to say that something happened in them. */
function fakeWatch() {
  const folders = new Map<string, { changed: () => void; failed: (cause: unknown) => void }>();
  return {
    folders,
    watchFolder: ((watched, changed, failed) => {
      folders.set(watched, { changed, failed });
      return () => folders.delete(watched);
    }) as NonNullable<FileBackendDeps['watchFolder']>,
  };
}

async function open(changes: Partial<FileBackendOptions> = {}, more: Partial<FileBackendDeps> = {}) {
  const timers = fakeTimers();
  const hashQueue = countingQueue();
  const logger = listLogger();
  const backend = await openFileBackend(
    {
      path,
      watch: false,
      search: { email: false, case_insensitive: false },
      extra_attributes: {},
      password: cheapPasswords,
      ...changes,
    },
    { random, timers, logger, hashQueue, ...more },
  );
  opened.push(backend);
  return { backend, timers, hashQueue, logger };
}

/** Lets everything that waits for the file system go on until `isDone`. */
async function settle(isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}

describe('opening', () => {
  test('without a file says how to make one and makes none', async () => {
    await expect(open()).rejects.toThrow(InvalidUsersFile);
    await expect(open()).rejects.toThrow(
      /users\.yml: there is no such file\. [\s\S]*\nusers:\n {2}jane:\n {4}displayname:[\s\S]*password:[\s\S]*email:[\s\S]*groups:/,
    );
  });

  test('a folder, other encodings and bad content are refused', async () => {
    await expect(open({ path: folder })).rejects.toThrow(/this is a folder/);
    await writeFile(path, Buffer.from([0xff, 0xfe, 0x00]));
    await expect(open()).rejects.toThrow(/no text in UTF-8/);
    await writeFile(path, 'users: 1');
    await expect(open()).rejects.toThrow(/users\.yml:1: 'users' must be a map/);
  });

  test.skipIf(process.getuid?.() === 0)('a file that may not be read is refused (not as root)', async () => {
    await writeFile(path, fileOf({}), { mode: 0o000 });
    await expect(open()).rejects.toThrow(/this process may not read it/);
  });

  test('logs the warnings of the file', async () => {
    await writeFile(path, fileOf({ jane: { displayname: 'J', password: '$plaintext$x' } }));
    const { logger } = await open();
    expect(logger.entries).toEqual([
      { level: 'warn', message: expect.stringMatching(/user 'jane': 'password' is readable/) as string },
    ]);
  });
});

describe('names', () => {
  test('find answers at once, without a promise', async () => {
    await writeFile(path, fileOf({ jane: { displayname: 'J', password: await digest('x') } }));
    const { backend } = await open();
    expect(backend.find('jane')).toMatchObject({ username: 'jane' });
    expect(backend.find('nobody')).toBeNull();
  });

  test.each([
    ['neither', false, false, ['jane']],
    ['case_insensitive', false, true, ['jane', 'JANE']],
    ['email', true, false, ['jane', 'Jane@X.org']],
    ['both', true, true, ['jane', 'JANE', 'Jane@X.org', 'JANE@x.ORG']],
  ] as const)('search with %s', async (_name, email, case_insensitive, known) => {
    const password = await digest('x');
    await writeFile(path, fileOf({ jane: { displayname: 'J', password, email: 'Jane@X.org' } }));
    const { backend } = await open({ search: { email, case_insensitive } });
    for (const name of ['jane', 'JANE', 'Jane@X.org', 'JANE@x.ORG', 'jane ']) {
      const expected = (known as readonly string[]).includes(name) ? 'jane' : null;
      const check = await backend.checkPassword(name, 'x');
      const found = await backend.find(name);
      expect([name, found?.username ?? null]).toEqual([name, expected]);
      expect([name, check.status === 'success' ? check.user.username : null]).toEqual([name, expected]);
    }
  });
});

describe('costs', () => {
  test('unknown names cost what the people of the file cost, each name always the same', async () => {
    const costly = { ...cheapPasswords, argon2: { ...cheapPasswords.argon2, memory: 128 } };
    await writeFile(
      path,
      fileOf({
        jane: { displayname: 'J', password: await digest('x') },
        bob: { displayname: 'B', password: await digest('x', costly) },
      }),
    );
    const { backend, hashQueue } = await open({ password: { ...cheapPasswords, algorithm: 'bcrypt' } });
    const names = Array.from({ length: 64 }, (_, i) => `nobody${i}`);
    const costsOf = async (): Promise<readonly number[]> => {
      hashQueue.costs.length = 0;
      for (const name of names) await backend.checkPassword(name, 'x');
      return [...hashQueue.costs];
    };
    const costs = await costsOf();
    expect(new Set(costs)).toEqual(new Set([64 * 1024, 128 * 1024]));
    expect(await costsOf()).toEqual(costs);
  });

  test('somebody whose digest cannot be verified, and an empty file, cost a hash as configured', async () => {
    await writeFile(
      path,
      fileOf({
        old: { displayname: 'O', password: '$y$j9T$abc$7i/136rkrCoteXCYVMmke8IbBDFEZdMzaNTpkj.7sJ2' },
      }),
    );
    const { backend, hashQueue } = await open();
    expect(await backend.checkPassword('old', 'a')).toEqual({ status: 'failure' });
    expect(await backend.checkPassword('nobody', 'a')).toEqual({ status: 'failure' });
    expect(hashQueue.costs).toEqual([64 * 1024, 64 * 1024]);
    expect(backend.find('old')).not.toBeNull();
  });
});

describe('a change while a check runs', () => {
  test.each([
    ['another password', { displayname: 'J', password: '$pbkdf2-sha256$1$c2FsdHNhbHQ$AAAA' }, 'failure'],
    ['disabled', { displayname: 'J', disabled: true }, 'failure'],
    ['gone', undefined, 'failure'],
    ['another display name', { displayname: 'Jane' }, 'success'],
  ] as const)('%s', async (_name, change, status) => {
    const password = await digest('x');
    await writeFile(path, fileOf({ jane: { displayname: 'J', password } }));
    const gate = Promise.withResolvers<void>();
    const hashQueue = {
      run: async <T>(_memory: number, job: () => Promise<T>): Promise<T> => {
        await gate.promise;
        return job();
      },
    };
    const { backend } = await open({}, { hashQueue });
    const check = backend.checkPassword('jane', 'x');
    await writeFile(
      path,
      fileOf(change ? { jane: { password, ...change } } : { bob: { displayname: 'B', password } }),
    );
    await backend.reload();
    gate.resolve();
    expect((await check).status).toBe(status);
  });
});

test('who is gone is told when the file is read again: missing or disabled now, there before', async () => {
  const password = await digest('x');
  const person = (more: object = {}) => ({ displayname: 'P', password, ...more });
  const gone: (readonly string[])[] = [];
  await writeFile(
    path,
    fileOf({ jane: person(), bob: person(), eve: person({ disabled: true }), joe: person() }),
  );
  const { backend } = await open({}, { onGone: (usernames) => gone.push(usernames) });
  await backend.reload();
  await writeFile(path, fileOf({ jane: person(), bob: person({ disabled: true }) }));
  await backend.reload();
  await writeFile(path, fileOf({ jane: person(), bob: person(), new: person() }));
  await backend.reload();
  await writeFile(path, 'users: 1');
  await expect(backend.reload()).rejects.toThrow(InvalidUsersFile);
  expect(gone).toEqual([['bob', 'joe']]);
});

const write = async (displayname: string, to = path): Promise<void> =>
  writeFile(to, fileOf({ jane: { displayname, password: await digest('x') } }));

describe('watching', () => {
  test('reads the file once, a moment after the first of several events', async () => {
    await write('one');
    const { folders, watchFolder } = fakeWatch();
    const { backend, timers, logger } = await open({ watch: true }, { watchFolder });
    await write('two');
    folders.get(folder)?.changed();
    timers.advance(200);
    folders.get(folder)?.changed();
    expect(timers.pending).toBe(1);
    timers.advance(50);
    await settle(() => logger.entries.length > 0);
    expect(logger.entries).toEqual([{ level: 'info', message: 'users file read again' }]);
    expect(backend.find('jane')).toMatchObject({ displayName: 'two' });
  });

  test('keeps the last good file and says what is wrong with the new one', async () => {
    await write('one');
    const { folders, watchFolder } = fakeWatch();
    const { backend, timers, logger } = await open({ watch: true }, { watchFolder });
    const event = async (): Promise<string> => {
      const before = logger.entries.length;
      folders.get(folder)?.changed();
      timers.advance(250);
      await settle(() => logger.entries.length > before);
      return logger.entries.at(-1)?.message ?? '';
    };
    await writeFile(path, 'users:\n  jane:\n    displayname: two\n');
    expect(await event()).toMatch(
      /last good one stays in force: .*users\.yml:2: user 'jane': 'password' is missing/,
    );
    await rm(path);
    expect(await event()).toMatch(/there is no such file/);
    expect(backend.find('jane')).toMatchObject({ displayName: 'one' });
    await write('three');
    expect(await event()).toBe('users file read again');
    expect(backend.find('jane')).toMatchObject({ displayName: 'three' });
  });

  test('follows links that are turned, as Kubernetes does', async () => {
    await mkdir(join(folder, 'v1'));
    await mkdir(join(folder, 'v2'));
    await write('one', join(folder, 'v1', 'users.yml'));
    await write('two', join(folder, 'v2', 'users.yml'));
    await symlink('v1', join(folder, '..data'));
    await symlink(join('..data', 'users.yml'), path);
    const { folders, watchFolder } = fakeWatch();
    const { backend, timers } = await open({ watch: true }, { watchFolder });
    await settle(() => folders.size === 2);
    expect([...folders.keys()]).toEqual([folder, join(folder, 'v1')]);
    await symlink('v2', join(folder, '..new'));
    await rename(join(folder, '..new'), join(folder, '..data'));
    folders.get(folder)?.changed();
    timers.advance(250);
    await settle(() => folders.has(join(folder, 'v2')));
    expect([...folders.keys()]).toEqual([folder, join(folder, 'v2')]);
    expect(backend.find('jane')).toMatchObject({ displayName: 'two' });
  });

  test('says when nothing will be heard any more, and goes on', async () => {
    await write('one');
    const { folders, watchFolder } = fakeWatch();
    const { backend, logger } = await open({ watch: true }, { watchFolder });
    folders.get(folder)?.failed(new Error('too many watches'));
    expect(logger.entries).toEqual([
      { level: 'warn', message: expect.stringMatching(/too many watches.*send SIGHUP/) as string },
    ]);
    expect(backend.find('jane')).toMatchObject({ displayName: 'one' });
  });

  test('ends with close', async () => {
    await write('one');
    const { folders, watchFolder } = fakeWatch();
    const { backend, timers } = await open({ watch: true }, { watchFolder });
    folders.get(folder)?.changed();
    await backend.close();
    expect(folders.size).toBe(0);
    expect(timers.pending).toBe(0);
  });

  test('does not outlive a file that cannot be used', async () => {
    const { folders, watchFolder } = fakeWatch();
    await expect(open({ watch: true }, { watchFolder })).rejects.toThrow(/no such file/);
    expect(folders.size).toBe(0);
  });

  test('hears of a file that is renamed over the old one', async () => {
    await write('one');
    const heard = Promise.withResolvers<() => void>();
    const timers = {
      after(_ms: number, run: () => void) {
        heard.resolve(run);
        return () => undefined;
      },
    };
    const { backend, logger } = await open({ watch: true }, { timers });
    await write('two', join(folder, 'new.yml'));
    await rename(join(folder, 'new.yml'), path);
    (await heard.promise)();
    await settle(() => logger.entries.length > 0);
    expect(backend.find('jane')).toMatchObject({ displayName: 'two' });
  });
});

test('a reload of an unchanged file does nothing, one after lost permission keeps the state', async () => {
  await writeFile(path, fileOf({ jane: { displayname: 'J', password: '$plaintext$x' } }));
  const { backend, logger } = await open();
  await backend.reload();
  expect(logger.entries).toHaveLength(1);
  if (process.getuid?.() === 0) await rm(path);
  else await chmod(path, 0o000);
  await expect(backend.reload()).rejects.toThrow(InvalidUsersFile);
  expect(backend.find('jane')).not.toBeNull();
});
