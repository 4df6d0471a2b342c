import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';

import { describe, expect, test } from 'vitest';

import { type HeaderName, readHead, type RequestHead } from '../../../src/http/request-head.ts';

function headOf(...raw: readonly string[]): RequestHead {
  const request = new IncomingMessage(new Socket());
  request.method = 'GET';
  request.rawHeaders = [...raw];
  return readHead(request, '/api/authz/forward-auth');
}

const ONCE = [
  'host',
  'authorization',
  'proxy-authorization',
  'session-username',
  'x-requested-with',
  'x-authelia-url',
  'x-forwarded-host',
  'x-forwarded-method',
  'x-forwarded-proto',
  'x-forwarded-uri',
  'x-original-method',
  'x-original-url',
] as const satisfies readonly HeaderName[];
const LISTS = ['cookie', 'accept', 'x-forwarded-for'] as const satisfies readonly HeaderName[];
const ALL = [...ONCE, ...LISTS];

describe('the head of a request', () => {
  test('method, target and an absent peer', () => {
    expect(headOf()).toMatchObject({
      method: 'GET',
      target: '/api/authz/forward-auth',
      peer: '',
      secure: false,
    });
  });

  test.each(ALL)('%s: absent, present and empty', (name) => {
    expect(headOf('X-Other', '1').header(name)).toBeUndefined();
    expect(headOf('X-Other', '1', name, 'value').header(name)).toBe('value');
    expect(headOf(name, '').header(name)).toBe('');
    expect(headOf(name, 'value').flaw(name)).toBeUndefined();
  });

  test.each(ALL)('%s in any letter case', (name) => {
    const spellings = [
      name.toUpperCase(),
      name.replaceAll(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()),
      name.replace('uri', 'URI').replace('url', 'URL'),
      [...name].map((letter, i) => (i % 2 ? letter.toUpperCase() : letter)).join(''),
    ];
    for (const spelling of spellings) {
      expect(headOf(spelling, 'value').header(name), spelling).toBe('value');
      expect(headOf(spelling, 'value').flaw(name), spelling).toBeUndefined();
    }
  });

  test.each(ONCE)('%s more than once is repeated, whatever the values and spellings', (name) => {
    expect(headOf(name, 'a', name, 'b').flaw(name)).toBe('repeated');
    expect(headOf(name, 'a', name, 'a').flaw(name)).toBe('repeated');
    expect(headOf(name, '', name, 'a').flaw(name)).toBe('repeated');
    expect(headOf(name, 'a', 'X-Other', '1', name.toUpperCase(), 'b').flaw(name)).toBe('repeated');
    expect(headOf(name, 'a', name, 'b', name, 'c').flaw(name)).toBe('repeated');
  });

  test('lists in several lines are one list', () => {
    expect(headOf('Cookie', 'a=b', 'cookie', 'c=d').header('cookie')).toBe('a=b; c=d');
    expect(headOf('Accept', 'text/html', 'Accept', '*/*').header('accept')).toBe('text/html, */*');
    expect(
      headOf('X-Forwarded-For', '1.1.1.1', 'X-Forwarded-For', '2.2.2.2, 3.3.3.3').header('x-forwarded-for'),
    ).toBe('1.1.1.1, 2.2.2.2, 3.3.3.3');
    for (const name of LISTS) expect(headOf(name, 'a', name, 'b').flaw(name)).toBeUndefined();
  });

  test.each(ALL.filter((name) => name.includes('-')))('%s in an underscore spelling is aliased', (name) => {
    const spellings = [
      name.replaceAll('-', '_'),
      name.replace('-', '_'),
      name.replaceAll('-', '_').toUpperCase(),
    ];
    for (const spelling of spellings) {
      const both = headOf(name, 'value', spelling, 'other');
      expect(both.header(name), spelling).toBe('value');
      expect(both.flaw(name), spelling).toBe('aliased');
      const alone = headOf(spelling, 'other');
      expect(alone.header(name), spelling).toBeUndefined();
      expect(alone.flaw(name), spelling).toBe('aliased');
    }
    expect(headOf(name, 'a', name.replaceAll('-', '_'), 'b', 'X_Other', 'c').flaw('host')).toBeUndefined();
  });

  test('a flaw of one header is none of another', () => {
    const head = headOf('Host', 'a', 'Host', 'b', 'X_Forwarded_Uri', 'c', 'X-Original-URL', 'd');
    expect(ALL.filter((name) => head.flaw(name))).toEqual(['host', 'x-forwarded-uri']);
  });

  test('names of every prototype are no headers of ours', () => {
    const head = headOf(
      '__proto__',
      'a',
      'constructor',
      'b',
      'toString',
      'c',
      'hasOwnProperty',
      'd',
      '__proto__',
      'e',
    );
    for (const name of ALL) {
      expect(head.header(name)).toBeUndefined();
      expect(head.flaw(name)).toBeUndefined();
    }
  });

  test('thousands of other headers change nothing', () => {
    const others = Array.from({ length: 4000 }, (_, i) => [`X-Filler_${i}`, 'x']).flat();
    expect(headOf(...others, 'Host', 'a.example.com', ...others).header('host')).toBe('a.example.com');
  });
});
