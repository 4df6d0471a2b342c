import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuery } from '../../../src/decision/query.ts';

describe('parseQuery', () => {
  it.each([
    ['', {}],
    ['a=1&b=2', { a: '1', b: '2' }],
    ['a=1&a=2', { a: '1' }],
    ['a', { a: '' }],
    ['=x', { '': 'x' }],
    ['a==b', { a: '=b' }],
    ['a+b=c+d', { 'a b': 'c d' }],
    ['a%20b=%2B', { 'a b': '+' }],
    ['x=1;y=2&z=3', { z: '3' }],
    ['x=%zz&y=%4&z=%', {}],
    ['x=%zz&x=1', { x: '1' }],
    ['&&a&&', { a: '' }],
    ['a=%C3%A9', { a: 'é' }],
    ['a=%FFb%C3', { a: '\ufffdb\ufffd' }],
    ['a=%C0%AE', { a: '\ufffd\ufffd' }],
    ['__proto__=1', { ['__proto__']: '1' }],
  ])('%s', (query, values) => {
    expect([...parseQuery(query)]).toEqual(Object.entries(values));
  });

  it('takes any text, and never reads more pairs than it has parts', () => {
    const text = fc.string({ unit: fc.constantFrom('%', '&', '=', ';', '+', 'a', 'C', '3', 'é', '\ud800') });
    fc.assert(
      fc.property(text, (query) => {
        expect(parseQuery(query).size).toBeLessThanOrEqual(query.split('&').length);
      }),
    );
  });
});
