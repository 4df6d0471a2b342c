import type { TargetRequest } from '../../../src/decision/target.ts';
import { parseCanonicalUrl } from '../../../src/lib/canonical-url.ts';
import { canonicalAddress } from '../../../src/lib/ip-network.ts';

/** A request for an absolute URL, as a reader would make it from a proxy's headers. */
export function targetOf(url: string, { method = 'GET', ip = '203.0.113.1' } = {}): TargetRequest {
  const [, scheme = '', authority = '', uri = ''] = /^([^:]*):\/\/([^/?#]*)([^]*)$/.exec(url) ?? [];
  const target = parseCanonicalUrl(scheme, authority, uri);
  if ('invalid' in target) throw new Error(`${url}: ${target.invalid}`);
  return { url: target, method, ip: canonicalAddress(ip) ?? '' };
}
