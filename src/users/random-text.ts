import type { Random } from '../lib/random.ts';

const LOWER = 'abcdefghijklmnopqrstuvwxyz';
const UPPER = LOWER.toUpperCase();
const DIGITS = '0123456789';
const SYMBOLS = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';

/** Alphabets by the names that Authelia's command line gives them. */
export const CHARSETS: ReadonlyMap<string, string> = new Map([
  ['ascii', LOWER + UPPER + DIGITS + SYMBOLS],
  ['alphanumeric', LOWER + UPPER + DIGITS],
  ['alphanumeric-lower', LOWER + DIGITS],
  ['alphanumeric-upper', UPPER + DIGITS],
  ['alphabetic', LOWER + UPPER],
  ['alphabetic-lower', LOWER],
  ['alphabetic-upper', UPPER],
  ['numeric', DIGITS],
  ['numeric-hex', `${DIGITS}ABCDEF`],
  // Unreserved characters of URLs, RFC 3986 section 2.3.
  ['rfc3986', `${LOWER}${UPPER}${DIGITS}-._~`],
  ['rfc3986-lower', `${LOWER}${DIGITS}-._~`],
  ['rfc3986-upper', `${UPPER}${DIGITS}-._~`],
]);

/**
 * `length` characters, each drawn from `alphabet` with the same chance. The alphabet must have 2 to 65,536 characters,
 * none of them twice; throws `RangeError` otherwise.
 */
export function randomText(random: Random, alphabet: string, length: number): string {
  const characters = Array.from(alphabet);
  const count = characters.length;
  if (count < 2 || count > 65_536 || new Set(characters).size !== count) {
    throw new RangeError('an alphabet must have at least two characters and none of them twice');
  }
  // Numbers from the last, incomplete round would favour the first characters: they are drawn again.
  const limit = 65_536 - (65_536 % count);
  let text = '';
  for (let left = length; left > 0;) {
    const bytes = random.bytes(2 * left);
    for (let i = 0; i < bytes.length; i += 2) {
      const number = bytes.readUInt16BE(i);
      if (number >= limit) continue;
      text += characters[number % count] ?? '';
      left -= 1;
    }
  }
  return text;
}
