import { expect, test } from 'vitest';
import { systemRandom } from '../../../src/lib/random.ts';
import { systemTimers } from '../../../src/lib/timers.ts';
import { notifierSchema } from '../../../src/notifier/config.ts';
import { isMailAddress } from '../../../src/notifier/notifier.ts';
import { openNotifier } from '../../../src/notifier/registry.ts';
import { oneLine } from '../../../src/notifier/one-line.ts';

test.each([
  'a@b',
  'john.doe+tag@mail.example.com',
  "o'hara_1@example.com",
  'zoë@bücher.example',
  `${'a'.repeat(64)}@example.com`,
])('%s is a mail address', (text) => expect(isMailAddress(text)).toBe(true));

test.each([
  '',
  'a',
  '@b',
  'a@',
  'a@b@c',
  'a@b, c@d',
  '<a@b>',
  'John <a@b>',
  '"a b"@c',
  '"x@evil.example y"@example.com',
  'a@[192.0.2.1]',
  'a(comment)@b',
  'a..b@c',
  '.a@b',
  'a@-b',
  'a@b.',
  'a@b\r\nBcc: c@d',
  'a@b\0',
  'a\u202e@b',
  'a\u00a0b@c',
  '\ud800@b',
  `a@${'b'.repeat(254)}`,
])('%j is none', (text) => expect(isMailAddress(text)).toBe(false));

test('one line is one line, and has an end', () => {
  expect(oneLine(' a\r\n\tb\u0085c\u2029d\u2066e\u001b[0m ')).toBe('a b c d e [0m');
  expect(oneLine('x'.repeat(300))).toBe(`${'x'.repeat(199)}…`);
  expect(oneLine(`${'x'.repeat(198)}😀😀`).isWellFormed()).toBe(true);
});

test('the configuration chooses the notifier', async () => {
  const deps = { timers: systemTimers, random: systemRandom };
  const file = openNotifier(notifierSchema.parse({ filesystem: { filename: '/dev/null/mail.txt' } }), deps);
  await expect(file.check()).rejects.toThrow('/dev/null/mail.txt: cannot be written');
  const smtp = notifierSchema.parse({ smtp: { address: 'smtp://127.0.0.1:1', sender: 'a@b' } });
  await expect(openNotifier(smtp, deps).check()).rejects.toThrow('smtp://127.0.0.1:1: ');
});
