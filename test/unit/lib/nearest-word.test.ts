import { expect, test } from 'vitest';
import { nearestWord } from '../../../src/lib/nearest-word.ts';

test.each([
  ['sesion', ['server', 'session'], 'session'],
  ['naem', ['name', 'path'], 'name'],
  ['ADDRESS', ['address'], 'address'],
  ['remember-me', ['remember_me'], 'remember_me'],
  ['get', ['GET', 'HEAD'], 'GET'],
  ['colour', ['level', 'format'], null],
  ['', ['a'], 'a'],
  ['x'.repeat(1000), ['x'], null],
])('%s among %j: %s', (word, candidates, expected) => expect(nearestWord(word, candidates)).toBe(expected));
