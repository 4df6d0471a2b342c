import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFileNotifier } from '../../../../src/notifier/drivers/file.ts';
import { temporaryFolder, type TemporaryFolder } from '../../../support/temporary-folder.ts';
import { message } from '../fakes.ts';

let folder: TemporaryFolder;
let filename: string;
beforeEach(async () => {
  folder = await temporaryFolder('file-notifier');
  filename = join(folder.path, 'new', 'notification.txt');
});
afterEach(() => folder.remove());

test('the last message stands at the path as Authelia writes it, and each one beside it', async () => {
  const notifier = openFileNotifier({ filename });
  await notifier.send(message('one'));
  await notifier.send(message('two', { title: 'Another', text: 'Other text\n' }));
  expect(await readFile(filename, 'utf8')).toBe(
    'Date: 2027-01-15 08:00:00 +0000 UTC\nRecipient: "Jane Doe" <jane@example.com>\nSubject: Another\n\nOther text\n\n\n',
  );
  expect((await readdir(`${filename}.d`)).sort()).toEqual([
    '2027-01-15T08-00-00.000Z-one.txt',
    '2027-01-15T08-00-00.000Z-two.txt',
  ]);
});

test('nobody else may read them', async () => {
  const notifier = openFileNotifier({ filename });
  await notifier.send(message('one'));
  const modes = [filename, `${filename}.d`, join(`${filename}.d`, '2027-01-15T08-00-00.000Z-one.txt')];
  expect(await Promise.all(modes.map(async (path) => (await stat(path)).mode & 0o777))).toEqual([
    0o600, 0o700, 0o600,
  ]);
});

test('the newest thousand are kept', async () => {
  const notifier = openFileNotifier({ filename });
  await notifier.check();
  const old = Array.from(
    { length: 1001 },
    (_, index) => `2020-01-01T00-00-${String(index).padStart(4, '0')}.txt`,
  );
  for (const name of old) await writeFile(join(`${filename}.d`, name), '');
  await writeFile(join(`${filename}.d`, 'notes'), '');
  await notifier.send(message('one'));
  const names = await readdir(`${filename}.d`);
  expect(names).toHaveLength(1001);
  expect(names).not.toContain(old[1]);
  expect(names).toEqual(expect.arrayContaining([old[2], 'notes', '2027-01-15T08-00-00.000Z-one.txt']));
});

test('a check keeps the last message', async () => {
  const notifier = openFileNotifier({ filename });
  await notifier.send(message('one'));
  await notifier.check();
  expect(await readFile(filename, 'utf8')).toContain('ABCD2346');
});
