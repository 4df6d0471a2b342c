import { Head, mayBeKept } from './request-head.ts';

/** A request whose bytes hold nothing that two readers could understand differently. */
export interface PlainRequest {
  readonly head: Head;
  /** Whether the connection ends with the answer. */
  readonly closes: boolean;
}

/** Bytes. Longer requests are not plain. */
const MAX_LENGTH = 16 * 1024;
/** Header lines. */
const MAX_LINES = 100;

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** For each byte, the parts of a request in which it may stand. */
const [IN_METHOD, IN_TARGET, IN_NAME, IN_VALUE] = [1, 2, 4, 8];
const PLACES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return (
    (/[A-Z]/.test(character) ? IN_METHOD : 0) |
    (/[!-~]/.test(character) ? IN_TARGET : 0) |
    (/[!#$%&'*+.^_`|~0-9A-Za-z-]/.test(character) ? IN_NAME : 0) |
    (/[\t -~\x80-\xff]/.test(character) ? IN_VALUE : 0)
  );
});

const [TAB, LF, CR, BLANK, SLASH, COLON] = [9, 10, 13, 32, 47, 58];
const VERSION = ' HTTP/1.';

const BLANK_ENDS = /^[\t ]+|[\t ]+$/g;

/**
 * Headers that say where a request ends or what becomes of the connection, with the values, if any, with which a request
 * stays plain: it has no body, and its connection goes on or closes.
 */
const FRAMING: ReadonlyMap<string, readonly string[]> = new Map([
  ['connection', ['keep-alive', 'close']],
  ['content-length', ['0']],
  ['expect', []],
  ['proxy-connection', []],
  ['te', []],
  ['trailer', []],
  ['transfer-encoding', []],
  ['upgrade', []],
]);

/** By length of a name: the letters that names of this length begin with, as bits. */
const FRAMING_BEGINNINGS: readonly number[] = Array.from({ length: 32 }, (_, length) =>
  [...FRAMING.keys()]
    .filter((name) => name.length === length)
    .reduce((bits, name) => bits | (1 << (name.charCodeAt(0) & 31)), 0),
);

/**
 * The request that these bytes are, or null where they are anything but one plain request: then a complete HTTP parser must
 * look at them. `peer` and `secure` are those of `RequestHead`.
 *
 * Plain is one whole request (RFC 9112) and nothing else: a known method, a path, HTTP/1.0 or 1.1, complete header lines of
 * printable characters, the empty line, the end. What needs a liberal reader (bare line feeds, folded lines, blanks
 * before a colon, control characters) is not plain.
 */
export function readPlainRequest(bytes: Buffer, peer: string, secure: boolean): PlainRequest | null {
  const size = bytes.length;
  // Every search below ends at the carriage return before the end, if not earlier.
  if (size > MAX_LENGTH || size < 16 || bytes[size - 2] !== CR || bytes[size - 1] !== LF) return null;
  const text = bytes.toString('latin1');

  const methodEnd = endOf(IN_METHOD, bytes, 0);
  const method = text.slice(0, methodEnd);
  const targetStart = methodEnd + 1;
  if (bytes[methodEnd] !== BLANK || bytes[targetStart] !== SLASH || !METHODS.has(method)) return null;
  const targetEnd = endOf(IN_TARGET, bytes, targetStart);
  const versionEnd = targetEnd + VERSION.length + 1;
  if (!text.startsWith(VERSION, targetEnd) || !isLineEnd(bytes, versionEnd)) return null;
  const minor = text[versionEnd - 1];
  if (minor !== '0' && minor !== '1') return null;

  const head = new Head(method, text.slice(targetStart, targetEnd), peer, secure);
  let persistence = minor === '0' ? 'close' : 'keep-alive';
  let framed: string[] | null = null;
  let start = versionEnd + 2;
  for (let lines = 0; bytes[start] !== CR; lines++) {
    const colon = endOf(IN_NAME, bytes, start);
    if (lines === MAX_LINES || colon === start || bytes[colon] !== COLON) return null;
    const lineEnd = endOf(IN_VALUE, bytes, colon + 1);
    if (!isLineEnd(bytes, lineEnd)) return null;
    const length = colon - start;
    const first = bytes[start] as number;
    if (((FRAMING_BEGINNINGS[length] ?? 0) & (1 << (first & 31))) !== 0) {
      const name = text.slice(start, colon).toLowerCase();
      const allowed = FRAMING.get(name);
      if (allowed) {
        const value = valueOf(text, colon + 1, lineEnd).toLowerCase();
        // Said twice is not plain, whatever is said.
        if (!allowed.includes(value) || framed?.includes(name)) return null;
        (framed ??= []).push(name);
        if (name === 'connection') persistence = value;
      }
    }
    if (mayBeKept(length, first)) head.addFrom(bytes, start, colon, valueOf(text, colon + 1, lineEnd));
    start = lineEnd + 2;
  }
  // The empty line is the end.
  if (start + 2 !== size) return null;
  // RFC 9112, section 3.2: without a Host a request of HTTP/1.1 is none. Kept connections of HTTP/1.0 are left to the parser.
  if (minor === '1' ? head.header('host') === undefined : persistence === 'keep-alive') return null;
  return { head, closes: persistence === 'close' };
}

/** Where the first byte stands that has no place in this part. Carriage returns have none anywhere. */
function endOf(part: number, bytes: Buffer, from: number): number {
  let at = from;
  while (((PLACES[bytes[at] as number] as number) & part) !== 0) at++;
  return at;
}

function isLineEnd(bytes: Buffer, at: number): boolean {
  return bytes[at] === CR && bytes[at + 1] === LF;
}

/** A header's value without the blanks around it (RFC 9110, section 5.5). */
function valueOf(text: string, start: number, end: number): string {
  const from = text.charCodeAt(start) === BLANK ? start + 1 : start;
  if (from >= end) return '';
  const value = text.slice(from, end);
  return isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))
    ? value.replaceAll(BLANK_ENDS, '')
    : value;
}

function isBlank(code: number): boolean {
  return code === BLANK || code === TAB;
}
