import { describe, expect, test } from 'vitest';
import { openMailTemplates } from '../../../src/notifier/mail-templates.ts';
import {
  elevationCodeMail,
  passwordChangedMail,
  passwordResetMail,
  sessionsEndedMail,
} from '../../../src/notifier/messages.ts';
import { everyMail, jane } from './fakes.ts';

const minute = 60_000;
const { html, text } = openMailTemplates(undefined, {
  onFault(fault) {
    throw fault;
  },
});
const revokeUrl = 'https://auth.example.com/revoke/one-time-code?id=a&b=c';

describe('the password reset', () => {
  const url = 'https://auth.example.com/reset-password/step2?token=eyJh.x-_~y';
  const mail = passwordResetMail(jane, { url, revokeUrl, expiresAt: jane.at + 5 * minute });

  test('carries its links whole, each on a line of its own', () => {
    const lines = text(mail).split('\n');
    expect(mail.content.title).toBe('Reset your password');
    expect(lines).toEqual(expect.arrayContaining([url, revokeUrl]));
    expect(html(mail)).toContain(`href="${url.replaceAll('=', '&#61;')}"`);
    expect(html(mail)).toContain('id&#61;a&amp;b&#61;c');
  });

  test('says how long it works, and is worth nothing afterwards', () => {
    expect(text(mail)).toContain('within 5 minutes');
    expect(mail.expiresAt).toBe(jane.at + 5 * minute);
    const short = passwordResetMail(jane, { url, revokeUrl, expiresAt: jane.at + minute });
    expect(text(short)).toContain('within 1 minute.');
  });
});

test('a code stands alone on one line of the text, once, and not in what a locked screen shows', () => {
  const mail = elevationCodeMail(jane, { code: 'ABCD2346', revokeUrl, expiresAt: jane.at + 5 * minute });
  expect(mail.content.title).toBe('Confirm your identity');
  const alone = text(mail)
    .split('\n')
    .filter((line) => /^[A-Z0-9]{6,20}$/.test(line.trim()));
  expect(alone).toEqual(['ABCD2346']);
  expect(html(mail).split('ABCD2346')).toHaveLength(2);
  expect(html(mail)).not.toMatch(/<div style="display:none[^>]*>[^<]*ABCD2346/);
});

test('notices are worth sending for a day and say what to do', () => {
  const mail = passwordChangedMail(jane, 'reset');
  expect(mail.expiresAt).toBe(jane.at + 24 * 60 * minute);
  expect(text(mail)).toBe(
    [
      'Hello Jane Doe,',
      'The password of your account at auth.example.com was replaced by a new one, with a link that was sent to this address.',
      'Look at your account:\nhttps://auth.example.com/settings/sessions',
      'Time: January 15, 2027 at 08:00 UTC\nDevice: Firefox on Linux\nNetwork address: 192.0.2.1',
      'If this was not you, tell the people who run auth.example.com at once.',
      '-- \nThis mail was sent to jane@example.com because of something that happened at auth.example.com. Nobody reads replies to it.\n',
    ].join('\n\n'),
  );
});

test('one and many are told apart', () => {
  expect(text(sessionsEndedMail(jane, { count: 1, by: 'person' }))).toContain('1 session of your account');
  expect(text(sessionsEndedMail(jane, { count: 2, by: 'operator' }))).toContain('2 sessions of your account');
});

test('an operator at the command line has no address, and a person perhaps no name', () => {
  const { device: _device, accountUrl: _accountUrl, ...rest } = jane;
  const mail = sessionsEndedMail(
    { ...rest, ip: null, to: { ...jane.to, name: '' } },
    { count: 2, by: 'operator' },
  );
  expect(text(mail)).toMatch(/^Hello,\n/);
  expect(text(mail)).not.toMatch(/address: |Device|https:/);
  expect(mail.values).toMatchObject({ RemoteIP: 'unknown', LinkURL: '' });
});

describe.each(Object.entries(everyMail(jane)))('%s', (_, mail) => {
  test('every text is there, and no name in braces is left', () => {
    for (const body of [text(mail), html(mail).replace(/<style>[^]*?<\/style>/, '')]) {
      expect(body).not.toMatch(/[{}]|undefined|null|\[object/);
      expect(body).toContain('Jane Doe');
    }
  });

  test('nothing is loaded from elsewhere, and nothing runs', () => {
    expect(html(mail)).not.toMatch(
      /<(?:img|script|link|iframe|form|object|base)\b|src=|url\(|@import|\son\w+=/i,
    );
  });
});

describe('values that mean harm', () => {
  const evil = `"><script>alert('x')</script>\r\nBcc: eve@evil.example\u2028\u202e{domain}\0\ud800`;
  const mails = Object.entries(
    everyMail({
      ...jane,
      to: { name: evil, address: 'jane@example.com' },
      domain: evil,
      ip: evil,
      device: evil,
    }),
  );

  test.each(mails)('are text in %s', (_, mail) => {
    expect(html(mail)).not.toMatch(/<script|'x'/);
    expect(html(mail)).toContain('&lt;script&gt;');
    for (const part of [
      mail.content.title,
      mail.to.name,
      ...mail.content.paragraphs,
      ...mail.content.details.flat(),
      ...Object.values(mail.values),
    ]) {
      expect(part).not.toMatch(/[\r\n\0\u2028\u202e]/);
      expect(part.isWellFormed()).toBe(true);
    }
    expect(text(mail)).not.toMatch(/^Bcc/m);
  });

  test.each(['javascript:alert(1)', 'data:text/html,x'])('%s is no link', (url) => {
    expect(() => passwordResetMail(jane, { url, revokeUrl, expiresAt: jane.at })).toThrow('must not link');
  });
});

test('other languages fall back to English', () => {
  for (const language of ['de-CH', '', 'x', '../../etc']) {
    expect(passwordChangedMail({ ...jane, language }, 'change').content).toMatchObject({
      locale: 'en',
      direction: 'ltr',
    });
  }
});
