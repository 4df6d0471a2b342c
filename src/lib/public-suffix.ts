import { getPublicSuffix } from 'tldts';

/** True when anybody can register names directly below this one (`co.uk`, `github.io`), by the public suffix list. */
export function isPublicSuffix(domain: string): boolean {
  return getPublicSuffix(domain, { allowPrivateDomains: true }) === domain;
}
