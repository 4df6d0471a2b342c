/**
 * The one reader of a target's URL. Proxies and applications disagree about odd spellings (`;params`, backslashes,
 * double encoding); a URL that cannot be read safely is invalid, one that can be read in several ways carries every
 * reading, and whoever decides takes the strictest.
 */
import { BoundedMap } from './bounded-map.ts';
import { detachedText } from './detached-text.ts';
import { canonicalAddress } from './ip-network.ts';
import { decodePercent } from './percent-decoding.ts';

/** One URL in the form in which everything decides about it. */
export interface CanonicalUrl {
  /** Lower case. */
  readonly scheme: string;
  /** Lower case ASCII, without port; an IPv6 address without its brackets. */
  readonly host: string;
  /** Digits, or empty. */
  readonly port: string;
  /**
   * The path as applications may read it, decoded and cleaned; the first is the plain reading. More than one only where
   * the spelling is ambiguous (path parameters, backslashes, double encoding …); the strictest decision counts.
   */
  readonly readings: readonly [string, ...string[]];
  /** Without the question mark, as it was sent (not decoded). */
  readonly query: string;
  /** The URL exactly as the proxy gave it. */
  readonly href: string;
}

/** Why there is no URL. */
export interface InvalidUrl {
  /** Names the wrong part and what it holds, without repeating what the client sent. */
  readonly invalid: string;
}

const maxReadings = 16;
const maxSpellings = 48;
/** Longer paths are fine as long as there is one way to read them. */
const maxAmbiguousLength = 8192;

interface Authority {
  readonly host: string;
  readonly port: string;
}

const invalid = (reason: string): InvalidUrl => ({ invalid: reason });

function parsePort(text: string): string | null {
  if (!/^\d{1,5}$/.test(text)) return null;
  const port = Number(text);
  return port >= 1 && port <= 65_535 ? String(port) : null;
}

/** Whether a name reads as an IPv4 address for browsers (WHATWG URL, "ends in a number"): then only `1.2.3.4` will do. */
const endsInNumber = /(?:^|\.)(?:\d+|0x[\da-f]*)$/;
const hostName = /^[a-z\d_-]{1,63}(?:\.[a-z\d_-]{1,63})*$/;

/** Authorities that were read already and are valid, as most requests are for a few hosts. */
const known = new BoundedMap<string, Authority>(5000);

function parseAuthority(text: string): Authority | InvalidUrl {
  const before = known.get(text);
  if (before) return before;
  const place = readAuthority(text);
  if (!('invalid' in place)) known.set(detachedText(text), { ...place, host: detachedText(place.host) });
  return place;
}

function readAuthority(text: string): Authority | InvalidUrl {
  const bracket = text.startsWith('[') ? text.indexOf(']') : -1;
  const colon = text.indexOf(':', bracket + 1);
  const port = colon === -1 ? '' : parsePort(text.slice(colon + 1));
  if (port === null)
    return invalid(
      text.includes('@') ? 'the host holds userinfo' : 'the port is not a number from 1 to 65535',
    );
  const host = (colon === -1 ? text : text.slice(0, colon)).toLowerCase();
  if (bracket !== -1) {
    const address = host.slice(1, -1);
    if (bracket !== host.length - 1 || !address.includes(':') || canonicalAddress(address) !== address) {
      return invalid('the host is not an IPv6 address in its canonical form');
    }
    return { host: address, port };
  }
  // Lower-casing folds U+212A to k: the length or the pattern alone would not see it.
  if (hostName.test(host) && host.length <= 253 && /^[\x21-\x7e]+$/.test(text)) {
    if (endsInNumber.test(host) && canonicalAddress(host) !== host)
      return invalid('the host is a malformed IPv4 address');
    return { host, port };
  }
  if (host === '') return invalid('the host is empty');
  if (host.includes('@')) return invalid('the host holds userinfo');
  if (host.endsWith('.') || host.startsWith('.') || host.includes('..'))
    return invalid('the host has an empty label or a trailing dot');
  return invalid('the host is not a name of ASCII letters, digits, hyphens, underscores and dots');
}

/** What forbids the URI as a whole: control characters, a space, a fragment. */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const forbidden = /[\u0000-\u0020#\u007f]/;
/** Everything that may give a path another reading than its own text, or needs cleaning. Ordinary paths have none. */
const unplain = /[%;\\\u0080-\uffff]|\/[./]/;

/**
 * Resolves `.`, `..` and empty segments without looking at any file system, never above the root; a trailing slash
 * stays. The root with one becomes `//`, as authorization rules for Authelia know it. An empty path becomes `.`.
 */
function clean(path: string): string {
  if (path === '') return '.';
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  const slash = path.length > 1 && path.endsWith('/') ? '/' : '';
  return `/${segments.join('/')}${slash}`;
}

// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const controls = /[\u0000-\u001f\u007f-\u009f]/;

/** Ways in which some proxy or application reads a decoded path further. Each answers its input when it changes nothing. */
const furtherReadings: readonly ((path: string) => string | null)[] = [
  clean,
  (path) => (path.includes(';') ? path.replaceAll(/;[^/]*/g, '') : path),
  (path) => (path.includes('\\') ? path.replaceAll('\\', '/') : path),
  (path) => decodePercent(path, 'keep'),
  (path) => path.split(/[#?]/, 1)[0] ?? path,
  (path) => path.split(controls, 1)[0] ?? path,
  (path) => (controls.test(path) ? path.replaceAll(new RegExp(controls, 'g'), '') : path),
  (path) => path.normalize('NFKC'),
];

/** Characters of a decoded path on which readers disagree. */
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const ambiguous = /[%;\\#?\u0000-\u001f\u007f-\u009f]/;

function isAmbiguous(path: string): boolean {
  return ambiguous.test(path) || path.normalize('NFKC') !== path;
}

/** A `..` between slashes: not every application resolves it. */
const climbing = /(?:^|\/)\.\.(?:\/|$)/;
/** A path that ends in a dot segment names a folder (RFC 3986, section 5.2.4). */
const endsInDots = /\/\.{1,2}$/;

/** What is added to the plain reading because of dot segments: the folder with its slash, and the path as it stands. */
function dotReadings(path: string, plain: string): string[] {
  const folder = endsInDots.test(path) && !plain.endsWith('/') ? [`${plain}/`] : [];
  return climbing.test(path) ? [...folder, path] : folder;
}

/** All that a decoded path may come to when its further readings are combined in any order. */
function readingsOf(path: string): [string, ...string[]] | InvalidUrl {
  const plain = clean(path);
  if (!isAmbiguous(path)) return [plain, ...(plain === '//' ? ['/'] : []), ...dotReadings(path, plain)];
  const spellings = new Set([path]);
  for (const spelling of spellings) {
    for (const read of furtherReadings) {
      const further = read(spelling);
      if (further === null) return invalid('the path holds overlong UTF-8');
      spellings.add(further);
    }
    if (spellings.size > maxSpellings) return invalid('the path can be read in too many ways');
    if (spellings.size > 2 && path.length > maxAmbiguousLength)
      return invalid('the path is ambiguous and too long');
  }
  const readings = new Set([plain]);
  for (const spelling of spellings) {
    const reading = clean(spelling);
    for (const other of dotReadings(spelling, reading)) readings.add(other);
    // Applications see the root in what access control for Authelia knows as a path of its own.
    readings.add(reading === '//' ? '/' : reading);
  }
  if (readings.size > maxReadings) return invalid('the path can be read in too many ways');
  return [...readings] as [string, ...string[]];
}

/**
 * Reads a target's URL from its three parts as a proxy names them. `uri` is the request target: empty, or a path with
 * or without query, or a query alone. Strings are UTF-8 already decoded. Schemes other than https and wss are invalid,
 * and so is everything on which two parsers could disagree about the host.
 */
export function parseCanonicalUrl(scheme: string, authority: string, uri: string): CanonicalUrl | InvalidUrl {
  const lowerScheme = scheme === 'https' ? scheme : scheme.toLowerCase();
  if (lowerScheme !== 'https' && lowerScheme !== 'wss') return invalid('the scheme is neither https nor wss');
  const place = parseAuthority(authority);
  if ('invalid' in place) return place;
  const first = uri.charCodeAt(0);
  if (uri !== '' && first !== 47 && first !== 63) return invalid('the URI does not begin with a slash');
  if (forbidden.test(uri)) return invalid('the URI holds a space, a fragment or a control character');
  const mark = uri.indexOf('?');
  const path = mark === -1 ? uri : uri.slice(0, mark);
  let readings: CanonicalUrl['readings'] | InvalidUrl;
  if (path === '') readings = ['.', '/'];
  else if (!unplain.test(path)) readings = [path];
  else {
    const decoded = decodePercent(path, 'refuse');
    if (decoded === null)
      return invalid('the path holds a percent escape that is malformed or overlong UTF-8');
    if (decoded.includes('\u0000')) return invalid('the path holds an escaped NUL');
    readings = readingsOf(decoded);
    if ('invalid' in readings) return readings;
  }
  return {
    scheme: lowerScheme,
    host: place.host,
    port: place.port,
    readings,
    query: mark === -1 ? '' : uri.slice(mark + 1),
    href: `${scheme}://${authority}${uri}`,
  };
}
