import * as fc from 'fast-check';
import { BlockList, isIP } from 'node:net';
import { describe, expect, it } from 'vitest';
import { canonicalAddress, compileNetworks, parseNetwork } from '../../../src/lib/ip-network.ts';

describe('canonicalAddress', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['::192.0.2.1', '::c000:201'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  it.each([
    '',
    ' ',
    '192.0.2',
    '192.0.2.1.1',
    '192.0.2.256',
    '192.0.2.01',
    '0x7f.1',
    '2130706433',
    '192.0.2.1 ',
    '192.0.2.',
    '.192.0.2',
    '192..2.1',
    'fe80::1%eth0',
    '::1%1',
    '[::1]',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    ':::',
    '::ffff:192.0.2.256',
    '192.0.2.1:80',
    'a.b',
  ])('refuses "%s"', (text) => {
    expect(canonicalAddress(text)).toBeNull();
  });

  it('is the only text of an address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const canonical = canonicalAddress(text);
        expect(canonical).not.toBeNull();
        expect(canonicalAddress(canonical ?? '')).toBe(canonical);
        expect(canonicalAddress(text.toUpperCase())).toBe(canonical);
      }),
    );
  });

  it('takes what Node.js takes, except for zones', () => {
    const part = fc.constantFrom(
      ':',
      '::',
      '0',
      '1',
      'ffff',
      'Ab',
      '12345',
      '.',
      '192.0.2.1',
      '1.2',
      '256',
      'g',
      '/',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 17 }), (parts) => {
        const text = parts.join('');
        expect([text, canonicalAddress(text) !== null]).toEqual([text, isIP(text) !== 0]);
      }),
      { numRuns: 20_000 },
    );
    const digits = fc.array(
      fc.tuple(fc.constantFrom(':', ':', ':', ':', '::', '.'), fc.constantFrom('0', '1', 'ff', '9')),
      { maxLength: 9 },
    );
    fc.assert(
      fc.property(digits, (pairs) => {
        const text = pairs
          .flat()
          .join('')
          .replace(/^:(?!:)/, '');
        expect([text, canonicalAddress(text) !== null]).toEqual([text, isIP(text) !== 0]);
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('networks', () => {
  it.each([
    [['10.0.0.0/8'], '10.255.0.1', true],
    [['10.0.0.0/8'], '11.0.0.0', false],
    [['10.20.30.40/16'], '10.20.0.1', true],
    [['192.0.2.1'], '192.0.2.1', true],
    [['192.0.2.1'], '192.0.2.2', false],
    [['0.0.0.0/0'], '255.255.255.255', true],
    [['0.0.0.0/0'], '::1', false],
    [['::/0'], '2001:db8::1', true],
    [['::/0'], '10.0.0.1', false],
    [['::/0'], '::ffff:10.0.0.1', false],
    [['::ffff:10.9.0.0/112'], '10.9.255.1', true],
    [['::ffff:10.9.0.0/112'], '10.10.0.1', false],
    [['::ffff:0:0/96'], '10.10.0.1', true],
    [['10.0.0.0/8'], '::ffff:10.1.1.1', true],
    [['2001:db8::/33'], '2001:db8:7fff::1', true],
    [['2001:db8::/33'], '2001:db8:8000::1', false],
    [['fe80::/10', '10.0.0.0/8'], 'febf::1', true],
    [['10.0.0.0/8'], '', false],
    [['10.0.0.0/8'], '10.0.0', false],
    [['128.0.0.0/1'], '200.0.0.1', true],
    [[], '10.0.0.1', false],
  ])('%j holds %s: %s', (texts, ip, holds) => {
    expect(compileNetworks(texts)(ip)).toBe(holds);
  });

  it.each([
    '',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0.0/8/8',
    '10.0.0/8',
    '::/129',
    'office',
    'fe80::%eth0/64',
    '10.0.0.0/255.0.0.0',
  ])('refuses "%s", naming it', (text) => {
    expect(() => parseNetwork(text)).toThrow(`'${text}'`);
  });

  it('agrees with Node.js', () => {
    const block = fc.oneof(
      fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.constant('ipv4' as const)),
      fc.tuple(
        fc
          .ipV6()
          .map((text) => canonicalAddress(text) ?? '')
          .filter((text) => text.includes(':')),
        fc.integer({ min: 0, max: 128 }),
        fc.constant('ipv6' as const),
      ),
    );
    fc.assert(
      fc.property(block, fc.oneof(fc.ipV4(), fc.ipV6()), ([base, bits, family], other) => {
        const list = new BlockList();
        list.addSubnet(base, bits, family);
        const holds = compileNetworks([`${base}/${bits}`]);
        expect(holds(base)).toBe(true);
        const canonical = canonicalAddress(other) ?? '';
        // Node.js finds IPv4 in IPv6 blocks that cover ::ffff:0:0/96; here no IPv6 block holds IPv4.
        const otherFamily = canonical.includes(':') ? 'ipv6' : 'ipv4';
        expect(holds(other)).toBe(family === otherFamily && list.check(canonical, otherFamily));
      }),
    );
  });
});
