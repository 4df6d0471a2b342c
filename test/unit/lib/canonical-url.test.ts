import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCanonicalUrl, type CanonicalUrl } from '../../../src/lib/canonical-url.ts';

function parse(uri: string, authority = 'app.example.com', scheme = 'https'): CanonicalUrl {
  const url = parseCanonicalUrl(scheme, authority, uri);
  if ('invalid' in url) throw new Error(`${uri}: ${url.invalid}`);
  return url;
}

function reasonOf(uri: string, authority = 'app.example.com', scheme = 'https'): string {
  const url = parseCanonicalUrl(scheme, authority, uri);
  return 'invalid' in url ? url.invalid : 'valid';
}

describe('scheme and host', () => {
  it('keeps the text as it came, and the parts in lower case', () => {
    expect(parse('/a?b=c&d=%26', 'App.Example.COM:8443', 'HTTPS')).toEqual({
      scheme: 'https',
      host: 'app.example.com',
      port: '8443',
      readings: ['/a'],
      query: 'b=c&d=%26',
      href: 'HTTPS://App.Example.COM:8443/a?b=c&d=%26',
    });
  });

  it.each([
    ['a.b', 'a.b', ''],
    ['localhost', 'localhost', ''],
    ['xn--bcher-kva.example:443', 'xn--bcher-kva.example', '443'],
    ['a_b-.c', 'a_b-.c', ''],
    ['app.lab.test:0443', 'app.lab.test', '443'],
    ['192.0.2.1:1', '192.0.2.1', '1'],
    ['[2001:DB8::1]', '2001:db8::1', ''],
    ['[::1]:65535', '::1', '65535'],
    ['1.2.3.4.example.com', '1.2.3.4.example.com', ''],
  ])('takes %s', (authority, host, port) => {
    expect(parse('/', authority)).toMatchObject({ host, port });
  });

  it.each([
    ['http', /scheme/],
    ['ws', /scheme/],
    ['https,http', /scheme/],
    ['https:', /scheme/],
    ['', /scheme/],
    [' https', /scheme/],
  ])('refuses the scheme "%s"', (scheme, reason) => {
    expect(reasonOf('/', 'a.b', scheme)).toMatch(reason);
  });

  it.each([
    ['', /empty/],
    ['user@a.b', /userinfo/],
    ['a.b@c.d', /userinfo/],
    ['user:pw@a.b', /userinfo/],
    ['a.b:', /port/],
    ['a.b:0', /port/],
    ['a.b:65536', /port/],
    ['a.b:99999', /port/],
    ['a.b:443:443', /port/],
    ['a.b:+1', /port/],
    ['a.b:abc', /port/],
    ['a.b.', /trailing dot/],
    ['.a.b', /empty label/],
    ['a..b', /empty label/],
    ['*', /name/],
    ['*.b', /name/],
    ['a.b/../c.d', /name|label/],
    ['a.b\\@c.d', /userinfo/],
    ['a.b#', /name/],
    ['a.b?x', /name/],
    ['a.b,c.d', /name/],
    ['a.b c.d', /name/],
    ['a.b%2f', /name/],
    ['a.%62', /name/],
    ['bücher.example', /name/],
    ['app.lab.teſt', /name/],
    ['\u212aiosk.b', /name/],
    ['a\u0000.b', /name/],
    ['2130706433', /IPv4/],
    ['0x7f.1', /IPv4/],
    ['127.1', /IPv4/],
    ['192.0.2.01', /IPv4/],
    ['a.1', /IPv4/],
    ['[::1', /port/],
    ['[::1]x', /IPv6/],
    ['[::ffff:192.0.2.1]', /IPv6/],
    ['[0:0:0:0:0:0:0:1]', /IPv6/],
    ['[fe80::1%25eth0]', /IPv6/],
    ['[1.2.3.4]', /IPv6/],
    ['::1', /port/],
    [`${'a'.repeat(64)}.b`, /name/],
    [`${'a.'.repeat(127)}bcd`, /name/],
  ])('refuses the host "%s"', (authority, reason) => {
    expect(reasonOf('/', authority)).toMatch(reason);
  });
});

describe('path', () => {
  it.each([
    ['', ['.', '/']],
    ['?x', ['.', '/']],
    ['/', ['/']],
    ['/?', ['/']],
    ['/a/b', ['/a/b']],
    ['/a/b/', ['/a/b/']],
    ['/foo//bar', ['/foo/bar']],
    ['//private', ['/private']],
    ['/path%20x', ['/path x']],
    ['/.well-known/x', ['/.well-known/x']],
    ['/...', ['/...']],
    ['/%C3%A9', ['/é']],
    ['/é', ['/é']],
    ['/%FF', ['/\ufffd']],
    ['/%E2%82x', ['/\ufffd\ufffdx']],
    ['/%ED%A0%80', ['/\ufffd\ufffd\ufffd']],
    ["/a-b_c~d!$&'()*+,=:@", ["/a-b_c~d!$&'()*+,=:@"]],
    // The root with a slash of its own is the root for every application.
    ['//', ['//', '/']],
  ])('%s has one meaning', (uri, readings) => {
    expect(parse(uri).readings).toEqual(readings);
  });

  // Not every application resolves `..`, and a path that ends in dots names a folder.
  it.each([
    ['/foo%2f..%2fbar', ['/bar', '/foo/../bar']],
    ['/%2e%2e/secret', ['/secret', '/../secret']],
    ['/../../x', ['/x', '/../../x']],
    ['/a/./b/.', ['/a/b', '/a/b/']],
    ['/a/..', ['/', '/a/..']],
    ['/%2f..%2f', ['//', '/', '//../']],
    ['/../', ['//', '/', '/../']],
    ['/admin/../public', ['/public', '/admin/../public']],
    ['/private/x/..', ['/private', '/private/', '/private/x/..']],
    ['/private/%2e', ['/private', '/private/']],
    ['/a/./b', ['/a/b']],
  ])('%s with dot segments is also read as it stands', (uri, readings) => {
    expect(parse(uri).readings).toEqual(readings);
  });

  it.each([
    ['/public/..;/admin', '/public/..;/admin', ['/admin']],
    ['/admin;v=1/x', '/admin;v=1/x', ['/admin/x']],
    ['/public/..%5cadmin', '/public/..\\admin', ['/admin']],
    ['/a\\b', '/a\\b', ['/a/b']],
    ['/%252e%252e/admin', '/%2e%2e/admin', ['/admin']],
    ['/%25252561dmin', '/%252561dmin', ['/%2561dmin', '/%61dmin', '/admin']],
    ['/admin%23/x', '/admin#/x', ['/admin']],
    ['/admin%3fx', '/admin?x', ['/admin']],
    ['/ad%0amin', '/ad\nmin', ['/ad', '/admin']],
    ['/a%EF%BC%8Fb', '/a／b', ['/a/b']],
    ['/%EF%BC%8E%EF%BC%8E/admin', '/．．/admin', ['/admin']],
    ['/%E2%84%AAelvin', '/\u212aelvin', ['/Kelvin']],
    ['/x%5c..%3b/%2561', '/x\\..;/%61', ['/a', '/%61']],
    ['/100%25', '/100%', []],
  ])('%s may be read otherwise', (uri, plain, others) => {
    const { readings } = parse(uri);
    expect(readings[0]).toBe(plain);
    expect(readings).toEqual(expect.arrayContaining(others));
    expect(new Set(readings).size).toBe(readings.length);
  });

  it.each([
    ['x', /slash/],
    ['.evil.com/', /slash/],
    ['@evil.com/', /slash/],
    [':443/public', /slash/],
    ['https://public.example.com/', /slash/],
    [';x', /slash/],
    ['%2f', /slash/],
    ['\\x', /slash/],
    ['/a b', /space/],
    ['/?a b', /space/],
    ['/a#b', /fragment/],
    ['/?#', /fragment/],
    ['/a\u0000', /control/],
    ['/a\nb', /control/],
    ['/a\u007f', /control/],
    ['/%', /escape/],
    ['/%4', /escape/],
    ['/%zz', /escape/],
    ['/%61%', /escape/],
    ['/%u002e', /escape/],
    ['/a%00', /NUL/],
    ['/%c0%ae', /overlong/],
    ['/%e0%80%af', /overlong/],
    ['/%f0%80%80%af', /overlong/],
    ['/%f8%80%80%80%af', /overlong/],
    ['/%25c0%25ae', /overlong/],
    [`/%${'25'.repeat(60)}41`, /too many ways/],
    [`/${'a;b\\'.repeat(3000)}`, /too long/],
  ])('refuses %j', (uri, reason) => {
    expect(reasonOf(uri)).toMatch(reason);
  });

  it('lets the query be anything but a space, a fragment or a control character', () => {
    expect(parse('/?x=%zz&y=%00&z=\\;"').query).toBe('x=%zz&y=%00&z=\\;"');
    expect(parse('/?a?b').query).toBe('a?b');
  });
});

describe('any input', () => {
  const piece = fc.constantFrom(
    '/',
    '.',
    '..',
    '%',
    '2',
    'e',
    'F',
    '%2e',
    '%2F',
    '%5c',
    '%25',
    '%3b',
    ';',
    '\\',
    'a',
    'B',
    '?',
    '#',
    '\n',
    'é',
    '．',
    '%C0',
    '%AE',
    '%EF%BC%8F',
    '\ud800',
    '%00',
    '%0a',
    ' ',
  );
  const odd = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
  const path = odd.map((text) => `/${text}`);

  it('never throws', () => {
    const text = fc.string({ unit: 'binary' });
    fc.assert(
      fc.property(fc.oneof(text, odd), fc.oneof(text, path), (authority, uri) => {
        expect(parseCanonicalUrl('https', authority, uri)).toBeTypeOf('object');
        expect(parseCanonicalUrl('https', 'a.b', uri)).toBeTypeOf('object');
      }),
      { numRuns: 3000 },
    );
  });

  it('has a clean first reading, different ones, a bounded number of them, and the same ones when read again', () => {
    fc.assert(
      fc.property(path, (uri) => {
        const url = parseCanonicalUrl('https', 'a.b', uri);
        if ('invalid' in url) return;
        expect(url.readings.length).toBeLessThanOrEqual(17);
        expect(url.href).toBe(`https://a.b${uri}`);
        expect(url.readings[0]).not.toMatch(/\/\.\.?(?:\/|$)/);
        for (const reading of url.readings) {
          // A path with `..` is read as it stands, too.
          if (/(?:^|\/)\.\.(?:\/|$)/.test(reading)) continue;
          expect(reading === '//' ? '/' : reading).toMatch(/^(?:\.|\/|(?:\/[^/]+)+\/?)$/su);
          expect(reading).not.toMatch(/\/\.\.?(?:\/|$)/);
          const again = parse(
            reading === '.' ? '' : encodeURI(reading.toWellFormed()).replaceAll(/[?#]/g, encodeURIComponent),
            'a.b',
          );
          expect(again.readings[0]).toBe(reading.toWellFormed());
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('is fast for hostile paths', () => {
    const start = performance.now();
    for (const part of ['%253b%255c', 'a;b\\..%3f', '%25', ';', '\\', '%5c..', 'a%0a']) {
      for (const size of [100, 1000, 8000])
        parseCanonicalUrl('https', 'a.b', `/${part.repeat(size / part.length)}`);
    }
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
