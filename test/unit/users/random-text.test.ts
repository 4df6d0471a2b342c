import { expect, test } from 'vitest';
import { CHARSETS, randomText } from '../../../src/users/random-text.ts';
import { random } from './fakes.ts';

test.each([...CHARSETS])('%s: the length asked for, from its own characters only', (_name, alphabet) => {
  const text = randomText(random, alphabet, 500);
  expect(text).toHaveLength(500);
  expect(Array.from(text).filter((character) => !alphabet.includes(character))).toEqual([]);
});

test('no character is more likely than another: numbers of the incomplete last round are drawn again', () => {
  // Every 16-bit number once: 65,536 = 21,845 * 3 + 1.
  const all = Buffer.alloc(2 * 65_536);
  for (let i = 0; i < 65_536; i += 1) all.writeUInt16BE(i, 2 * i);
  const asked: number[] = [];
  const counter = {
    bytes(size: number): Buffer {
      asked.push(size);
      return asked.length === 1 ? all : Buffer.alloc(size);
    },
  };
  const text = randomText(counter, 'abc', 65_536);
  expect(asked).toEqual([131_072, 2]);
  const counts = ['a', 'b', 'c'].map((letter) => text.slice(0, 65_535).split(letter).length - 1);
  expect(counts).toEqual([21_845, 21_845, 21_845]);
});

test('characters outside the basic plane are whole', () => {
  expect(Array.from(randomText(random, '🔐🔑', 10))).toHaveLength(10);
});

test.each(['', 'a', 'aba'])('the alphabet %j is refused', (alphabet) => {
  expect(() => randomText(random, alphabet, 3)).toThrow(RangeError);
});
