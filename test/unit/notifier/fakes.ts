import { type NotifierConfig, notifierSchema, type SmtpConfig } from '../../../src/notifier/config.ts';
import type { MailContext } from '../../../src/notifier/messages.ts';
import type { MailMessage } from '../../../src/notifier/notifier.ts';

/** What the schema makes of `notifier.smtp`; only the title is the subject. */
export function smtpConfig(keys: { readonly address: string } & Record<string, unknown>): SmtpConfig {
  const notifier: NotifierConfig = notifierSchema.parse({
    smtp: { sender: 'Gateway <gateway@example.com>', subject: '{title}', ...keys },
  });
  if (notifier.smtp === undefined) throw new Error('smtp is missing');
  return notifier.smtp;
}

export const jane: MailContext = {
  to: { name: 'Jane Doe', address: 'jane@example.com' },
  language: 'en',
  domain: 'auth.example.com',
  at: 1_800_000_000_000,
  ip: '192.0.2.1',
  device: 'Firefox on Linux',
  accountUrl: 'https://auth.example.com/settings/sessions',
};

export function message(id: string, changes: Partial<MailMessage> = {}): MailMessage {
  return {
    id,
    createdAt: 1_800_000_000_000,
    to: { name: 'Jane Doe', address: 'jane@example.com' },
    title: 'A title',
    text: 'The first line\n\nABCD2346\n.\nhttps://auth.example.com/?a=1&b=2',
    html: '<p>The text</p>',
    ...changes,
  };
}
