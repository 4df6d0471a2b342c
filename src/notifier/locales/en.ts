import type { MailLanguage } from '../mail-texts.ts';

/** The texts of mails in English. Names in braces stand for values; `_one` and `_other` are plural forms. */
export const en = {
  locale: 'en',
  direction: 'ltr',
  texts: {
    greeting: 'Hello {name},',
    'greeting.nameless': 'Hello,',
    'link.copy': 'If the button does not work, copy this address into your browser:',
    footer:
      'This mail was sent to {name} because of something that happened at {domain}. Nobody reads replies to it.',

    'detail.time': 'Time',
    'detail.address': 'Network address',
    'detail.device': 'Device',
    'detail.method': 'Method',
    'detail.name': 'Name',
    'detail.unknown': 'unknown',

    'password-reset.title': 'Reset your password',
    'password-reset.text':
      'Somebody, most likely you, asked for a new password for your account at {domain}.',
    'password-reset.life_one': 'The link works once, within {count} minute.',
    'password-reset.life_other': 'The link works once, within {count} minutes.',
    'password-reset.link': 'Choose a new password',
    'password-reset.advice':
      'If this was not you, nothing has happened yet: your password is still valid. You can make the link useless.',
    'password-reset.revoke': 'Revoke the link',

    'elevation-code.title': 'Confirm your identity',
    'elevation-code.text': 'Enter this code to change the security settings of your account at {domain}:',
    'elevation-code.life_one':
      'It works once, within {count} minute, and only where you asked for it. Do not tell it to anybody: whoever asks you for it is not from {domain}.',
    'elevation-code.life_other':
      'It works once, within {count} minutes, and only where you asked for it. Do not tell it to anybody: whoever asks you for it is not from {domain}.',
    'elevation-code.advice':
      'If this was not you, somebody else is signed in with your account. Revoke the code, then change your password.',
    'elevation-code.revoke': 'Revoke the code',

    'notice.link': 'Look at your account',
    'notice.advice':
      'If this was not you, change your password at once and tell the people who run {domain}.',
    'notice.advice.password': 'If this was not you, tell the people who run {domain} at once.',

    'password-changed.title': 'Password changed successfully',
    'password-changed.text': 'The password of your account at {domain} was changed.',
    'password-changed.event': 'your | password | was changed.',
    'password-reset-done.text':
      'The password of your account at {domain} was replaced by a new one, with a link that was sent to this address.',

    'factor-added.title': 'Second factor method added',
    'factor-added.text': 'From now on your account at {domain} can be confirmed in one more way.',
    'factor-added.event': 'a | second factor method | was added to your account.',
    'factor-removed.title': 'Second factor method removed',
    'factor-removed.text': 'A way to confirm that it is you was taken from your account at {domain}.',
    'factor-removed.event': 'a | second factor method | was removed from your account.',
    'factor.totp': 'One-time passwords from an app',
    'factor.webauthn': 'Security key or passkey',
    'factor.duo': 'Confirmation in the Duo app',

    'new-sign-in.title': 'New sign-in to your account',
    'new-sign-in.device':
      'Somebody signed in to your account at {domain} from a device that was not used before.',
    'new-sign-in.network':
      'Somebody signed in to your account at {domain} from a network that was not used before.',
    'new-sign-in.both':
      'Somebody signed in to your account at {domain} from a device and a network that were not used before.',
    'new-sign-in.event': 'a | new sign-in | was made to your account.',
    'new-sign-in.advice':
      'If this was you, there is nothing to do. If not, end that session, change your password at once, and tell the people who run {domain}.',

    'sessions-ended.title': 'Signed out of your account',
    'sessions-ended.text_one': '{count} session of your account at {domain} was ended.',
    'sessions-ended.text_other': '{count} sessions of your account at {domain} were ended.',
    'sessions-ended.event': 'sessions | of your account | were ended.',
    'sessions-ended.by-person': 'This was asked for on the page that lists your sessions.',
    'sessions-ended.by-operator': 'The people who run {domain} did this. To go on, sign in again.',
    'sessions-ended.by-password': 'This is done whenever a password changes. To go on, sign in again.',

    'recovery-codes-made.title': 'New recovery codes made',
    'recovery-codes-made.text':
      'Recovery codes were made for your account at {domain}. Codes from before do not work any more.',
    'recovery-codes-made.event': 'new | recovery codes | were made for your account.',

    'recovery-code-used.title': 'A recovery code was used',
    'recovery-code-used.text':
      'Somebody signed in to your account at {domain} with one of your recovery codes.',
    'recovery-code-used.event': 'a | recovery code | was used to sign in to your account.',
    'recovery-code-used.left_one': '{count} code is left. You can make new ones in your account.',
    'recovery-code-used.left_other': '{count} codes are left. You can make new ones in your account.',
  },
} as const satisfies MailLanguage;
