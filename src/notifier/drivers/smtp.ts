/**
 * Mail by SMTP (RFC 5321): one connection for each message. Encrypted unless the configuration says otherwise: from the
 * start (`submissions`) or by STARTTLS (RFC 3207), and never without it in silence. Connecting has the configured time,
 * all of it together 10 seconds, or as long as connecting may take.
 */
import { checkServerIdentity } from 'node:tls';
import type SMTPConnection from 'nodemailer/lib/smtp-connection';
import { formatAddress } from '../../lib/address.ts';
import type { Random } from '../../lib/random.ts';
import type { Timers } from '../../lib/timers.ts';
import { tlsOptions } from '../../lib/tls-options.ts';
import type { SmtpConfig } from '../config.ts';
import {
  isMailAddress,
  type MailAddress,
  type MailMessage,
  type Notifier,
  NotifierUnavailable,
} from '../notifier.ts';
import { oneLine } from '../one-line.ts';
import { type Say, signIn } from './sasl.ts';

export interface SmtpNotifierDeps {
  readonly timers: Timers;
  readonly random: Random;
}

/** Milliseconds for the whole of a message; a longer `timeout` counts up to the second figure. */
const deadlineRange = [10_000, 60_000] as const;

/** Milliseconds that a good-bye may take; nobody waits for it. */
const closeTimeout = 1000;

/** Under this name of a mechanism nodemailer lets us speak with the server. */
const DIALOG = 'DIALOG';

export function openSmtpNotifier(config: SmtpConfig, { timers, random }: SmtpNotifierDeps): Notifier {
  const place = formatAddress(config.address);
  const sender = parseMailbox(config.sender);
  const deadline = Math.min(Math.max(deadlineRange[0], config.timeout), deadlineRange[1]);
  const open = new Set<SMTPConnection>();
  let isClosed = false;

  async function withConnection(work: (session: Session) => Promise<void>): Promise<void> {
    if (isClosed) throw unavailable('is closed');
    // Loaded when the first mail is sent: starting does not wait for it.
    const { default: Connection } = await import('nodemailer/lib/smtp-connection');
    let dialog: (say: Say) => Promise<void> = async () => undefined;
    const connection = new Connection({
      ...connectionOptions(config),
      customAuth: {
        [DIALOG]: ({ sendCommand }) => dialog(async (line) => readReply((await sendCommand(line)).response)),
      },
    });
    open.add(connection);
    const { promise: broken, reject: fail } = Promise.withResolvers<never>();
    connection.on('error', fail);
    connection.once('end', () => {
      open.delete(connection);
      fail(new Error('the server closed the connection'));
    });
    const stop = timers.after(deadline, () => fail(new Error(`no answer within ${deadline / 1000} s`)));

    const session: Session = {
      connection,
      async converse(speak) {
        let failure: unknown;
        dialog = async (say) => {
          try {
            await speak(say);
          } catch (error) {
            // Kept as it is: nodemailer would write the last reply into it.
            failure = error;
            throw new Error('the dialog failed', { cause: error });
          }
        };
        await promised((done) => connection.login({ method: DIALOG }, done)).catch((error: unknown) => {
          throw failure ?? error;
        });
      },
    };
    const run = async (): Promise<void> => {
      await promised((done) => connection.connect(done));
      await work(session);
    };
    try {
      await Promise.race([broken, run()]);
      connection.quit();
    } catch (error) {
      connection.close();
      throw error instanceof NotifierUnavailable ? error : unavailable(reasonOf(error, config), error);
    } finally {
      stop();
    }
  }

  async function authenticate({ connection, converse }: Session): Promise<void> {
    const { username, password = '' } = config;
    if (username === undefined || username === '') return;
    const offered = offeredMechanisms(connection.lastServerResponse);
    const server = { offered, isEncrypted: connection.secure };
    await converse((say) => signIn({ username, password }, { ...server, say }, random));
  }

  function unavailable(reason: string, cause?: unknown): NotifierUnavailable {
    return new NotifierUnavailable(`${place}: ${oneLine(reason, 400)}`, {
      temporary: !isRefusal(cause),
      cause,
    });
  }

  return {
    async send(message) {
      if (!isMailAddress(message.to.address)) {
        throw new NotifierUnavailable(`${place}: the recipient has no plain mail address`, {
          temporary: false,
        });
      }
      await withConnection(async (session) => {
        const raw = await compose(message, sender, config);
        await authenticate(session);
        const envelope = { from: sender.address, to: message.to.address, size: raw.length };
        await promised((done) => session.connection.send(envelope, raw, done));
      });
    },

    async check() {
      const recipient = parseMailbox(config.startup_check_address);
      await withConnection(async (session) => {
        await authenticate(session);
        await session.converse(async (say) => {
          for (const command of [`MAIL FROM:<${sender.address}>`, `RCPT TO:<${recipient.address}>`, 'RSET']) {
            const { status, text } = await say(command);
            if (status < 200 || status > 299) throw new Error(`${command} was refused: ${status} ${text}`);
          }
        });
      });
    },

    async close() {
      isClosed = true;
      for (const connection of open) connection.close();
      open.clear();
    },
  };
}

interface Session {
  readonly connection: SMTPConnection;
  /** Lets `speak` exchange commands with the server. */
  readonly converse: (speak: (say: Say) => Promise<void>) => Promise<void>;
}

function connectionOptions(config: SmtpConfig): SMTPConnection.Options {
  const { address, timeout } = config;
  const { host: name = address.host, ...tls } = tlsOptions(config.tls, address.host);
  const isEncrypted = address.scheme === 'submissions';
  return {
    host: address.host,
    port: address.port,
    secure: isEncrypted,
    requireTLS: !isEncrypted && !config.disable_starttls && !config.disable_require_tls,
    ignoreTLS: config.disable_starttls,
    name: config.identifier,
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    dnsTimeout: timeout,
    socketTimeout: Math.max(deadlineRange[1], timeout),
    socketCloseTimeout: closeTimeout,
    // Said outright, because a connection is opened to the address and checked for the name.
    tls: { ...tls, checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate) },
  };
}

async function compose(message: MailMessage, sender: MailAddress, config: SmtpConfig): Promise<Buffer> {
  const { default: MailComposer } = await import('nodemailer/lib/mail-composer');
  const domain = sender.address.slice(sender.address.lastIndexOf('@') + 1);
  return new MailComposer({
    from: { name: oneLine(sender.name), address: sender.address },
    to: { name: oneLine(message.to.name), address: message.to.address },
    subject: oneLine(config.subject.replaceAll('{title}', () => message.title)),
    date: new Date(message.createdAt),
    messageId: `<${message.id}@${domain}>`,
    baseBoundary: message.id,
    // RFC 3834 section 5: no answering machine replies to it.
    headers: { 'Auto-Submitted': 'auto-generated' },
    text: message.text,
    ...(config.disable_html_emails || message.html === null ? {} : { html: message.html }),
    disableFileAccess: true,
    disableUrlAccess: true,
  })
    .compile()
    .build();
}

function promised(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}

/** `Name <local@domain>` or `local@domain`, as the configuration allows it. */
function parseMailbox(text: string): MailAddress {
  const [, name = '', address = text] = /^(.*?)<([^<>]+)>$/.exec(text.trim()) ?? [];
  return { name: name.trim().replace(/^"(.*)"$/, '$1'), address: address.trim() };
}

function readReply(reply: string): { status: number; text: string } {
  const [, status = '0', text = ''] = /^(\d{3})[ -]?([^]*)$/.exec(reply) ?? [];
  return { status: Number(status), text: text.trim() };
}

/** The mechanisms in the reply to EHLO. Some old servers write `AUTH=`. */
function offeredMechanisms(reply: string | false): string[] {
  const lines = [...(reply || '').matchAll(/^\d{3}[ -]AUTH[ =](.*)$/gim)];
  return [...new Set(lines.flatMap(([, list = '']) => list.trim().toUpperCase().split(/\s+/)))];
}

/** What nodemailer adds to its errors. */
interface SmtpFault {
  readonly code?: string;
  readonly command?: string;
  readonly responseCode?: number;
}

/**
 * Whether the server refuses this message for good. A refusal of the sender, of the sign-in, or of the certificate is no
 * such thing: it concerns every message, and somebody can mend it while they wait.
 */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, command = '', responseCode = 0 } = error as SmtpFault;
  if (responseCode > 0) return responseCode >= 500 && /^(?:RCPT|DATA)/.test(command);
  // Larger than the server takes.
  return code === 'EMESSAGE';
}

function reasonOf(error: unknown, config: SmtpConfig): string {
  if (!(error instanceof Error)) return String(error);
  const { code, command } = error as SmtpFault;
  if (
    code === 'ETLS' &&
    command === 'STARTTLS' &&
    !config.disable_require_tls &&
    /STARTTLS/.test(error.message)
  ) {
    return `${error.message}. Encryption is required (notifier.smtp.disable_require_tls)`;
  }
  return error.message;
}
