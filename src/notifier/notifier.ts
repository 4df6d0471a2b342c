/**
 * The seam of notifiers: something that carries one finished message to one person. What a message says is decided above
 * it (`messages.ts`, `mail-templates.ts`), and when it is tried again too (`mail-queue.ts`).
 */

export interface MailAddress {
  /** What people see; may be empty. Any text: a driver encodes it, so that it cannot become a header or an address. */
  readonly name: string;
  /** `local@domain`, as `isMailAddress` allows it. */
  readonly address: string;
}

/** A message as it is sent. */
export interface MailMessage {
  /** Letters, digits and dashes; the same at every attempt, so that a server or reader can see a repetition. */
  readonly id: string;
  /** When it was made, in milliseconds since the epoch: the `Date` that the reader sees, however late it arrives. */
  readonly createdAt: number;
  readonly to: MailAddress;
  /** What it is about, in one line. */
  readonly title: string;
  readonly text: string;
  /** A whole document, or null: then the mail is plain text. */
  readonly html: string | null;
}

/**
 * `send` answers when the message is out of our hands for certain, and throws `NotifierUnavailable` otherwise. After an
 * error it may have arrived all the same (a server that vanished before it could confirm).
 * `check` tries everything short of sending, and throws alike. Both end within a minute.
 * After `close` every call throws; it may be called twice.
 */
export interface Notifier {
  send(message: MailMessage): Promise<void>;
  check(): Promise<void>;
  close(): Promise<void>;
}

/** The message was not taken. The text names the place and the cause and never holds what a message says. */
export class NotifierUnavailable extends Error {
  override name = 'NotifierUnavailable';
  /** Whether another attempt may succeed. False: this message is refused for good. */
  readonly temporary: boolean;
  constructor(message: string, options: { readonly temporary: boolean; readonly cause?: unknown }) {
    super(message, { cause: options.cause });
    this.temporary = options.temporary;
  }
}

/** Longest by RFC 5321 section 4.5.3.1.3, less the angle brackets. */
const longestAddress = 254;

/**
 * Whether a text is one plain mailbox: dot-atoms on both sides of one `@` (RFC 5321 section 4.1.2), also beyond ASCII
 * (RFC 6531). Quoted local parts, address literals, comments and lists, which programs read in different ways, are not.
 */
export function isMailAddress(text: string): boolean {
  return text.length <= longestAddress && text.isWellFormed() && mailbox.test(text);
}

const atom = String.raw`[^\s\p{C}\x00-\x20\x7f"(),.:;<>@[\\\]]+`;
const label = String.raw`[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]*[\p{L}\p{M}\p{N}])?`;
const mailbox = new RegExp(`^${atom}(?:\\.${atom})*@${label}(?:\\.${label})*$`, 'u');
