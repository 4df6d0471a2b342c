/**
 * The strict reader of addresses that a browser is sent to: redirect targets and portal addresses. Browsers forgive a
 * lot (`https:evil.com`, tabs, full-width dots, backslashes); whatever they would have to forgive is refused here, so
 * that what is compared is what they follow.
 */

/** Where a browser may be sent. */
export interface HttpsTarget {
  /** The address as browsers serialise it: send this, never the text that came in. */
  readonly href: string;
  /** Lower case name; never an IP address. */
  readonly host: string;
  /** Digits, or empty for 443. */
  readonly port: string;
}

const maxLength = 8192;
/** Printable ASCII without the backslash, which browsers take for a slash. */
const shape = /^https:\/\/(?<host>[^/?#:@]+)(?::(?<port>[1-9]\d{0,4}))?(?:[/?#][!-[\]-~]*)?$/i;
const name = /^(?!-)[a-z\d_-]{1,63}(?<!-)(?:\.(?!-)[a-z\d_-]{1,63}(?<!-))*$/;
/** Browsers read `127.1`, `2130706433` and `0x7f.1` as addresses. */
const endsInNumber = /(?:^|\.)(?:\d+|0x[\da-f]*)$/;

/**
 * Reads an absolute `https://` address with a plain host name. Null for anything else: other schemes, userinfo, empty,
 * starred or hyphen-edged labels, ports outside of 1 to 65535, characters other than printable ASCII, IP addresses, more
 * than 8192 characters, values that are no text.
 */
export function parseHttpsTarget(text: unknown): HttpsTarget | null {
  if (typeof text !== 'string' || text.length > maxLength) return null;
  const { host: written = '', port = '' } = shape.exec(text)?.groups ?? {};
  const host = written.toLowerCase();
  if (!name.test(host) || host.length > 253 || endsInNumber.test(host) || Number(port) > 65_535) return null;
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  return url.hostname === host ? { href: url.href, host, port: url.port } : null;
}

/** Whether a host is the domain itself or lies below it, label by label. Both in lower case. */
export function isHostWithin(host: string, domain: string): boolean {
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`));
}
