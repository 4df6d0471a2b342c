import { isIPv6 } from 'node:net';

import { canonicalAddress } from './ip-network.ts';

/**
 * What counts as one place on the network where attempts are counted and bans are kept: an IPv4 address, or the /64 of an
 * IPv6 address, since a whole one is given to each customer. Null for what is no address.
 */
export function addressKey(address: string): string | null {
  const canonical = canonicalAddress(address.replace(/\/64$/, ''));
  if (canonical === null || !isIPv6(canonical)) return canonical;
  const [head = '', tail] = canonical.split('::');
  const groups = (text: string): string[] => text.split(':').filter((group) => group !== '');
  const first = groups(head);
  const rest = groups(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - first.length - rest.length;
  const network = [...first, ...Array.from({ length: zeros }, () => '0'), ...rest].slice(0, 4);
  return `${network.join(':').replace(/(?::0)+$/, '')}::/64`.replace(/^0::/, '::');
}
