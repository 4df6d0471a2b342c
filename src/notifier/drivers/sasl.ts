/** Signing in to a mail server (SASL, RFC 4422; in SMTP: RFC 4954): the best mechanism of those that it offers. */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import type { Random } from '../../lib/random.ts';

export interface SaslCredentials {
  readonly username: string;
  readonly password: string;
}

/** Sends one line and answers the reply to it: its code, and the text after that. */
export type Say = (line: string) => Promise<{ readonly status: number; readonly text: string }>;

/** Why nobody was signed in. Never holds the password. */
export class SignInFailed extends Error {
  override name = 'SignInFailed';
}

/**
 * What a client says: each value is a response, and gets the server's next challenge, or null when the server says that
 * this was all. A generator throws when it must not be all.
 */
type Exchange = AsyncGenerator<Buffer, void, Buffer | null>;

interface Mechanism {
  readonly name: string;
  /** Whether the server, and whoever listens in, learns the password. */
  readonly showsPassword: boolean;
  /** Whether the client speaks first. */
  readonly isClientFirst: boolean;
  /** `challenge` is the server's first, if it speaks first. */
  exchange(credentials: SaslCredentials, random: Random, challenge: Buffer): Exchange;
}

/** The best first. */
const mechanisms: readonly Mechanism[] = [
  { name: 'SCRAM-SHA-256', showsPassword: false, isClientFirst: true, exchange: scram('sha256') },
  { name: 'SCRAM-SHA-1', showsPassword: false, isClientFirst: true, exchange: scram('sha1') },
  { name: 'CRAM-MD5', showsPassword: false, isClientFirst: false, exchange: cramMd5 },
  { name: 'PLAIN', showsPassword: true, isClientFirst: true, exchange: plain },
  { name: 'LOGIN', showsPassword: true, isClientFirst: false, exchange: login },
];

/**
 * Signs in with the best mechanism of `offered` (upper case); over a connection that is not encrypted only with one that
 * does not show the password. Throws `SignInFailed`.
 */
export async function signIn(
  credentials: SaslCredentials,
  server: { readonly offered: readonly string[]; readonly isEncrypted: boolean; readonly say: Say },
  random: Random,
): Promise<void> {
  const known = mechanisms.filter(({ name }) => server.offered.includes(name));
  const mechanism = known.find(({ showsPassword }) => server.isEncrypted || !showsPassword);
  if (mechanism === undefined) {
    throw new SignInFailed(
      known.length > 0
        ? `the connection is not encrypted, and the server offers only ways to sign in that show the password (${known.map(({ name }) => name).join(', ')})`
        : `the server offers no way to sign in that is known here${server.offered.length === 0 ? '' : ` (only ${server.offered.join(', ')})`}`,
    );
  }
  const { name, isClientFirst } = mechanism;
  let exchange: Exchange | null = null;
  let reply: { readonly status: number; readonly text: string };
  if (isClientFirst) {
    exchange = mechanism.exchange(credentials, random, Buffer.alloc(0));
    const first = await exchange.next();
    reply = await server.say(`AUTH ${name} ${encode(first.value)}`);
  } else {
    reply = await server.say(`AUTH ${name}`);
  }
  while (reply.status === 334) {
    const challenge = Buffer.from(reply.text, 'base64');
    const step: IteratorResult<Buffer, void> =
      exchange === null
        ? await (exchange = mechanism.exchange(credentials, random, challenge)).next()
        : await exchange.next(challenge);
    if (step.done === true) throw new SignInFailed(`the server asks for more than ${name} has`);
    reply = await server.say(encode(step.value));
  }
  if (reply.status !== 235) {
    throw new SignInFailed(
      `the server refuses the sign-in of ${JSON.stringify(credentials.username)} by ${name}: ${reply.status} ${reply.text}`,
    );
  }
  const end = await exchange?.next(null);
  if (end?.done !== true) throw new SignInFailed(`the server ended ${name} too early`);
}

/** An empty response is `=` where it stands in a command, but nothing on a line of its own; ours in commands never are. */
function encode(response: Buffer | void): string {
  return response instanceof Buffer ? response.toString('base64') : '';
}

/** RFC 4616 */
async function* plain({ username, password }: SaslCredentials): Exchange {
  yield Buffer.from(`\0${username}\0${password}`);
}

/** draft-murchison-sasl-login */
async function* login({ username, password }: SaslCredentials): Exchange {
  yield Buffer.from(username);
  yield Buffer.from(password);
}

/** RFC 2195 */
async function* cramMd5(
  { username, password }: SaslCredentials,
  _random: Random,
  challenge: Buffer,
): Exchange {
  yield Buffer.from(`${username} ${createHmac('md5', password).update(challenge).digest('hex')}`);
}

const derive = promisify(pbkdf2);
/** RFC 7677 section 4 asks for at least as many; beyond the upper limit a server would only keep us busy. */
const iterationRange = [4096, 1_000_000] as const;

/** RFC 5802, without channel binding. The server proves that it knows the password too. */
function scram(hash: 'sha1' | 'sha256'): Mechanism['exchange'] {
  const hmac = (key: Buffer, text: Buffer | string): Buffer => createHmac(hash, key).update(text).digest();
  const size = createHash(hash).digest().length;
  return async function* ({ username, password }, random) {
    const name = prepare(username).replaceAll('=', '=3D').replaceAll(',', '=2C');
    const nonce = random.bytes(24).toString('base64');
    const clientFirst = `n=${name},r=${nonce}`;
    const serverFirst = (yield Buffer.from(`n,,${clientFirst}`))?.toString() ?? '';
    const [, bothNonces = '', salt = '', count = ''] =
      /^r=([^,]+),s=([A-Za-z0-9+/]+=*),i=(\d{1,9})(?:,|$)/.exec(serverFirst) ?? [];
    const iterations = Number(count);
    if (!bothNonces.startsWith(nonce) || bothNonces.length === nonce.length)
      throw new SignInFailed('the server did not keep to SCRAM: its nonce is not made of ours');
    if (iterations < iterationRange[0] || iterations > iterationRange[1])
      throw new SignInFailed(`the server asks for ${iterations} iterations of SCRAM`);
    const salted = await derive(prepare(password), Buffer.from(salt, 'base64'), iterations, size, hash);
    const clientKey = hmac(salted, 'Client Key');
    const withoutProof = `c=biws,r=${bothNonces}`;
    const signed = `${clientFirst},${serverFirst},${withoutProof}`;
    const signature = hmac(createHash(hash).update(clientKey).digest(), signed);
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0));
    const serverFinal = yield Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`);
    const [, verifier = ''] = /^v=([A-Za-z0-9+/]+=*)/.exec(serverFinal?.toString() ?? '') ?? [];
    const given = Buffer.from(verifier, 'base64');
    const expected = hmac(hmac(salted, 'Server Key'), signed);
    if (given.length !== expected.length || !timingSafeEqual(given, expected))
      throw new SignInFailed('the server could not prove that it knows the password');
    yield Buffer.alloc(0);
  };
}

/** SASLprep (RFC 4013) for what people type: other spaces become plain ones, invisible characters go, then NFKC. */
function prepare(text: string): string {
  return text
    .replaceAll(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replaceAll(/\u00ad|\u034f|\u1806|\u180b|\u180c|\u180d|\u200c|\u200d|\u2060|\ufeff|[\ufe00-\ufe0f]/g, '')
    .normalize('NFKC');
}
