import {
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  writeFile,
  chown,
} from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tryLockFile } from '../../../src/lib/file-lock.ts';
import { BackendUnavailable } from '../../../src/users/backend.ts';
import type { UserBackend } from '../../../src/users/backend.ts';
import { hashPassword } from '../../../src/users/digest.ts';
import { openFileBackend } from '../../../src/users/drivers/file.ts';
import type { FileBackendDeps, FileBackendOptions } from '../../../src/users/drivers/file.ts';
import { type Child, startChild } from '../../support/child.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeTimers } from '../../support/fake-timers.ts';
import { temporaryFolder, type TemporaryFolder } from '../../support/temporary-folder.ts';
import { cheapPasswords, countingQueue, listLogger, random } from './fakes.ts';

/** How the file driver writes a password; what every backend promises stands in test/contract/user-backend.test.ts. */

let home: TemporaryFolder;
let path = '';
let opened: UserBackend[] = [];
let children: Child[] = [];

beforeEach(async () => {
  home = await temporaryFolder('password-writing');
  path = join(home.path, 'users.yml');
});

afterEach(async () => {
  await Promise.all([...opened.map((backend) => backend.close()), ...children.map((child) => child.stop())]);
  opened = [];
  children = [];
  await home.remove();
});

const NAMES = ['ann', 'bob', 'cat', 'dan'];

async function usersText(password = 'old'): Promise<string> {
  const digest = await hashPassword(password, cheapPasswords, random);
  const entries = NAMES.map(
    (name) => `  # ${name} of the house\n  ${name}: {displayname: ${name}, password: '${digest}'} # ${name}`,
  );
  return `# people\nusers:\n${entries.join('\n')}\n# end\n`;
}

const withoutDigests = (text: string): string => text.replaceAll(/'\$[^']+'/g, "'…'");

async function open(changes: Partial<FileBackendOptions> = {}, more: Partial<FileBackendDeps> = {}) {
  const timers = fakeTimers();
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
    { random, timers, logger, hashQueue: countingQueue(), ...more },
  );
  opened.push(backend);
  const set = (name: string, password: string) => {
    if (!backend.setPassword) throw new Error('the file driver writes');
    return backend.setPassword(name, password);
  };
  return { backend, timers, logger, set };
}

const statusOf = async (backend: UserBackend, name: string, password: string) =>
  (await backend.checkPassword(name, password)).status;

test('what another process has written changes the mark of a password within two seconds, without a watch', async () => {
  await writeFile(path, await usersText());
  const [one, other] = [await open(), await open()];
  const before = await other.backend.passwordMark?.('bob');
  await one.set('bob', 'new');
  expect(other.backend.passwordMark?.('bob')).toBe(before);
  other.timers.advance(2000);
  const after = await other.backend.passwordMark?.('bob');
  expect(after).not.toBe(before);
  expect(after).toBe(await one.backend.passwordMark?.('bob'));
  await one.set('bob', 'newest');
  expect(other.backend.passwordMark?.('bob')).toBe(after);
  expect(await other.backend.passwordMark?.('bob', 'now')).toBe(await one.backend.passwordMark?.('bob'));
});

describe('the file', () => {
  test('keeps its mode and everything but the digest; only the lock is left beside it', async () => {
    const text = await usersText();
    await writeFile(path, text);
    await chmod(path, 0o640);
    // What a crash left behind is in nobody's way.
    await writeFile(`${path}.tmp`, 'half a fi');
    const { set } = await open();
    expect(await set('bob', 'new')).toEqual({ status: 'changed' });
    const after = await readFile(path, 'utf8');
    expect(after).not.toBe(text);
    expect(withoutDigests(after)).toBe(withoutDigests(text));
    expect((await stat(path)).mode & 0o7777).toBe(0o640);
    expect((await readdir(home.path)).sort()).toEqual(['.users.yml.lock', 'users.yml']);
  });

  test.skipIf(process.getuid?.() !== 0)(
    'keeps its owner and group, and so does the lock (needs root)',
    async () => {
      await writeFile(path, await usersText());
      await chown(path, 1234, 2345);
      const { set } = await open();
      await set('bob', 'new');
      for (const name of [path, join(home.path, '.users.yml.lock')]) {
        expect([name, await stat(name)]).toMatchObject([name, { uid: 1234, gid: 2345 }]);
      }
    },
  );

  test('that is reached over a link is exchanged where it lies; the link stays', async () => {
    const elsewhere = join(home.path, 'elsewhere');
    await mkdir(elsewhere);
    await writeFile(join(elsewhere, 'real.yml'), await usersText());
    await symlink(join('elsewhere', 'real.yml'), path);
    const { set } = await open();
    await set('bob', 'new');
    expect((await lstat(path)).isSymbolicLink()).toBe(true);
    expect(await readlink(path)).toBe(join('elsewhere', 'real.yml'));
    expect((await lstat(join(elsewhere, 'real.yml'))).isFile()).toBe(true);
    const { backend } = await open();
    expect(await statusOf(backend, 'bob', 'new')).toBe('success');
  });

  test('is read before it is written: what others changed meanwhile stays and is known', async () => {
    await writeFile(path, await usersText());
    const gone: (readonly string[])[] = [];
    const { backend, set } = await open({}, { onGone: (names) => gone.push(names) });
    const edited = (await readFile(path, 'utf8')).replace(
      'displayname: dan',
      'disabled: true, displayname: Dan',
    );
    await writeFile(path, edited);
    await set('bob', 'new');
    expect(withoutDigests(await readFile(path, 'utf8'))).toBe(withoutDigests(edited));
    expect(await backend.find('dan')).toBeNull();
    expect(gone).toEqual([['dan']]);
  });

  test('that has become invalid is left alone, and the message says where', async () => {
    await writeFile(path, await usersText());
    const { backend, set } = await open();
    const broken = 'users:\n  bob:\n    displayname: B\n';
    await writeFile(path, broken);
    await expect(set('bob', 'new')).rejects.toThrow(
      /^the password of 'bob' was not written: .*users\.yml:2: user 'bob': 'password' is missing/,
    );
    expect(await readFile(path, 'utf8')).toBe(broken);
    expect(await statusOf(backend, 'bob', 'old')).toBe('success');
  });

  test('whose entry is shared is left alone', async () => {
    const text = (await usersText()).replace(/cat: \{.*\} #/, 'cat: *ann #').replace('ann: {', 'ann: &ann {');
    await writeFile(path, text);
    const { set } = await open();
    await expect(set('cat', 'new')).rejects.toThrow(BackendUnavailable);
    await expect(set('cat', 'new')).rejects.toThrow(/shared with 'ann' through a YAML alias/);
    expect(await readFile(path, 'utf8')).toBe(text);
  });
});

test('a password that the algorithm cannot take is refused with its reason', async () => {
  await writeFile(path, await usersText());
  const { set } = await open({ password: { ...cheapPasswords, algorithm: 'bcrypt' } });
  expect(await set('bob', 'x'.repeat(73))).toEqual({
    status: 'refused',
    reason: expect.stringMatching(/first 72 bytes/) as string,
  });
  expect(await set('bob', 'x'.repeat(72))).toEqual({ status: 'changed' });
  expect(await readFile(path, 'utf8')).toContain("bob, password: '$2b$04$");
});

test('the watch of the one who wrote reads nothing again, that of another does', async () => {
  await writeFile(path, await usersText());
  const watches: (() => void)[] = [];
  const watchFolder = (_folder: string, changed: () => void) => {
    watches.push(changed);
    return () => undefined;
  };
  const writer = await open({ watch: true }, { watchFolder });
  const other = await open({ watch: true }, { watchFolder });
  await writer.set('bob', 'new');
  for (const changed of watches) changed();
  writer.timers.advance(250);
  other.timers.advance(250);
  await eventually('the other reads', 5_000, () => other.logger.entries[0]);
  await writer.backend.reload();
  expect(writer.logger.entries).toEqual([]);
  expect(other.logger.entries).toEqual([{ level: 'info', message: 'users file read again' }]);
  expect(await statusOf(other.backend, 'bob', 'new')).toBe('success');
});

test('what one process has written holds for the next check of others, without a watch', async () => {
  await writeFile(path, await usersText());
  const [writer, other] = [await open(), await open()];
  for (const password of ['second', 'third']) {
    await writer.set('bob', password);
    expect(await statusOf(other.backend, 'bob', password)).toBe('success');
    expect(await statusOf(other.backend, 'bob', 'old')).toBe('failure');
  }
  expect(other.logger.entries).toHaveLength(2);
  // What is edited by hand waits for a reload.
  await writeFile(path, await usersText('by hand'));
  expect(await statusOf(other.backend, 'bob', 'by hand')).toBe('failure');
  await other.backend.reload();
  expect(await statusOf(other.backend, 'bob', 'by hand')).toBe('success');
});

test('a file that is invalid after another process has written does not stop the checks', async () => {
  await writeFile(path, await usersText());
  const [writer, other] = [await open(), await open()];
  await writer.set('bob', 'new');
  await writeFile(path, 'users: [');
  expect(await statusOf(other.backend, 'bob', 'old')).toBe('success');
  expect(await statusOf(other.backend, 'bob', 'old')).toBe('success');
  expect(other.logger.entries).toEqual([
    { level: 'error', message: expect.stringMatching(/last good one stays in force/) as string },
  ]);
});

test('a process that dies at any step leaves the old file or the new one, and nobody locked out', async () => {
  const text = await usersText();
  const child = join(import.meta.dirname, 'dying-writer-child.ts');
  const outcomes: string[] = [];
  for (let step = 0; outcomes.at(-1) !== 'acknowledged'; step++) {
    await writeFile(path, text);
    const dying = startChild(process.execPath, [child, path, String(step)], { cwd: home.path });
    children.push(dying);
    await eventually('it has ended', 15_000, () => dying.hasExited || undefined);
    const { backend, set } = await open();
    const isNew = (await statusOf(backend, 'bob', 'new')) === 'success';
    expect([step, isNew || (await statusOf(backend, 'bob', 'old')) === 'success', dying.exitCode]).toEqual([
      step,
      true,
      null,
    ]);
    expect(withoutDigests(await readFile(path, 'utf8'))).toBe(withoutDigests(text));
    expect(await set('bob', 'after')).toEqual({ status: 'changed' });
    outcomes.push(dying.output() === 'changed\n' ? 'acknowledged' : isNew ? 'new' : 'old');
  }
  // Old until the file is exchanged; acknowledged only when that is on the disk.
  expect(outcomes.join(' ')).toMatch(/^(old ){3,}(new ){1,}acknowledged$/);
});

describe('writers', () => {
  test('wait for the one who holds the lock, and give up after five seconds', async () => {
    await writeFile(path, await usersText());
    const { backend, timers, set } = await open();
    const lock = await tryLockFile(join(home.path, '.users.yml.lock'));
    const first = set('bob', 'new');
    let ended = false;
    const watched = first.finally(() => (ended = true)).catch((cause: unknown) => cause);
    while (!ended) {
      timers.advance(20);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    expect(await watched).toBeInstanceOf(BackendUnavailable);
    await expect(first).rejects.toThrow(/another process has been writing for 5000 ms.*\.users\.yml\.lock/);
    expect(await statusOf(backend, 'bob', 'old')).toBe('success');

    const second = set('bob', 'new');
    await eventually('it waits for the lock', 5_000, () => timers.pending || undefined);
    lock?.release();
    timers.advance(20);
    expect(await second).toEqual({ status: 'changed' });
  });

  test('four processes at once lose nothing', async () => {
    const text = await usersText();
    await writeFile(path, text);
    const go = join(home.path, 'go');
    children = NAMES.map((name) =>
      startChild(process.execPath, [join(import.meta.dirname, 'users-file-child.ts'), path, name, '12', go], {
        cwd: home.path,
      }),
    );
    await eventually(
      'all are ready',
      15_000,
      () => children.every((child) => child.output() !== '') || undefined,
    );
    await writeFile(go, '');
    // Whoever reads meanwhile never meets half a file.
    const reader = await open();
    await eventually('all have ended', 15_000, async () => {
      await reader.backend.reload();
      return children.every(({ hasExited }) => hasExited) || undefined;
    });
    expect(children.map((child) => [child.exitCode, child.output()])).toEqual(
      NAMES.map(() => [0, 'ready\ndone\n']),
    );
    expect(withoutDigests(await readFile(path, 'utf8'))).toBe(withoutDigests(text));
    const { backend } = await open();
    for (const name of NAMES)
      expect([name, await statusOf(backend, name, `${name} 12`)]).toEqual([name, 'success']);
  });
});
