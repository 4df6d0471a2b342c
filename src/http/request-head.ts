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

/** Header names as proxies spell them, so that the common ones need no lower-casing. */
const SPELLINGS = new Map<string, number>(INDEX);
for (const [name, index] of INDEX) {
  SPELLINGS.set(
    name.replaceAll(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()),
    index,
  );
}
SPELLINGS.set('X-Forwarded-URI', INDEX.get('x-forwarded-uri') ?? -1);
SPELLINGS.set('X-Original-URL', INDEX.get('x-original-url') ?? -1);

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

/** By length of a name: bits of the letters that names of this length begin with. Most headers are told apart by it. */
const BEGINNINGS: readonly number[] = Array.from({ length: 32 }, (_, length) =>
  NAMES.filter((name) => name.length === length).reduce((bits, name) => bits | beginning(name), 0),
);

/** A bit for the first letter of a name, in either case. */
function beginning(name: string): number {
  return 1 << (name.charCodeAt(0) & 31);
}

class Head implements RequestHead {
  readonly method: string;
  readonly target: string;
  readonly peer: string;
  readonly secure: boolean;
  readonly #values: readonly (string | undefined)[];
  /** A bit for each name. */
  readonly #repeated: number;
  readonly #aliased: number;

  constructor(
    request: IncomingMessage,
    target: string,
    values: readonly (string | undefined)[],
    flaws: { readonly repeated: number; readonly aliased: number },
  ) {
    this.method = request.method ?? '';
    this.target = target;
    this.peer = request.socket.remoteAddress ?? '';
    this.secure = 'encrypted' in request.socket;
    this.#values = values;
    this.#repeated = flaws.repeated;
    this.#aliased = flaws.aliased;
  }

  header(name: HeaderName): string | undefined {
    return this.#values[INDEX.get(name) as number];
  }

  flaw(name: HeaderName): 'repeated' | 'aliased' | undefined {
    if ((this.#repeated | this.#aliased) === 0) return undefined;
    const bit = 1 << (INDEX.get(name) as number);
    return this.#repeated & bit ? 'repeated' : this.#aliased & bit ? 'aliased' : undefined;
  }
}

export function readHead(request: IncomingMessage, target: string): RequestHead {
  const values = NAMES.map(nothing);
  let repeated = 0;
  let aliased = 0;
  const raw = request.rawHeaders;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string;
    if (((BEGINNINGS[name.length] ?? 0) & beginning(name)) === 0) continue;
    let index = SPELLINGS.get(name);
    if (index === undefined) {
      const lower = name.toLowerCase();
      index = INDEX.get(lower);
      if (index === undefined) {
        if (!lower.includes('_')) continue;
        const alias = INDEX.get(lower.replaceAll('_', '-'));
        if (alias !== undefined) aliased |= 1 << alias;
        continue;
      }
    }
    const before = values[index];
    if (before === undefined) {
      values[index] = raw[i + 1];
      continue;
    }
    const separator = JOINED.get(index);
    if (separator === undefined) repeated |= 1 << index;
    else values[index] = before + separator + raw[i + 1];
  }
  return new Head(request, target, values, { repeated, aliased });
}

const nothing = (): string | undefined => undefined;
