import { createHash } from 'node:crypto';

import { expect, test } from 'vitest';

import { createToken, isToken, storeKeyOf } from '../../../src/sessions/token.ts';
import { seededRandom } from '../../support/fake-clock.ts';

test('a token is 256 bits of the given randomness in 43 characters', () => {
  const asked: number[] = [];
  const bytes = seededRandom('token').bytes(32);
  const token = createToken({
    bytes(size) {
      asked.push(size);
      return bytes;
    },
  });
  expect(asked).toEqual([32]);
  expect(token).toHaveLength(43);
  expect(Buffer.from(token, 'base64url')).toEqual(bytes);
  expect(isToken(token)).toBe(true);
});

test('tokens differ', () => {
  const random = seededRandom('many');
  expect(new Set(Array.from({ length: 1000 }, () => createToken(random))).size).toBe(1000);
});

test.each([
  ['empty', ''],
  ['too short', 'A'.repeat(42)],
  ['too long', 'A'.repeat(44)],
  ['very long', 'A'.repeat(100_000)],
  ['padded', `${'A'.repeat(42)}=`],
  ['plain base64', `${'A'.repeat(42)}+`],
  ['with a slash', `${'A'.repeat(42)}/`],
  ['a line end behind', `${'A'.repeat(43)}\n`],
  ['a line end instead', `${'A'.repeat(42)}\n`],
  ['a blank in front', ` ${'A'.repeat(42)}`],
  ['quoted', `"${'A'.repeat(41)}"`],
  ['NUL', `${'A'.repeat(42)}\0`],
  ['letters of other scripts', 'А'.repeat(43)],
])('%s is no token', (_, text) => {
  expect(isToken(text)).toBe(false);
});

test('the key of a token is the SHA-256 of its text', () => {
  const token = createToken(seededRandom('key'));
  expect(storeKeyOf(token)).toBe(createHash('sha256').update(token).digest('base64url'));
  // The text as sent counts: the last character holds four bits that a decoder would drop.
  expect(storeKeyOf(`${'A'.repeat(42)}A`)).not.toBe(storeKeyOf(`${'A'.repeat(42)}B`));
});
