import { hash } from 'node:crypto';

/**
 * SHA-256-crypt and SHA-512-crypt (`$5$`, `$6$`) after Ulrich Drepper's specification
 * (https://www.akkadia.org/drepper/SHA-crypt.txt). Synchronous and slow by design: only a worker thread may call it.
 */

export type Sha2Variant = 'sha256' | 'sha512';

const ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Repeats `block` up to `length` bytes. */
function stretch(block: Buffer, length: number): Buffer {
  return Buffer.alloc(length, block);
}

/**
 * The hash part of a digest (43 or 86 characters), without identifier, rounds and salt.
 * `salt` is ASCII, at most 16 characters; longer ones must have been cut.
 */
export function sha2crypt(variant: Sha2Variant, password: Buffer, salt: string, rounds: number): string {
  const digest = (...parts: Buffer[]): Buffer => hash(variant, Buffer.concat(parts), 'buffer');
  const saltBytes = Buffer.from(salt, 'latin1');

  const b = digest(password, saltBytes, password);
  const parts = [password, saltBytes, stretch(b, password.length)];
  // The bits of the length, lowest first.
  for (let n = password.length; n > 0; n >>= 1) parts.push(n & 1 ? b : password);
  let current = digest(...parts);

  const p = stretch(digest(stretch(password, password.length ** 2)), password.length);
  const s = stretch(
    digest(stretch(saltBytes, saltBytes.length * (16 + (current[0] ?? 0)))),
    saltBytes.length,
  );

  for (let i = 0; i < rounds; i += 1) {
    const round = [i % 2 ? p : current];
    if (i % 3) round.push(s);
    if (i % 7) round.push(p);
    round.push(i % 2 ? current : p);
    current = digest(...round);
  }
  return encode(variant, current);
}

/** Three bytes to four characters, lowest six bits first, in the specification's shuffled order of bytes. */
function encode(variant: Sha2Variant, bytes: Buffer): string {
  const third = variant === 'sha512' ? 21 : 10;
  const rest = variant === 'sha512' ? [63] : [31, 30];
  let text = '';
  const append = (value: number, characters: number): void => {
    for (let i = 0; i < characters; i += 1) text += ALPHABET.charAt((value >> (6 * i)) & 63);
  };
  let [high, middle, low] = [0, third, 2 * third];
  for (let i = 0; i < third; i += 1) {
    append(((bytes[high] ?? 0) << 16) | ((bytes[middle] ?? 0) << 8) | (bytes[low] ?? 0), 4);
    // Each group takes the same three columns one row on, turned by one: to the left for SHA-512, to the right for SHA-256.
    [high, middle, low] =
      variant === 'sha512' ? [middle + 1, low + 1, high + 1] : [low + 1, high + 1, middle + 1];
  }
  append(
    rest.reduce((value, index) => (value << 8) | (bytes[index] ?? 0), 0),
    rest.length + 1,
  );
  return text;
}
