/**
 * Messages as files, for trying things out. The last one stands at the configured path, with the head that Authelia
 * writes, so that scripts find the code or link in it; each one stands in the folder beside it (`<path>.d`), the newest
 * 1000 of them. All are readable for their owner only.
 */
import { mkdir, open, readdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createDurableFiles, removeFile } from '../../lib/durable-file.ts';
import { messageOf } from '../../lib/message-of.ts';
import { createTurns } from '../../lib/turns.ts';
import type { FileNotifierConfig } from '../config.ts';
import { type MailMessage, type Notifier, NotifierUnavailable } from '../notifier.ts';
import { oneLine } from '../one-line.ts';

const keptMessages = 1000;

export function openFileNotifier(config: FileNotifierConfig): Notifier {
  const path = resolve(config.filename);
  const folder = `${path}.d`;
  const files = createDurableFiles();
  // One message at a time, so that the last one at the path is one, and whole.
  const turns = createTurns();
  let isClosed = false;

  const inTurn = (job: () => Promise<void>): Promise<void> =>
    turns.take([path], async () => {
      if (isClosed) throw new NotifierUnavailable(`${path}: is closed`, { temporary: true });
      try {
        await mkdir(dirname(path), { recursive: true });
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await job();
      } catch (error) {
        const cause = messageOf(error);
        throw new NotifierUnavailable(`${path}: cannot be written: ${cause}`, {
          temporary: true,
          cause: error,
        });
      }
    });

  return {
    send: (message) =>
      inTurn(async () => {
        const text = Buffer.from(writeMessage(message));
        const time = new Date(message.createdAt).toISOString().replaceAll(':', '-');
        await files.write(join(folder, `${time}-${message.id}.txt`), [text]);
        await overwrite(path, text);
        const kept = (await readdir(folder)).filter((name) => name.endsWith('.txt')).sort();
        for (const name of kept.slice(0, -keptMessages)) await removeFile(join(folder, name));
      }),

    check: () =>
      inTurn(async () => {
        await (await open(path, 'a', 0o600)).close();
      }),

    async close() {
      isClosed = true;
      await turns.settled();
    },
  };
}

function writeMessage({ createdAt, to, title, text }: MailMessage): string {
  const date = new Date(createdAt)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' +0000 UTC');
  const name = oneLine(to.name).replaceAll(/["\\]/g, '\\$&');
  const recipient = name === '' ? `<${to.address}>` : `"${name}" <${to.address}>`;
  return `Date: ${date}\nRecipient: ${oneLine(recipient, 400)}\nSubject: ${oneLine(title)}\n\n${text}\n\n`;
}

/** In its place, not by a new file that takes its name: the path may be mounted on its own, or be watched. */
async function overwrite(path: string, text: Buffer): Promise<void> {
  const file = await open(path, 'w', 0o600);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}
