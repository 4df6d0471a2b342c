import { describe, expect, test } from 'vitest';

import { findCookie, findCookies, serializeCookie } from '../../../src/http/cookies.ts';

describe('the value of a cookie', () => {
  test.each([
    ['alone', 's=v', 'v'],
    ['first', 's=v; a=b', 'v'],
    ['last', 'a=b; s=v', 'v'],
    ['without a blank between', 'a=b;s=v;c=d', 'v'],
    ['many blanks between', 'a=b;    s=v', 'v'],
    ['blanks in front', '   s=v', 'v'],
    ['blanks around the value', 's= v ; a=b', 'v'],
    ['semicolons only', ';;s=v;;', 'v'],
    ['an equals sign in it', 's=a=b==', 'a=b=='],
    ['empty', 's=', ''],
    ['empty before others', 's=; a=b', ''],
    ['quoted: the quotes are part of it', 's="v"', '"v"'],
    ['the same value twice', 's=v; s=v', 'v'],
    ['the same value three times', 's=v; a=b; s=v ;s=v', 'v'],
    ['absent', 'a=b; c=d', undefined],
    ['no cookies', '', undefined],
    ['the name alone', 's', undefined],
    ['the name alone among others', 'a=b; s; c=d', undefined],
    ['another letter case', 'S=v', undefined],
    ['a name that ends alike', 'as=v; x-s=v; _s=v', undefined],
    ['a name that begins alike', 's2=v; ss=v; s-x=v', undefined],
    ['a blank before the equals sign', 's =v', undefined],
    ['inside of another value', 'a=s=v', undefined],
    ['after a blank inside of another value', 'a=b s=v', undefined],
    ['after a blank and a quote', 'a="b; x s=v"', undefined],
    ['nameless, with the name in its value', '=s=v', undefined],
    ['nameless among others', 'a=b; =s=v', undefined],
    ['two different values', 's=v; s=w', null],
    ['two different values, one empty', 's=; s=v', null],
    ['two different values, one quoted', 's=v; s="v"', null],
    ['two different letter cases', 's=v; s=V', null],
    ['three, the last one other', 's=v; s=v; s=w', null],
    ['a pair with semicolons in quotes is two pairs', 'a="x; s=w"; s=v', null],
    ['a tab is no blank', 'a=b;\ts=v', undefined],
  ] as const)('%s', (_, header, expected) => {
    expect(findCookie(header, 's')).toBe(expected);
  });

  test('names with marks are names', () => {
    expect(findCookie('__Secure-sallyport=v', '__Secure-sallyport')).toBe('v');
    expect(findCookie('a.b$=v', 'a.b$')).toBe('v');
    expect(findCookie('axb$=v', 'a.b$')).toBeUndefined();
    expect(findCookie('__proto__=v', '__proto__')).toBe('v');
  });

  test('very long headers are read in time that grows with their length only', () => {
    const headers = [
      's'.repeat(60_000),
      ' s'.repeat(30_000),
      `${' '.repeat(30_000)}x${' s='.repeat(10_000)}`,
      's=;'.repeat(20_000),
      'a=b; '.repeat(12_000),
    ];
    for (const header of headers) {
      const start = performance.now();
      for (let i = 0; i < 10; i++) findCookie(header, 's');
      expect(performance.now() - start).toBeLessThan(500);
    }
    expect(findCookie(`${'a=b; '.repeat(5000)}s=${'v'.repeat(5000)}`, 's')).toBe('v'.repeat(5000));
  });
});

describe('Set-Cookie', () => {
  test.each([
    [{ sameSite: 'lax' }, 'n=v; Path=/; HttpOnly; Secure; SameSite=Lax'],
    [
      { sameSite: 'strict', domain: 'example.com' },
      'n=v; Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Strict',
    ],
    [{ sameSite: 'none', maxAge: 1999 }, 'n=v; Path=/; Max-Age=1; HttpOnly; Secure; SameSite=None'],
    [
      { sameSite: 'lax', maxAge: 0 },
      'n=v; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Lax',
    ],
  ] as const)('%j', (attributes, expected) => {
    expect(serializeCookie('n', 'v', attributes)).toBe(expected);
  });
});

test('findCookies: every value once, bounded, for taking away what was planted', () => {
  expect(findCookies('a=1; s=real; b=2; s=planted; s=real; xs=no', 's', 8)).toEqual(['real', 'planted']);
  expect(findCookies(Array.from({ length: 100 }, (_, i) => `s=${i}`).join('; '), 's', 8)).toHaveLength(8);
  expect(findCookies('', 's', 8)).toEqual([]);
});
