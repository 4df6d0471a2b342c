import { describe, expect, test } from 'vitest';

import { createTrustedProxies } from '../../../src/http/trusted-proxies.ts';

const LISTED = ['192.0.2.10', '198.51.100.0/24', '2001:db8:1::/64'];

describe('who may ask', () => {
  test.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['10.0.0.1', true],
    ['172.16.0.1', true],
    ['172.31.255.255', true],
    ['172.32.0.1', false],
    ['192.168.1.1', true],
    ['169.254.1.1', true],
    ['::1', true],
    ['fd00::1', true],
    ['fe80::1', true],
    ['::ffff:127.0.0.1', true],
    ['::ffff:10.0.0.1', true],
    ['::ffff:8.8.8.8', false],
    ['8.8.8.8', false],
    ['2001:db8::1', false],
    ['0.0.0.0', false],
    ['', true],
    ['garbage', false],
  ])('nothing configured: %s', (peer, expected) => {
    const { isTrusted } = createTrustedProxies(undefined);
    expect(isTrusted(peer)).toBe(expected);
    expect(isTrusted(peer)).toBe(expected);
  });

  test.each([
    ['192.0.2.10', true],
    ['192.0.2.11', false],
    ['198.51.100.0', true],
    ['198.51.100.255', true],
    ['198.51.101.0', false],
    ['::ffff:192.0.2.10', true],
    ['2001:db8:1::5', true],
    ['2001:db8:2::5', false],
    ['127.0.0.1', false],
    ['10.0.0.1', false],
    ['', true],
  ])('a list: %s', (peer, expected) => {
    expect(createTrustedProxies(LISTED).isTrusted(peer)).toBe(expected);
  });

  test('an empty list trusts nobody but a unix socket', () => {
    const { isTrusted } = createTrustedProxies([]);
    for (const peer of ['127.0.0.1', '10.0.0.1', '::1']) expect(isTrusted(peer)).toBe(false);
    expect(isTrusted('')).toBe(true);
  });

  test('many strange peers do not change the answers', () => {
    const { isTrusted } = createTrustedProxies(undefined);
    for (let i = 0; i < 3000; i++) expect(isTrusted(`11.0.${i >> 8}.${i & 255}`)).toBe(false);
    expect(isTrusted('10.0.0.1')).toBe(true);
    expect(isTrusted('11.0.0.1')).toBe(false);
  });
});

describe('whom X-Forwarded-For is believed about', () => {
  test.each([
    ['the header is missing', undefined, '10.0.0.1'],
    ['one address', '203.0.113.5', '203.0.113.5'],
    ['the last one counts', '1.2.3.4, 203.0.113.5', '203.0.113.5'],
    ['exactly one hop, even when it is private', '203.0.113.5, 10.0.0.7', '10.0.0.7'],
    ['nonsense further left does not matter', 'unknown, <script>, 203.0.113.5', '203.0.113.5'],
    ['blanks around it', '1.1.1.1,  203.0.113.5  ', '203.0.113.5'],
    ['IPv6', '2001:DB8:0:0::5', '2001:db8::5'],
    ['IPv4 in IPv6', '::ffff:203.0.113.5', '203.0.113.5'],
    ['malformed', 'unknown', null],
    ['empty', '', null],
    ['a comma at the end', '203.0.113.5,', null],
    ['with a port', '203.0.113.5:1234', null],
    ['in brackets', '[2001:db8::5]', null],
    ['with a zone', 'fe80::1%eth0', null],
    ['leading zeros', '010.0.0.1', null],
    ['a name', 'localhost', null],
    ['quoted', '"203.0.113.5"', null],
    ['a network', '203.0.113.0/24', null],
  ])('nothing configured: %s', (_, header, expected) => {
    expect(createTrustedProxies(undefined).clientOf('10.0.0.1', header)).toBe(expected);
  });

  test.each([
    ['the header is missing', undefined, '192.0.2.10'],
    ['one that is not listed', '203.0.113.5', '203.0.113.5'],
    ['listed ones are skipped from the right', '203.0.113.5, 198.51.100.7, 192.0.2.10', '203.0.113.5'],
    ['the first that is not listed, not the left-most', '1.1.1.1, 203.0.113.5, 198.51.100.7', '203.0.113.5'],
    ['private ones are not skipped unless listed', '203.0.113.5, 10.0.0.1', '10.0.0.1'],
    ['all listed: the left-most', '198.51.100.7, 198.51.100.8, 192.0.2.10', '198.51.100.7'],
    ['one, and listed', '192.0.2.10', '192.0.2.10'],
    ['listed in IPv6 spelling', '203.0.113.5, ::ffff:192.0.2.10', '203.0.113.5'],
    ['nonsense to the left of the client does not matter', 'x, 203.0.113.5, 192.0.2.10', '203.0.113.5'],
    ['nonsense on the way from the right', '203.0.113.5, x, 192.0.2.10', null],
    ['nonsense at the right', '203.0.113.5, x', null],
    ['an empty part', '203.0.113.5,,192.0.2.10', null],
    ['nonsense behind listed ones only', 'unknown, 192.0.2.10', null],
    ['empty', '', null],
  ])('a list: %s', (_, header, expected) => {
    expect(createTrustedProxies(LISTED).clientOf('192.0.2.10', header)).toBe(expected);
  });

  test('a chain that is too long is malformed', () => {
    const chain = (length: number) => Array(length).fill('192.0.2.10').join(', ');
    expect(createTrustedProxies(LISTED).clientOf('192.0.2.10', chain(64))).toBe('192.0.2.10');
    expect(createTrustedProxies(LISTED).clientOf('192.0.2.10', chain(65))).toBeNull();
  });

  test('a unix socket without the header is this machine', () => {
    expect(createTrustedProxies(undefined).clientOf('', undefined)).toBe('127.0.0.1');
    expect(createTrustedProxies(LISTED).clientOf('', '203.0.113.5')).toBe('203.0.113.5');
  });

  test('a peer without the header is told in canonical text', () => {
    expect(createTrustedProxies(undefined).clientOf('::ffff:10.0.0.1', undefined)).toBe('10.0.0.1');
    expect(createTrustedProxies(undefined).clientOf('0:0:0:0:0:0:0:1', undefined)).toBe('::1');
  });
});
