import { hash } from 'node:crypto';

import type { Random } from '../lib/random.ts';

/** The text of a session cookie: 256 random bits, base64url. */
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

export function createToken(random: Random): string {
  return random.bytes(32).toString('base64url');
}

export function isToken(text: string): boolean {
  return TOKEN.test(text);
}

/** The store's key of a token: SHA-256 of the text as sent, so that a stolen store yields no cookies. */
export function storeKeyOf(token: string): string {
  return hash('sha256', token, 'base64url');
}
