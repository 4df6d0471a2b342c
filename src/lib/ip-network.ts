import { hexValue } from './percent-decoding.ts';

/**
 * IP addresses and networks in text, parsed strictly: dotted quads of four decimal numbers without leading zeros, IPv6
 * as RFC 4291 writes it, no zone. An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is the IPv4 address, everywhere.
 */

/** An address or a network's base as 32-bit words: one for IPv4, four for IPv6. */
type Words = readonly number[];

/** An address that has been read. */
export type Address = Words;

/** A block of addresses. Host bits of the text are cleared. */
export interface Network {
  readonly family: 4 | 6;
  readonly words: Words;
  /** Prefix length in bits: up to 32 or up to 128. */
  readonly bits: number;
}

function parseIpv4(text: string): number | null {
  if (text.length > 15) return null;
  let value = 0;
  let part = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      if (part < 0 || ++dots > 3) return null;
      value = value * 256 + part;
      part = -1;
      continue;
    }
    if (code < 48 || code > 57 || part === 0) return null;
    part = part < 0 ? code - 48 : part * 10 + code - 48;
    if (part > 255) return null;
  }
  return dots === 3 && part >= 0 ? value * 256 + part : null;
}

const colon = 58;
const dot = 46;

/** The eight groups of an address as RFC 4291 section 2.2 writes it. */
function parseGroups(text: string): number[] | null {
  const groups: number[] = [];
  let gap = text.startsWith('::') ? 0 : -1;
  let at = gap === 0 ? 2 : 0;
  while (at < text.length) {
    const start = at;
    let group = 0;
    for (let digit = hexValue(text.charCodeAt(at)); digit !== -1; digit = hexValue(text.charCodeAt(++at))) {
      group = group * 16 + digit;
      if (at - start === 4) return null;
    }
    if (text.charCodeAt(at) === dot) {
      const tail = parseIpv4(text.slice(start));
      if (tail === null) return null;
      groups.push(tail >>> 16, tail & 0xffff);
      break;
    }
    if (at === start) return null;
    groups.push(group);
    if (at === text.length) break;
    if (groups.length > 7 || text.charCodeAt(at) !== colon) return null;
    at++;
    if (text.charCodeAt(at) === colon) {
      if (gap !== -1) return null;
      gap = groups.length;
      at++;
    } else if (at === text.length) return null;
  }
  if (gap === -1) return groups.length === 8 ? groups : null;
  if (groups.length > 7) return null;
  groups.splice(gap, 0, ...Array.from({ length: 8 - groups.length }, () => 0));
  return groups;
}

function parseIpv6(text: string): number[] | null {
  const groups = parseGroups(text);
  if (groups === null) return null;
  const words: number[] = [];
  for (let i = 0; i < 8; i += 2) words.push((((groups[i] ?? 0) << 16) | (groups[i + 1] ?? 0)) >>> 0);
  return words;
}

function isMapped(words: Words): boolean {
  return words.length === 4 && words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
}

/** Null when the text is no address. */
export function parseAddress(text: string): Address | null {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) return [ipv4];
  const words = parseIpv6(text);
  return words !== null && isMapped(words) ? words.slice(3) : words;
}

function maskOf(bits: number, word: number): number {
  const left = bits - word * 32;
  if (left >= 32) return 0xffffffff;
  return left <= 0 ? 0 : (0xffffffff << (32 - left)) >>> 0;
}

/**
 * Parses `address` or `address/bits`; a single address is a network of its own. A block of IPv4-mapped addresses
 * (`::ffff:10.9.0.0/112`) is the IPv4 block; any other IPv6 block, `::/0` included, holds no IPv4 address.
 * Throws an Error that says what is wrong with the text.
 */
export function parseNetwork(text: string): Network {
  const slash = text.indexOf('/');
  const address = slash === -1 ? text : text.slice(0, slash);
  const ipv4 = parseIpv4(address);
  const words = ipv4 === null ? parseIpv6(address) : [ipv4];
  if (words === null) {
    throw new Error(`'${text}' is not an IP address or a network such as 10.0.0.0/8 or 2001:db8::/32`);
  }
  const width = words.length * 32;
  const suffix = slash === -1 ? String(width) : text.slice(slash + 1);
  const bits = /^(?:0|[1-9]\d{0,2})$/.test(suffix) ? Number(suffix) : -1;
  if (bits < 0 || bits > width) {
    throw new Error(`'${text}' has the prefix length '${suffix}', a number from 0 to ${width} is needed`);
  }
  const base = words.map((word, i) => (word & maskOf(bits, i)) >>> 0);
  if (isMapped(base) && bits >= 96) return { family: 4, words: base.slice(3), bits: bits - 96 };
  return { family: base.length === 1 ? 4 : 6, words: base, bits };
}

/**
 * A test for "is this address in one of these networks". Compiled once; what is no address is in none. Throws when one
 * of the networks is malformed.
 */
export function compileAddressTest(texts: readonly string[]): (address: Address | null) => boolean {
  const networks = texts.map(parseNetwork);
  // Base and mask in turn, in one piece of memory: many such tests are asked for one request.
  const v4 = networks
    .filter(({ family }) => family === 4)
    .flatMap(({ words, bits }) => [(words[0] ?? 0) | 0, maskOf(bits, 0) | 0]);
  const v6 = networks
    .filter(({ family }) => family === 6)
    .map(({ words, bits }) => words.map((base, i) => ({ base, mask: maskOf(bits, i) })));
  return (address) => {
    if (address === null) return false;
    if (address.length === 1) {
      const value = address[0] ?? 0;
      for (let i = 0; i < v4.length; i += 2) if ((value & (v4[i + 1] ?? 0)) === v4[i]) return true;
      return false;
    }
    return v6.some((words) => words.every(({ base, mask }, i) => ((address[i] ?? 0) & mask) >>> 0 === base));
  };
}

/** The same test for addresses in text. */
export function compileNetworks(texts: readonly string[]): (ip: string) => boolean {
  const contains = compileAddressTest(texts);
  return (ip) => contains(parseAddress(ip));
}

function formatIpv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

function formatGroups(groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':');
}

/** Where the longest run of two or more zero groups lies; RFC 5952 section 4.2 shortens that one, the first of equals. */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 1 };
  let start = -1;
  groups.forEach((group, i) => {
    if (group !== 0) start = -1;
    else {
      if (start === -1) start = i;
      if (i - start + 1 > best.length) best = { start, length: i - start + 1 };
    }
  });
  return best;
}

/**
 * The one text of an address: dotted quad, or IPv6 as RFC 5952 writes it; IPv4-mapped addresses become IPv4. Null when
 * the text is no address (zones such as `fe80::1%eth0` are refused).
 */
export function canonicalAddress(text: string): string | null {
  const ipv4 = parseIpv4(text);
  if (ipv4 !== null) return text;
  const words = parseAddress(text);
  if (words === null) return null;
  if (words.length === 1) return formatIpv4(words[0] ?? 0);
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]);
  const { start, length } = longestZeroRun(groups);
  return start === -1
    ? formatGroups(groups)
    : `${formatGroups(groups.slice(0, start))}::${formatGroups(groups.slice(start + length))}`;
}
