import { smtpRules } from '../lib/address.ts';
import { address, duration, flag, path, secret, section, text } from '../lib/schema.ts';
import { tlsSchema } from '../lib/tls-config.ts';

/** `name@host`, or `Name <name@host>`. */
const mailbox = () =>
  text({
    name: 'mail address',
    pattern: [
      /^(?:[^<>\r\n]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$/,
      'must be a mail address such as sso@example.com or "Sallyport <sso@example.com>"',
    ],
  });

const smtpSchema = section({
  address: address(smtpRules).describe(
    'The server: `smtp://host:25`, `submission://host:587` or `submissions://host:465` (TLS from the start).',
  ),
  timeout: duration().prefault('5s').describe('How long connecting may take.'),
  username: text({ minimum: 0 })
    .optional()
    .describe(
      'Who signs in: by the best of SCRAM-SHA-256, SCRAM-SHA-1, CRAM-MD5, PLAIN and LOGIN, the last two only over TLS.',
    ),
  password: secret({ minimum: 0 }).optional().describe('Password.'),
  identifier: text().prefault('localhost').describe('Name for the greeting (EHLO).'),
  sender: mailbox().describe('From whom mail comes.'),
  subject: text()
    .prefault('[Authelia] {title}')
    .describe('Subject; `{title}` stands for what the mail is about.'),
  startup_check_address: mailbox()
    .prefault('Authelia Test <test@authelia.com>')
    .describe('Recipient that is named at start to see whether the server takes mail; nothing is sent.'),
  disable_require_tls: flag()
    .prefault(false)
    .describe('Sends over a plain connection when the server offers no TLS. Dangerous.'),
  disable_starttls: flag()
    .prefault(false)
    .describe('Sends over a plain connection even when the server offers TLS. Dangerous.'),
  disable_html_emails: flag().prefault(false).describe('Sends plain text only.'),
  tls: tlsSchema.prefault({}).describe('TLS towards the server.'),
});

export type SmtpConfig = (typeof smtpSchema)['_output'];

const fileSchema = section({
  filename: path().describe(
    'The file with the last message. Each one is kept in the folder beside it, `<filename>.d`.',
  ),
});
export type FileNotifierConfig = (typeof fileSchema)['_output'];

/** `notifier` */
export const notifierSchema = section({
  disable_startup_check: flag().prefault(false).describe('Does not try the notifier at start.'),
  template_path: path()
    .optional()
    .describe(
      'Folder with your own mail templates, as Authelia has them: `Event`, `IdentityVerificationOTC` and `IdentityVerificationJWT`, each as `.html` and `.txt`.',
    ),
  filesystem: fileSchema.optional().describe('Writes messages to a file, for trying things out.'),
  smtp: smtpSchema.optional().describe('Sends mail.'),
}).superRefine((notifier, context) => {
  if ((notifier.filesystem === undefined) === (notifier.smtp === undefined)) {
    const message =
      notifier.smtp === undefined
        ? 'needs one of filesystem and smtp'
        : 'must have only one of filesystem and smtp';
    context.addIssue({ code: 'custom', path: [], message });
  }
});

export type NotifierConfig = (typeof notifierSchema)['_output'];
