import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import PostalMime, { type Email } from 'postal-mime';

/** A mail as it came in. */
export interface SunkMail {
  readonly from: string;
  readonly recipients: readonly string[];
  readonly raw: Buffer;
  readonly isEncrypted: boolean;
  /** Who had signed in, and by which mechanism. */
  readonly signedInBy: string | null;
}

export interface SmtpSinkOptions {
  /** PEM; without it there is no TLS at all. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
  /** TLS from the start instead of STARTTLS. */
  readonly implicit?: boolean;
  readonly mechanisms?: readonly string[];
  readonly credentials?: { readonly username: string; readonly password: string };
}

/**
 * What happens to a mail: it is taken; refused for now or for good where it is named (`rcpt`) or when it has come in
 * (`data`); the server says nothing more after that (`stall`); or vanishes when it has it (`drop`).
 */
export type SinkMode =
  | 'accept'
  | 'rcpt-4xx'
  | 'rcpt-5xx'
  | 'data-4xx'
  | 'data-5xx'
  | 'mail-5xx'
  | 'stall'
  | 'drop';

export interface SmtpSink {
  readonly port: number;
  mode: SinkMode;
  readonly mails: readonly SunkMail[];
  /** Every command, without what signs in. */
  readonly commands: readonly string[];
  /** Resolves when somebody waits for an answer that does not come. */
  stalled(): Promise<void>;
  /** Stops listening and ends every connection; `start` takes the same port again. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export function parseMail(mail: SunkMail): Promise<Email> {
  return PostalMime.parse(mail.raw);
}

/** A mail server that keeps what it gets. */
export async function startSmtpSink(options: SmtpSinkOptions = {}): Promise<SmtpSink> {
  const mails: SunkMail[] = [];
  const commands: string[] = [];
  const sockets = new Set<Socket>();
  const stalls = Promise.withResolvers<void>();
  let server = createServer();
  let port = 0;

  const sink: SmtpSink = {
    get port() {
      return port;
    },
    mode: 'accept',
    mails,
    commands,
    stalled: () => stalls.promise,
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
    async start() {
      server = createServer((socket) => {
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
        socket.on('error', () => undefined);
        const client = options.implicit === true ? encrypt(socket, options) : socket;
        serve(client, options, sink, { mails, commands, stall: stalls.resolve }).catch(() =>
          client.destroy(),
        );
      });
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      ({ port } = server.address() as AddressInfo);
    },
  };
  await sink.start();
  return sink;
}

function encrypt(socket: Socket, { tls }: SmtpSinkOptions): TLSSocket {
  if (tls === undefined) throw new Error('the sink has no certificate');
  const client = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(tls) });
  client.on('error', () => undefined);
  return client;
}

async function* linesOf(socket: Socket): AsyncGenerator<string, void> {
  let rest = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString('latin1')).split('\r\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

interface Record {
  readonly mails: SunkMail[];
  readonly commands: string[];
  readonly stall: () => void;
}

async function serve(first: Socket, options: SmtpSinkOptions, sink: SmtpSink, record: Record): Promise<void> {
  let socket = first;
  let lines = linesOf(socket);
  let signedInBy: string | null = null;
  let from = '';
  let recipients: string[] = [];
  const say = (...reply: string[]): void => void socket.write(reply.map((line) => `${line}\r\n`).join(''));
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('gone');
    return value;
  };

  say('220 sink ESMTP');
  for (;;) {
    const line = await next();
    const verb = line.slice(0, 4).toUpperCase();
    record.commands.push(verb === 'AUTH' ? line.split(' ').slice(0, 2).join(' ') : line);
    const { mode } = sink;
    if (verb === 'EHLO') {
      const offersTls = options.tls !== undefined && !(socket instanceof TLSSocket);
      say(
        '250-sink',
        ...(offersTls ? ['250-STARTTLS'] : []),
        ...(options.mechanisms === undefined ? [] : [`250-AUTH ${options.mechanisms.join(' ')}`]),
        '250-SMTPUTF8',
        '250 SIZE 10000000',
      );
    } else if (verb === 'STAR') {
      if (options.tls === undefined) {
        say('502 5.5.1 not here');
        continue;
      }
      say('220 go ahead');
      await lines.return();
      socket = encrypt(socket, options);
      lines = linesOf(socket);
    } else if (verb === 'AUTH') {
      signedInBy = await signIn(line, options, say, next);
      say(signedInBy === null ? '535 5.7.8 wrong' : '235 2.7.0 welcome');
    } else if (verb === 'MAIL') {
      from = /<(.*?)>/.exec(line)?.[1] ?? '';
      recipients = [];
      say(mode === 'mail-5xx' ? '550 5.7.1 not from you' : '250 ok');
    } else if (verb === 'RCPT') {
      const refusal = { 'rcpt-4xx': '451 4.3.0 not now', 'rcpt-5xx': '550 5.1.1 nobody of that name' };
      if (mode in refusal) {
        say(refusal[mode as keyof typeof refusal]);
        continue;
      }
      recipients.push(/<(.*?)>/.exec(line)?.[1] ?? '');
      say('250 ok');
    } else if (verb === 'DATA') {
      say('354 go ahead');
      const body: string[] = [];
      for (let part = await next(); part !== '.'; part = await next()) body.push(part.replace(/^\./, ''));
      if (mode === 'stall') {
        record.stall();
        continue;
      }
      if (mode === 'data-4xx' || mode === 'data-5xx') {
        say(mode === 'data-4xx' ? '452 4.3.1 disk full' : '554 5.7.1 looks like spam');
        continue;
      }
      const raw = Buffer.from(`${body.join('\r\n')}\r\n`, 'latin1');
      record.mails.push({ from, recipients, raw, isEncrypted: socket instanceof TLSSocket, signedInBy });
      if (mode === 'drop') {
        socket.destroy();
        return;
      }
      say('250 taken');
    } else if (verb === 'QUIT') {
      say('221 bye');
      socket.end();
      return;
    } else {
      say('250 ok');
    }
  }
}

/** The name with its mechanism, or null. The server's side of each, written from the RFCs apart from the client's. */
async function signIn(
  line: string,
  { credentials }: SmtpSinkOptions,
  say: (reply: string) => void,
  next: () => Promise<string>,
): Promise<string | null> {
  const [, mechanism = '', initial] = line.split(' ');
  const ask = async (challenge: string): Promise<string> => {
    say(`334 ${Buffer.from(challenge).toString('base64')}`);
    return Buffer.from(await next(), 'base64').toString();
  };
  const first = async (): Promise<string> =>
    initial === undefined ? await ask('') : Buffer.from(initial, 'base64').toString();
  if (credentials === undefined) return null;
  const { username, password } = credentials;
  const isRight = async (): Promise<boolean> => {
    switch (mechanism) {
      case 'PLAIN':
        return (await first()) === `\0${username}\0${password}`;
      case 'LOGIN':
        return (await ask('Username:')) === username && (await ask('Password:')) === password;
      case 'CRAM-MD5': {
        const challenge = `<${randomBytes(8).toString('hex')}@sink>`;
        const digest = createHmac('md5', password).update(challenge).digest('hex');
        return (await ask(challenge)) === `${username} ${digest}`;
      }
      case 'SCRAM-SHA-1':
      case 'SCRAM-SHA-256':
        return scram(
          mechanism === 'SCRAM-SHA-1' ? 'sha1' : 'sha256',
          { username, password },
          await first(),
          ask,
        );
      default:
        return false;
    }
  };
  return (await isRight()) ? `${username} by ${mechanism}` : null;
}

async function scram(
  hash: string,
  { username, password }: { username: string; password: string },
  clientFirst: string,
  ask: (challenge: string) => Promise<string>,
): Promise<boolean> {
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  const size = hash === 'sha1' ? 20 : 32;
  const bare = clientFirst.replace(/^n,,/, '');
  const nonce = `${/r=(.*)$/.exec(bare)?.[1]}${randomBytes(8).toString('hex')}`;
  const salt = randomBytes(16);
  const serverFirst = `r=${nonce},s=${salt.toString('base64')},i=4096`;
  const final = await ask(serverFirst);
  const [, withoutProof = '', proof = ''] = /^(.*),p=(.*)$/.exec(final) ?? [];
  const salted = pbkdf2Sync(password, salt, 4096, size, hash);
  const signed = `${bare},${serverFirst},${withoutProof}`;
  const storedKey = createHash(hash).update(hmac(salted, 'Client Key')).digest();
  const signature = hmac(storedKey, signed);
  const clientKey = Buffer.from(proof, 'base64').map((byte, index) => byte ^ (signature[index] ?? 0));
  const isRight =
    bare.startsWith(`n=${username},`) &&
    withoutProof === `c=biws,r=${nonce}` &&
    createHash(hash).update(clientKey).digest().equals(storedKey);
  if (!isRight) return false;
  return (await ask(`v=${hmac(hmac(salted, 'Server Key'), signed).toString('base64')}`)) === '';
}
