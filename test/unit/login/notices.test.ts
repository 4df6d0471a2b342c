import { expect, test } from 'vitest';

import { createNotices, type Notice } from '../../../src/login/notices.ts';
import type { MailNotice } from '../../../src/notifier/messages.ts';
import { eventually } from '../../support/eventually.ts';
import { fakeClock } from '../../support/fake-clock.ts';

const john = {
  username: 'john',
  displayName: 'John Doe',
  emails: ['john@example.com', 'b@example.com'],
  groups: [],
};
const from = {
  ip: '203.0.113.5',
  userAgent: 'a browser',
  portalUrl: 'https://auth.example.com/',
  languages: 'en',
};

function setUp(enqueue?: () => Promise<never>) {
  const mails: MailNotice[] = [];
  const lost: unknown[] = [];
  const notices = createNotices({
    mail: {
      enqueue:
        enqueue ??
        ((mail) => {
          mails.push(mail);
          return Promise.resolve({ status: 'full' });
        }),
    },
    clock: fakeClock(),
    events: { noticeLost: (kind, error) => void lost.push([kind, error]) },
    deviceOf: (userAgent) => `device of ${userAgent}`,
  });
  return { notices, mails, lost };
}

const kinds: readonly (readonly [Notice, link: string, text: string])[] = [
  [{ kind: 'factor-added', factor: 'totp' }, 'settings/security', 'one more way'],
  [{ kind: 'factor-removed', factor: 'totp' }, 'settings/security', 'was taken from your account'],
  [{ kind: 'recovery-codes-made' }, 'settings/security', 'Recovery codes were made'],
  [{ kind: 'recovery-code-used', left: 3 }, 'settings/security', '3 codes are left'],
  [{ kind: 'password-changed', how: 'reset' }, 'settings/sessions', 'replaced by a new one'],
  [{ kind: 'sessions-ended', count: 2, by: 'operator' }, 'settings/sessions', '2 sessions of your account'],
  [{ kind: 'new-sign-in', unknown: 'device' }, 'settings/sessions', 'from a device that was not used before'],
];

test.each(kinds)(
  '$kind goes to the first address, with time, place and a way to act',
  (notice, link, text) => {
    const { notices, mails } = setUp();
    notices.tell(john, from, notice);
    expect(mails).toHaveLength(1);
    const [mail] = mails;
    expect(mail).toMatchObject({
      kind: notice.kind,
      to: { name: 'John Doe', address: 'john@example.com' },
      createdAt: 1_800_000_000_000,
      content: { domain: 'auth.example.com', link: { url: `https://auth.example.com/${link}` } },
    });
    expect(mail?.content.paragraphs.join(' ')).toContain(text);
    const details = mail?.content.details.map(([, value]) => value);
    expect(details).toContain('203.0.113.5');
    expect(details).toContain('device of a browser');
  },
);

test('nobody is told without a notifier or without an address, and nothing fails', () => {
  const { notices, mails, lost } = setUp();
  notices.tell({ ...john, emails: [] }, from, { kind: 'recovery-codes-made' });
  const silent = createNotices({
    mail: null,
    clock: fakeClock(),
    events: { noticeLost: () => void lost.push('lost') },
    deviceOf: () => '',
  });
  silent.tell(john, from, { kind: 'recovery-codes-made' });
  expect([mails, lost]).toEqual([[], []]);
});

test('an operator has neither address nor device', () => {
  const { notices, mails } = setUp();
  notices.tell(
    john,
    { ip: null, portalUrl: from.portalUrl },
    { kind: 'sessions-ended', count: 1, by: 'operator' },
  );
  expect(mails[0]?.content.details).toHaveLength(1);
});

test('what cannot be stored, or not even written, is told as an event and never thrown', async () => {
  const error = new Error('down');
  const failing = setUp(() => Promise.reject(error));
  failing.notices.tell(john, from, { kind: 'recovery-codes-made' });
  await eventually('it is told', 2000, () => failing.lost.length > 0 || undefined);
  expect(failing.lost).toEqual([['recovery-codes-made', error]]);

  const { notices, lost } = setUp();
  notices.tell(john, { ...from, portalUrl: 'no url' }, { kind: 'recovery-codes-made' });
  expect(lost).toMatchObject([['recovery-codes-made', expect.any(TypeError)]]);
});
