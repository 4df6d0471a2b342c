import { describe, expect, test } from 'vitest';

import { ownParameter } from '../../../src/forward-auth/query.ts';
import type { InvalidTarget, Reader, Reading } from '../../../src/forward-auth/reader.ts';
import { readAuthRequest } from '../../../src/forward-auth/readers/auth-request.ts';
import { readExtAuthz } from '../../../src/forward-auth/readers/ext-authz.ts';
import { readForwardAuth } from '../../../src/forward-auth/readers/forward-auth.ts';
import { readLegacy } from '../../../src/forward-auth/readers/legacy.ts';
import { splitUrl } from '../../../src/forward-auth/split-url.ts';
import type { HeaderName } from '../../../src/http/request-head.ts';
import { fakeHead } from '../authn/fakes.ts';

type Headers = Partial<Record<HeaderName, string>>;
type More = NonNullable<Parameters<typeof fakeHead>[1]> & { readonly rest?: string; readonly query?: string };

function read(
  reader: Reader,
  headers: Headers,
  { rest = '', query = '', ...more }: More = {},
): Reading | InvalidTarget {
  return reader({ head: fakeHead(headers, more), rest, query });
}

/** Every header that a dialect reads: missing, repeated, aliased. */
function describeHeaders(reader: Reader, whole: Headers, required: readonly HeaderName[], more?: More): void {
  test.each(required)('%s is required', (name) => {
    const { [name]: _, ...others } = whole;
    expect(read(reader, others, more)).toEqual({ invalid: `the header ${name} is missing` });
    expect(read(reader, { ...others, [name]: '' }, more)).toEqual({
      invalid: `the header ${name} is missing`,
    });
  });
  test.each(Object.keys(whole) as HeaderName[])('%s may be there once, in one spelling', (name) => {
    expect(read(reader, whole, more)).not.toHaveProperty('invalid');
    for (const [flaw, text] of [
      ['repeated', 'more than once'],
      ['aliased', 'underscores'],
    ] as const) {
      const answer = read(reader, whole, { ...more, flaws: { [name]: flaw } });
      expect(answer, flaw).toEqual({ invalid: expect.stringContaining(text) as string });
      expect(answer, flaw).toEqual({ invalid: expect.stringContaining(name) as string });
    }
  });
  test('an alias alone is refused as well', () => {
    for (const name of Object.keys(whole) as HeaderName[]) {
      const { [name]: _, ...others } = whole;
      expect(read(reader, others, { ...more, flaws: { [name]: 'aliased' } }), name).toHaveProperty('invalid');
    }
  });
}

describe('forward-auth', () => {
  const whole: Headers = {
    'x-forwarded-method': 'POST',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'app.example.com:8443',
    'x-forwarded-uri': '/a?b=c',
  };
  describeHeaders(readForwardAuth, whole, ['x-forwarded-method', 'x-forwarded-host']);

  test('reads X-Forwarded-*', () => {
    expect(read(readForwardAuth, whole)).toEqual({
      scheme: 'https',
      authority: 'app.example.com:8443',
      uri: '/a?b=c',
      method: 'POST',
      portal: undefined,
    });
  });

  test('without the URI it is empty; without the scheme the connection tells', () => {
    const { 'x-forwarded-uri': _, 'x-forwarded-proto': __, ...others } = whole;
    expect(read(readForwardAuth, others)).toMatchObject({ scheme: 'http', uri: '' });
    expect(read(readForwardAuth, others, { secure: true })).toMatchObject({ scheme: 'https' });
  });

  test('no other header is a source', () => {
    const others: Headers = {
      host: 'evil.com',
      'x-original-url': 'https://evil.com/',
      'x-original-method': 'GET',
      'x-authelia-url': 'https://evil.com/',
    };
    expect(read(readForwardAuth, { ...whole, ...others })).toEqual(read(readForwardAuth, whole));
    expect(read(readForwardAuth, others)).toHaveProperty('invalid');
    expect(
      read(readForwardAuth, whole, { flaws: { host: 'repeated', 'x-original-url': 'aliased' } }),
    ).not.toHaveProperty('invalid');
  });

  test('the portal is named by authelia_url of the authorization request, not of the visitor', () => {
    const query = 'authelia_url=https%3A%2F%2Fauth.example.com%2F';
    expect(read(readForwardAuth, whole, { query })).toMatchObject({ portal: 'https://auth.example.com/' });
    const visited = { ...whole, 'x-forwarded-uri': '/a?authelia_url=https://evil.com/' };
    expect(read(readForwardAuth, visited)).toMatchObject({ portal: undefined });
    // Caddy appends the visitor's query to that of the authorization request.
    expect(read(readForwardAuth, visited, { query: 'authelia_url=https://evil.com/' })).toMatchObject({
      portal: undefined,
    });
    expect(
      read(readForwardAuth, visited, { query: `${query}&authelia_url=https://evil.com/` }),
    ).toMatchObject({ portal: undefined });
  });
});

describe('auth-request', () => {
  const whole: Headers = { 'x-original-url': 'https://app.example.com/a?b=c', 'x-original-method': 'PUT' };
  describeHeaders(readAuthRequest, whole, ['x-original-url', 'x-original-method']);

  test('reads X-Original-URL and X-Original-Method', () => {
    expect(read(readAuthRequest, whole)).toEqual({
      scheme: 'https',
      authority: 'app.example.com',
      uri: '/a?b=c',
      method: 'PUT',
      portal: undefined,
    });
  });

  test('no other header is a source', () => {
    const others: Headers = {
      'x-forwarded-host': 'evil.com',
      'x-forwarded-uri': '/',
      'x-forwarded-proto': 'http',
      'x-forwarded-method': 'GET',
      host: 'evil.com',
    };
    expect(read(readAuthRequest, { ...whole, ...others })).toEqual(read(readAuthRequest, whole));
    expect(read(readAuthRequest, others)).toHaveProperty('invalid');
  });

  test.each([
    '/a',
    'app.example.com/a',
    '//app.example.com/',
    'https:/app.example.com',
    'https:app.example.com',
    '://app.example.com',
    '1https://app.example.com',
    ' https://app.example.com',
    '',
  ])('%j is no absolute URL', (url) => {
    expect(read(readAuthRequest, { ...whole, 'x-original-url': url })).toHaveProperty('invalid');
  });

  test('the portal is named by authelia_url', () => {
    const query = 'authelia_url=https://auth.example.com/';
    expect(read(readAuthRequest, whole, { query })).toMatchObject({ portal: 'https://auth.example.com/' });
    const visited = { ...whole, 'x-original-url': 'https://app.example.com/?authelia_url=x' };
    expect(read(readAuthRequest, visited, { query })).toMatchObject({ portal: undefined });
  });
});

describe('ext-authz', () => {
  const whole: Headers = {
    host: 'app.example.com',
    'x-forwarded-proto': 'https',
    'x-authelia-url': 'https://auth.example.com/',
  };
  describeHeaders(readExtAuthz, whole, ['host'], { rest: '/a' });

  test('reads the request itself, with either form of the path prefix', () => {
    const expected = {
      scheme: 'https',
      authority: 'app.example.com',
      uri: '/a/b?c=d',
      method: 'DELETE',
      portal: 'https://auth.example.com/',
    };
    expect(read(readExtAuthz, whole, { method: 'DELETE', rest: '/a/b', query: 'c=d' })).toEqual(expected);
    expect(read(readExtAuthz, whole, { method: 'DELETE', rest: '//a/b', query: 'c=d' })).toEqual(expected);
  });

  test.each([
    ['', '', ''],
    ['/', '', '/'],
    ['//', '', '/'],
    ['/', 'a=b', '/?a=b'],
    ['///a', '', '//a'],
    ['/%2e%2e/a', 'x=%00', '/%2e%2e/a?x=%00'],
  ])('the rest %j and the query %j are the URI %j', (rest, query, uri) => {
    expect(read(readExtAuthz, whole, { rest, query })).toMatchObject({ uri });
  });

  test('the query is the visitor’s alone: it names no portal', () => {
    const { 'x-authelia-url': _, ...others } = whole;
    expect(read(readExtAuthz, others, { rest: '/', query: 'authelia_url=https://evil.com/' })).toMatchObject({
      portal: undefined,
    });
  });

  test('no other header is a source', () => {
    const others: Headers = {
      'x-forwarded-host': 'evil.com',
      'x-forwarded-uri': '/evil',
      'x-forwarded-method': 'GET',
      'x-original-url': 'https://evil.com/',
    };
    const more = { method: 'POST', rest: '/a' };
    expect(read(readExtAuthz, { ...whole, ...others }, more)).toEqual(read(readExtAuthz, whole, more));
  });
});

describe('legacy', () => {
  const forwarded: Headers = {
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'app.example.com',
    'x-forwarded-uri': '/a?b=c',
    'x-forwarded-method': 'POST',
    'x-authelia-url': 'https://auth.example.com/',
    host: 'gateway',
  };
  describeHeaders(readLegacy, forwarded, []);
  const original: Headers = { 'x-original-url': 'https://app.example.com/a?b=c' };

  test('reads X-Original-URL, or X-Forwarded-* where it is absent', () => {
    const url = { scheme: 'https', authority: 'app.example.com', uri: '/a?b=c' };
    expect(read(readLegacy, original, { method: 'GET' })).toEqual({
      ...url,
      method: 'GET',
      portal: undefined,
    });
    expect(read(readLegacy, forwarded)).toEqual({
      ...url,
      method: 'POST',
      portal: 'https://auth.example.com/',
    });
    expect(read(readLegacy, { ...forwarded, 'x-original-url': '' })).toMatchObject(url);
  });

  test('both together must say the same', () => {
    expect(read(readLegacy, { ...forwarded, ...original })).toMatchObject({
      authority: 'app.example.com',
      uri: '/a?b=c',
    });
    for (const [name, value] of [
      ['x-forwarded-proto', 'http'],
      ['x-forwarded-proto', 'HTTPS'],
      ['x-forwarded-host', 'public.example.com'],
      ['x-forwarded-host', 'app.example.com:443'],
      ['x-forwarded-host', ''],
      ['x-forwarded-uri', '/public'],
      ['x-forwarded-uri', ''],
    ] as const) {
      expect(read(readLegacy, { ...original, [name]: value }), `${name}: ${value}`).toEqual({
        invalid: 'x-original-url and x-forwarded-* name different URLs',
      });
    }
  });

  test('without a scheme or any host there is no URL', () => {
    const { 'x-forwarded-proto': _, ...noScheme } = forwarded;
    expect(read(readLegacy, noScheme)).toEqual({ invalid: 'the header x-forwarded-proto is missing' });
    expect(read(readLegacy, { 'x-forwarded-proto': 'https' })).toEqual({
      invalid: 'the header x-forwarded-host is missing',
    });
    expect(read(readLegacy, { 'x-original-url': '/a', ...forwarded })).toHaveProperty('invalid');
  });

  test('the portal is named by rd, else by the header; never by the visitor', () => {
    expect(read(readLegacy, forwarded, { query: 'rd=https://rd.example.com/' })).toMatchObject({
      portal: 'https://rd.example.com/',
    });
    const visited = { 'x-original-url': 'https://app.example.com/?rd=https://evil.com/' };
    expect(read(readLegacy, visited, { query: 'rd=https://evil.com/' })).toMatchObject({ portal: undefined });
  });
});

describe('a parameter of the authorization request itself', () => {
  test.each([
    ['', '', undefined],
    ['x=1', '', '1'],
    ['x=1&x=2', '', '1'],
    ['x=', '', ''],
    ['x', '', ''],
    ['%78=1', '', '1'],
    ['y=1', '', undefined],
    ['x=1', 'x=2', undefined],
    ['x=1', 'x', undefined],
    ['x=1', '%78=2', undefined],
    ['x=1&%78=2', 'a=b&%78=2', undefined],
    ['x=1', 'xx=2&X=3', '1'],
    ['__proto__=1', '', undefined],
  ])('%j of a visitor with %j', (query, visitor, expected) => {
    expect(ownParameter(query, visitor, 'x')).toBe(expected);
  });
});

test.each([
  ['https://a.example.com', { scheme: 'https', authority: 'a.example.com', uri: '' }],
  ['https://a.example.com?x', { scheme: 'https', authority: 'a.example.com', uri: '?x' }],
  ['https://a.example.com#x', { scheme: 'https', authority: 'a.example.com', uri: '#x' }],
  ['https://a.example.com\\@b', { scheme: 'https', authority: 'a.example.com', uri: '\\@b' }],
  ['https://u:p@a.example.com/x', { scheme: 'https', authority: 'u:p@a.example.com', uri: '/x' }],
  ['https:///x', { scheme: 'https', authority: '', uri: '/x' }],
  ['wss://a:1/\n', { scheme: 'wss', authority: 'a:1', uri: '/\n' }],
  ['a b', null],
])('the parts of %j', (text, expected) => {
  expect(splitUrl(text)).toEqual(expected);
});
