import { addressShare } from './address-share.ts';
import { canonicalAddress } from './ip-network.ts';

/** The share (see `addressShare`) that a text names which a person wrote: an address, or a /64. Null for anything else. */
export function addressKey(text: string): string | null {
  const canonical = canonicalAddress(text.replace(/\/64$/, ''));
  return canonical === null ? null : addressShare(canonical);
}
