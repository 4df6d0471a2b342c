import { canonicalAddress, compileNetworks } from '../lib/ip-network.ts';

/** `server.trusted_proxies`: who may ask, and whom `X-Forwarded-For` is believed about. */
export interface TrustedProxies {
  /** Whether this TCP peer may ask for authorizations and have its forwarding headers believed. */
  isTrusted(peer: string): boolean;
  /**
   * The client's address in canonical text, or null when the header is malformed. Without the header it is the peer.
   * Configured: listed addresses are skipped from the right, the first other one is the client (all listed: the left-most).
   * Not configured: exactly one hop is believed, so the last address is the client.
   */
  clientOf(peer: string, forwardedFor: string | undefined): string | null;
}

/** Loopback, private and link-local ranges: believed as peers when nothing is configured. */
const PRIVATE = [
  '127.0.0.0/8',
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '169.254.0.0/16',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
];
/** Peers whose answer is remembered; one proxy opens many connections from few addresses. */
const REMEMBERED = 1000;
/** A client writes this header too; beyond so many hops it is nonsense. */
const MAX_HOPS = 64;

export function createTrustedProxies(configured: readonly string[] | undefined): TrustedProxies {
  const inRange = compileNetworks(configured ?? PRIVATE);
  const known = new Map<string, boolean>();

  const isTrusted = (peer: string): boolean => {
    const remembered = known.get(peer);
    if (remembered !== undefined) return remembered;
    // A unix socket has no address: its file mode says who may ask.
    const address = peer === '' ? '' : canonicalAddress(peer);
    const trusted = address === '' || (address !== null && inRange(address));
    if (known.size < REMEMBERED) known.set(peer, trusted);
    return trusted;
  };

  return {
    isTrusted,
    clientOf(peer, forwardedFor) {
      if (forwardedFor === undefined) return peer === '' ? '127.0.0.1' : canonicalAddress(peer);
      const comma = forwardedFor.lastIndexOf(',');
      if (configured === undefined) return canonicalAddress(forwardedFor.slice(comma + 1).trim());
      const hops = forwardedFor.split(',', MAX_HOPS + 1);
      if (hops.length > MAX_HOPS) return null;
      let client: string | null = null;
      for (let i = hops.length - 1; i >= 0; i--) {
        client = canonicalAddress((hops[i] as string).trim());
        if (client === null || !inRange(client)) return client;
      }
      return client;
    },
  };
}
