/**
 * What counts as one client where clients are limited, counted and banned: an IPv4 address, or an IPv6 network of 64 bits, of
 * which one client usually has all addresses, written as `2001:db8:1:2::/64`. `ip` is canonical text.
 */
export function addressShare(ip: string): string {
  if (!ip.includes(':')) return ip;
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const network = [...left, ...(tail === undefined ? [] : zeros), ...right].slice(0, 4);
  return `${network.join(':').replace(/(?::0)+$/, '')}::/64`.replace(/^0::/, '::');
}
