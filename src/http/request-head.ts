import type { IncomingMessage } from 'node:http';

/**
 * The head of a request as plain values: what the authorization endpoints read, filled in one pass over the raw header
 * lines. Only the headers that some dialect reads are kept.
 */
export interface RequestHead {
  readonly method: string;
  /** The request target as sent. */
  readonly target: string;
  /** The address of the TCP peer, or empty for a unix socket. */
  readonly peer: string;
  /** Whether the connection itself is TLS. */
  readonly secure: boolean;
  /** The value of a header, undefined when it is absent. */
  header(name: HeaderName): string | undefined;
  /** What makes a header untrustworthy: sent more than once, or also in an underscore spelling. */
  flaw(name: HeaderName): 'repeated' | 'aliased' | undefined;
}

const NAMES = [
  'host',
  'cookie',
  'accept',
  'authorization',
  'proxy-authorization',
  'session-username',
  'x-requested-with',
  'x-authelia-url',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-method',
  'x-forwarded-proto',
  'x-forwarded-uri',
  'x-original-method',
  'x-original-url',
] as const;

export type HeaderName = (typeof NAMES)[number];

const INDEX: ReadonlyMap<string, number> = new Map(NAMES.map((name, index) => [name, index]));

/**
 * Lists (RFC 9110, section 5.3) may be sent in several lines; the lines are joined. A forwarded-for list grows to the right,
 * so the last line holds the nearest hop. Several Cookie lines come from HTTP/2 (RFC 9113, section 8.2.3).
 */
const JOINED: ReadonlyMap<number, string> = new Map(
  (
    [
      ['cookie', '; '],
      ['accept', ', '],
      ['x-forwarded-for', ', '],
    ] as const
  ).map(([name, separator]) => [INDEX.get(name) ?? -1, separator]),
);

/** By length of a name and the letter that it begins with (its lowest five bits): the names that it may be. */
const CANDIDATES: readonly (readonly (readonly { index: number; bytes: Uint8Array }[])[])[] = Array.from(
  { length: 32 },
  (_, length) =>
    Array.from({ length: 32 }, (__, letter) =>
      NAMES.flatMap((name, index) =>
        name.length === length && (name.charCodeAt(0) & 31) === letter
          ? { index, bytes: Buffer.from(name) }
          : [],
      ),
    ),
);

/** Whether a header with a name of this length and first letter may be one that is kept. Most are told apart by it. */
export function mayBeKept(length: number, firstLetter: number): boolean {
  return (CANDIDATES[length]?.[firstLetter & 31]?.length ?? 0) > 0;
}

/** A head that is filled line by line. */
export class Head implements RequestHead {
  readonly method: string;
  target: string;
  readonly peer: string;
  readonly secure: boolean;
  readonly #values = NAMES.map(nothing);
  /** A bit for each name. */
  #repeated = 0;
  #aliased = 0;

  constructor(method: string, target: string, peer: string, secure: boolean) {
    this.method = method;
    this.target = target;
    this.peer = peer;
    this.secure = secure;
  }

  /** Takes a header line in: a name as it was spelled, a value without blanks at its ends. */
  add(name: string, value: string): void {
    const lower = name.toLowerCase();
    const index = INDEX.get(lower);
    if (index !== undefined) return this.#put(index, value);
    const alias = lower.includes('_') ? INDEX.get(lower.replaceAll('_', '-')) : undefined;
    if (alias !== undefined) this.#aliased |= 1 << alias;
  }

  /** `add` for a name that stands in these bytes, which costs less than making a text of it. Only characters of names (RFC 9110, section 5.1). */
  addFrom(bytes: Uint8Array, start: number, end: number, value: string): void {
    const length = end - start;
    const candidates = CANDIDATES[length]?.[(bytes[start] as number) & 31] ?? [];
    for (const candidate of candidates) {
      let at = 0;
      // The bit makes letters small, and makes neither a letter nor a hyphen of any other character of names.
      while (at < length && ((bytes[start + at] as number) | 0x20) === candidate.bytes[at]) at++;
      if (at === length) return this.#put(candidate.index, value);
    }
    this.add(Buffer.from(bytes.subarray(start, end)).toString('latin1'), value);
  }

  #put(index: number, value: string): void {
    const before = this.#values[index];
    if (before === undefined) {
      this.#values[index] = value;
      return;
    }
    const separator = JOINED.get(index);
    if (separator === undefined) this.#repeated |= 1 << index;
    else this.#values[index] = before + separator + value;
  }

  header(name: HeaderName): string | undefined {
    return this.#values[INDEX.get(name) as number];
  }

  flaw(name: HeaderName): 'repeated' | 'aliased' | undefined {
    if ((this.#repeated | this.#aliased) === 0) return undefined;
    const mask = 1 << (INDEX.get(name) as number);
    return this.#repeated & mask ? 'repeated' : this.#aliased & mask ? 'aliased' : undefined;
  }
}

/** The head of a request that Node.js has parsed. */
export function readHead(request: IncomingMessage, target: string): RequestHead {
  const { socket, rawHeaders } = request;
  const head = new Head(request.method ?? '', target, socket.remoteAddress ?? '', 'encrypted' in socket);
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (mayBeKept(name.length, name.charCodeAt(0))) head.add(name, rawHeaders[i + 1] as string);
  }
  return head;
}

const nothing = (): string | undefined => undefined;
