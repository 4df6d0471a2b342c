import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isHostWithin, parseHttpsTarget } from '../../../src/lib/https-target.ts';

describe('parseHttpsTarget', () => {
  it.each([
    ['https://app.example.com', { href: 'https://app.example.com/', host: 'app.example.com', port: '' }],
    [
      'https://app.example.com/a?b=c&d=%26#e',
      { href: 'https://app.example.com/a?b=c&d=%26#e', host: 'app.example.com', port: '' },
    ],
    [
      'HTTPS://App.Example.com:8443/',
      { href: 'https://app.example.com:8443/', host: 'app.example.com', port: '8443' },
    ],
    [
      'https://app.example.com:443/x',
      { href: 'https://app.example.com/x', host: 'app.example.com', port: '' },
    ],
    [
      'https://app.example.com?rd=https://evil.com',
      { href: 'https://app.example.com/?rd=https://evil.com', host: 'app.example.com', port: '' },
    ],
    [
      'https://xn--bcher-kva.example/',
      { href: 'https://xn--bcher-kva.example/', host: 'xn--bcher-kva.example', port: '' },
    ],
  ])('takes %s', (text, target) => {
    expect(parseHttpsTarget(text)).toEqual(target);
  });

  const host = 'app.example.com';
  it.each([
    '',
    'https://',
    'https:',
    `https:${host}`,
    `https:/${host}`,
    `https:///${host}`,
    `https:\\\\${host}`,
    `https:/\\${host}`,
    `//${host}`,
    host,
    `http://${host}`,
    `wss://${host}`,
    `javascript://${host}/%0aalert(1)`,
    'javascript:alert(1)',
    'data:text/html,x',
    `blob:https://${host}/x`,
    `https://user@${host}`,
    `https://user:pw@${host}/`,
    `https://@${host}/`,
    `https://evil.com%5c@${host}`,
    `https://evil.com\\@${host}`,
    `https://${host}:443@evil.com`,
    ` https://${host}`,
    `https://${host} `,
    `\thttps://${host}`,
    `https://${host}\n`,
    `\ufeffhttps://${host}`,
    `https://${host}/a b`,
    `https://${host}/\u00e9`,
    ...['\t', '\n', '\r', '\0', '\u001f', '\u00ad', '\u200b', '\u2028', '\u3002'].map(
      (character) => `https://app${character}.example.com/`,
    ),
    'https://*.example.com/',
    'https://-a.example.com',
    'https://a-.example.com',
    'https://a..example.com',
    'https://.example.com',
    'https://app.example.com./',
    'https://a%2eb/',
    'https://b\u00fccher.example/',
    'https://\u24d0pp.example.com',
    `https://${host}:`,
    `https://${host}:0/`,
    `https://${host}:65536/`,
    `https://${host}:99999/`,
    `https://${host}:0443/`,
    `https://${host}:8443:1/`,
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://[::1]/',
    'https://[::1].example.com',
    `https://${host}/${'a'.repeat(8192)}`,
    `https://${'a'.repeat(64)}.com/`,
    `https://${host}\\.evil.com`,
    'https://%',
    'https://[',
  ])('refuses %j', (text) => {
    expect(parseHttpsTarget(text)).toBeNull();
  });

  it.each([null, undefined, 5, true, [`https://${host}/`], {}, { toString: () => `https://${host}/` }])(
    'refuses what is no text',
    (value) => {
      expect(parseHttpsTarget(value)).toBeNull();
    },
  );

  it('means the host that browsers go to, and reads its own answer the same', () => {
    const piece = fc.constantFrom(
      'https://',
      'HTTPS:',
      '//',
      '/',
      '\\',
      '@',
      ':',
      '#',
      '?',
      '%2e',
      '.',
      'evil.com',
      'app.example.com',
      '\t',
      ' ',
      '8443',
      '[::1]',
      '*',
      'é',
      '-',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
        const text = `https://${pieces.join('')}`;
        const target = parseHttpsTarget(text);
        if (target === null) return;
        expect(new URL(text).hostname).toBe(target.host);
        expect(new URL(text).href).toBe(target.href);
        expect(parseHttpsTarget(target.href)).toEqual(target);
      }),
      { numRuns: 5000 },
    );
  });
});

describe('isHostWithin', () => {
  it.each([
    ['example.com', 'example.com', true],
    ['a.b.example.com', 'example.com', true],
    ['evilexample.com', 'example.com', false],
    ['example.com.evil.com', 'example.com', false],
    ['com', 'example.com', false],
    ['a.b', '', false],
  ])('%s in %s: %s', (host, domain, within) => {
    expect(isHostWithin(host, domain)).toBe(within);
  });
});
