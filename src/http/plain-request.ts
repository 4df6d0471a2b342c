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

/**
 * One whole request (RFC 9112) and nothing else: a known method, a path, HTTP/1.0 or 1.1, complete header lines of printable
 * characters, the empty line, the end. What needs a liberal reader (bare line feeds, folded lines, blanks before a
 * colon, control characters) does not match.
 */
const REQUEST =
  // oxlint-disable-next-line no-control-regex -- the tabulator may stand in a value
  /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (\/[!-~]*) HTTP\/1\.([01])\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+\r\n$/;

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
 */
export function readPlainRequest(bytes: Buffer, peer: string, secure: boolean): PlainRequest | null {
  if (bytes.length > MAX_LENGTH) return null;
  const text = bytes.toString('latin1');
  const match = REQUEST.exec(text);
  if (!match) return null;
  const [, method = '', target = '', minor] = match;
  const head = new Head(method, target, peer, secure);
  let persistence = minor === '0' ? 'close' : 'keep-alive';
  let framed: string[] | null = null;
  // Behind the request line.
  let start = method.length + target.length + ' '.length + ' HTTP/1.1\r\n'.length;
  const end = text.length - 2;
  for (let lines = 0; start < end; lines++) {
    if (lines === MAX_LINES) return null;
    const colon = text.indexOf(':', start);
    const lineEnd = text.indexOf('\r\n', colon);
    const length = colon - start;
    const first = text.charCodeAt(start);
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
    if (mayBeKept(length, first)) head.add(text.slice(start, colon), valueOf(text, colon + 1, lineEnd));
    start = lineEnd + 2;
  }
  // RFC 9112, section 3.2: without a Host a request of HTTP/1.1 is none. Kept connections of HTTP/1.0 are left to the parser.
  if (minor === '1' ? head.header('host') === undefined : persistence === 'keep-alive') return null;
  return { head, closes: persistence === 'close' };
}

/** A header's value without the blanks around it (RFC 9110, section 5.5). */
function valueOf(text: string, start: number, end: number): string {
  const from = text.charCodeAt(start) === 32 ? start + 1 : start;
  if (from >= end) return '';
  const value = text.slice(from, end);
  return isBlank(value.charCodeAt(0)) || isBlank(value.charCodeAt(value.length - 1))
    ? value.replaceAll(BLANK_ENDS, '')
    : value;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}
