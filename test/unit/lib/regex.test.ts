import * as fc from 'fast-check';
import { RE2JS } from 're2js';
import { describe, expect, it } from 'vitest';
import { compileRegex } from '../../../src/lib/regex.ts';

/** As many beginnings as are told apart. */
const fourLetters = Array.from(
  { length: 16 },
  (_, index) => `/${index.toString(2).padStart(4, '0').replaceAll('0', 'a').replaceAll('1', 'b')}`,
);

describe('compileRegex', () => {
  it.each([
    ['^/public', '/public', true],
    ['^/public', '/x/public', false],
    ['public', '/x/public', true],
    ['\\A/x\\z', '/x', true],
    ['\\A/x\\z', '/x\n', false],
    ['^/x$', '/x\n', false],
    ['(?m)^/line$', '/a\n/line', true],
    ['^/\\Qa.b*c\\E$', '/a.b*c', true],
    ['^/\\Qa.b*c\\E$', '/axb*c', false],
    ['(?i)^/kelvin', '/\u212aELVIN', true],
    ['(?s)^/x.y$', '/x\ny', true],
    ['^/x.y$', '/x\ny', false],
    ['^/x.y$', '/x\ry', true],
    ['^/x.y$', '/x😀y', true],
    ['^/num/[[:digit:]]+\\z', '/num/12', true],
    ['^/\\pL+$', '/é', true],
    ['^/\\w+$', '/é', false],
    ['^/\\d+$', '/\u0663', false],
    ['^/sp\\sx$', '/sp\u000bx', false],
    ['(?U)^/a.*b', '/axb', true],
    ['^/a|b', 'xb', true],
    ['^/ab?', '/a', true],
    ['^/ab*$', '/a', true],
    ['^/ab{0,1}$', '/a', true],
    ['^/a\\.b$', '/a.b', true],
    ['^/a\\.?b$', '/ab', true],
    ['^/😀?$', '/', true],
    ['', 'x', true],
    ['^', 'x', true],
    ['^$', '', true],
  ])('%s on %j: %s', (source, text, matches) => {
    const regex = compileRegex(source);
    expect(regex.test(text)).toBe(matches);
    expect(regex.match(text) !== null).toBe(matches);
  });

  it.each(['(a)\\1', '(?=a)', '(?!a)', '(?<=a)b', 'a**', '(', '[a', 'x{1001}', '\\Z', '(?>a)', '\\k<n>'])(
    'refuses %s',
    (source) => {
      expect(() => compileRegex(source)).toThrow(/./);
    },
  );

  it('names groups in both notations', () => {
    const regex = compileRegex('^(?P<User>\\w+)\\.(?<Group>\\w+)(?:\\.(?P<rest>.*))?$');
    expect(regex.groupNames.toSorted()).toEqual(['Group', 'User', 'rest']);
    expect(regex.match('john.dev')).toEqual({ User: 'john', Group: 'dev', rest: null });
    expect(regex.match('john')).toBeNull();
  });

  it.each([
    ['^/public/.*', '/public/', true],
    ['\\A/x', '/x', true],
    ['^/a\\.b', '/a.b', true],
    ['^/ab?', '/a', true],
    ['^/a|^/b', '', false],
    ['^/(a|b)', ['/a', '/b'], true],
    ['^/(?:a|b\\.c|)/(d|e)f?', ['/a/d', '/a/e', '/b.c/d', '/b.c/e', '//d', '//e'], true],
    ['^/(a|b)?c', '/', true],
    ['^/(a|[b])', '/', true],
    ['^/(?P<User>a|b)', '/', true],
    ['^/(?i:a|b)', '/', true],
    ['^/(a|b)(a|b)(a|b)(a|b)(a|b)', fourLetters, true],
    ['^/[|]', '/', true],
    ['(?i)^/a', '', true],
    ['(?m)^/a', '', false],
    ['/a', '', false],
    ['^\\d', '', true],
  ])('%s begins with %j, anchored: %s', (source, begin, isAnchored) => {
    expect(compileRegex(source)).toMatchObject({ prefixes: [begin].flat(), isAnchored });
  });

  it('takes no shortcut that changes an answer', () => {
    const literal = fc.stringMatching(/^[ab/.]{0,4}$/).map((text) => text.replaceAll('.', '\\.'));
    const tail = fc.constantFrom(
      '',
      '$',
      '\\z',
      '.*',
      '.*$',
      '([/?].*)?$',
      '(/.*)?$',
      '(/|$)',
      '([/?]|$)',
      '?',
      '*$',
      '|b',
      '[^/]*$',
      '(|a)',
      '{2}',
      '(a|ab)$',
      '(?:a|b|)(/.*)?$',
      '(a|b)*$',
      '(a|\\.b)[^/]+',
    );
    const source = fc
      .tuple(fc.constantFrom('^', '\\A', '', '(?i)^', '(?m)^'), literal, tail)
      .map((parts) => parts.join(''));
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'A', '/', '.', '?', '\n', '\r'), maxLength: 7 });
    fc.assert(
      fc.property(source, text, (pattern, input) => {
        fc.pre(isValid(pattern));
        expect(compileRegex(pattern).test(input)).toBe(RE2JS.compile(pattern).matcher(input).find());
      }),
      { numRuns: 3000 },
    );
  });

  it('takes linear time where others blow up', () => {
    const start = performance.now();
    expect(compileRegex('^(a+)+$').test(`${'a'.repeat(20_000)}!`)).toBe(false);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

function isValid(pattern: string): boolean {
  try {
    RE2JS.compile(pattern);
    return true;
  } catch {
    return false;
  }
}
