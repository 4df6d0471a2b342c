/**
 * What counts as one client where clients are limited: an IPv4 address, or an IPv6 network of 64 bits, of which one client
 * usually has all addresses. `ip` is canonical text.
 */
export function addressShare(ip: string): string {
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return [...left, ...(tail === undefined ? [] : zeros), ...right].slice(0, 4).join(':');
}
