import { afterEach, describe, expect, test } from 'vitest';
import { NotifierUnavailable } from '../../src/notifier/notifier.ts';
import { notifierDrivers } from '../../src/notifier/registry.ts';
import { message } from '../unit/notifier/fakes.ts';
import { notifierHarnesses, type OpenNotifierHarness } from './notifier-harnesses.ts';

/** What `src/notifier/notifier.ts` says, of every driver of the registry. */

describe.each(Object.keys(notifierDrivers) as (keyof typeof notifierDrivers)[])('notifier %s', (driver) => {
  let open: OpenNotifierHarness | undefined;
  const start = async (): Promise<OpenNotifierHarness> => {
    open = await notifierHarnesses[driver].open();
    return open;
  };
  afterEach(async () => {
    await open?.dispose();
    open = undefined;
  });

  test('a message arrives as it is', async () => {
    const { notifier, arrived } = await start();
    const sent = message('one', {
      title: 'Grüße 漢字',
      to: { name: 'Zoë "Z" Doe', address: 'zoe@example.com' },
    });
    await notifier.send(sent);
    expect(await arrived()).toEqual([{ to: sent.to, subject: sent.title, text: sent.text }]);
  });

  test('messages that are sent together all arrive', async () => {
    const { notifier, arrived } = await start();
    const titles = Array.from({ length: 10 }, (_, index) => `title ${index}`);
    await Promise.all(titles.map((title, index) => notifier.send(message(`id-${index}`, { title }))));
    expect((await arrived()).map(({ subject }) => subject).sort()).toEqual(titles);
  });

  test('names and titles cannot become headers, addresses or recipients', async () => {
    const { notifier, arrived } = await start();
    const evil = 'Eve\r\nBcc: eve@evil.example\r\n\r\n<x@evil.example>, "a\u2028Subject: no\0';
    await notifier.send(message('one', { title: evil, to: { name: evil, address: 'jane@example.com' } }));
    const line = 'Eve Bcc: eve@evil.example <x@evil.example>, "a Subject: no';
    const [mail, ...others] = await arrived();
    expect(others).toEqual([]);
    expect(mail).toMatchObject({ to: { name: line, address: 'jane@example.com' }, subject: line });
  });

  test('a check passes, and nothing arrives by it', async () => {
    const { notifier, arrived } = await start();
    await notifier.check();
    expect(await arrived()).toEqual([]);
  });

  test('what is out of reach is unavailable for a time, to messages and checks', async () => {
    const { notifier, arrived, breakDown, mend } = await start();
    await breakDown();
    const unavailable = expect.objectContaining({ name: 'NotifierUnavailable', temporary: true }) as unknown;
    await expect(notifier.send(message('one'))).rejects.toEqual(unavailable);
    await expect(notifier.check()).rejects.toEqual(unavailable);
    await mend();
    await notifier.send(message('two', { title: 'after' }));
    expect((await arrived()).map(({ subject }) => subject)).toContain('after');
  });

  test('an error never says what stands in the message', async () => {
    const { notifier, breakDown } = await start();
    await breakDown();
    const error: unknown = await notifier.send(message('one')).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(NotifierUnavailable);
    expect(String(error)).not.toMatch(/ABCD2346|first line/);
  });

  test('after close nothing is taken', async () => {
    const { notifier, arrived } = await start();
    await notifier.close();
    await notifier.close();
    await expect(notifier.send(message('one'))).rejects.toThrow('closed');
    await expect(notifier.check()).rejects.toThrow('closed');
    expect(await arrived()).toEqual([]);
  });
});
