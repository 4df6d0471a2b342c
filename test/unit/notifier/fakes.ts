import { type NotifierConfig, notifierSchema, type SmtpConfig } from '../../../src/notifier/config.ts';
import {
  elevationCodeMail,
  factorAddedMail,
  factorRemovedMail,
  type MailContext,
  type MailNotice,
  newSignInMail,
  passwordChangedMail,
  passwordResetMail,
  recoveryCodesMadeMail,
  recoveryCodeUsedMail,
  sessionsEndedMail,
} from '../../../src/notifier/messages.ts';
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

/** One mail of each kind, and of each wording that differs much. */
export function everyMail(context: MailContext) {
  const expiresAt = context.at + 300_000;
  const revokeUrl = 'https://auth.example.com/revoke/one-time-code?id=5cFQqLqJxvnVbXcfEnTnHw';
  const token =
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQ';
  const url = `https://auth.example.com/reset-password/step2?token=${token}`;
  return {
    passwordReset: passwordResetMail(context, { url, revokeUrl, expiresAt }),
    elevationCode: elevationCodeMail(context, { code: 'ABCDEFGH2346', revokeUrl, expiresAt }),
    passwordChanged: passwordChangedMail(context, 'change'),
    passwordReplaced: passwordChangedMail(context, 'reset'),
    factorAdded: factorAddedMail(context, 'webauthn', 'My blue key'),
    factorRemoved: factorRemovedMail(context, 'totp'),
    newSignIn: newSignInMail(context, 'both'),
    sessionsEnded: sessionsEndedMail(context, { count: 3, by: 'password' }),
    recoveryCodesMade: recoveryCodesMadeMail(context),
    recoveryCodeUsed: recoveryCodeUsedMail(context, 1),
  } satisfies Record<string, MailNotice>;
}
