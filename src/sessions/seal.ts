import type { Random } from '../lib/random.ts';
import { createSealedBox, FORMAT } from '../lib/sealed-box.ts';

/**
 * Seals session records (lib/sealed-box.ts). Additional data: realm, store key and format, so that a record copied to
 * another key or realm does not open. Not covered: putting back an older record of the same session.
 */
export interface Sealer {
  seal(storeKey: string, text: string): Buffer;
  /** 'unknown-key': sealed with a secret that is not configured here. 'broken': altered, torn or foreign. */
  open(storeKey: string, sealed: Buffer): { readonly text: string } | 'unknown-key' | 'broken';
}

/** The first secret seals, each of them opens. */
export function createSealer(
  realm: string,
  secrets: readonly [string, ...string[]],
  deps: { readonly random: Random },
): Sealer {
  const box = createSealedBox(secrets, 'sallyport session record v1', deps);
  const place = (storeKey: string): string => `${realm}\0${storeKey}\0${FORMAT}`;
  return {
    seal: (storeKey, text) => box.seal(place(storeKey), text),
    open(storeKey, sealed) {
      const opened = box.open(place(storeKey), sealed);
      return typeof opened === 'string' ? opened : { text: opened.toString() };
    },
  };
}
