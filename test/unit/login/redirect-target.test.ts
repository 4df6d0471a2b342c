import { describe, expect, test } from 'vitest';

import { parseRedirectTarget, type RedirectTarget } from '../../../src/login/redirect-target.ts';
import { createCookieDomains } from '../../../src/sessions/cookie-domains.ts';
import { exampleCom } from '../authn/fakes.ts';

const cookieDomains = createCookieDomains([
  exampleCom,
  { ...exampleCom, domain: 'sub.example.org', portalUrl: 'https://login.sub.example.org:8443/sso/' },
  { ...exampleCom, domain: 'old.example.net', portalUrl: null },
]);
const parse = (text: unknown): RedirectTarget | null =>
  parseRedirectTarget(text, { cookieDomains, method: 'GET', ip: '203.0.113.5' });

describe('safe targets', () => {
  test.each([
    ['https://app.example.com', 'https://app.example.com/', 'app.example.com'],
    ['https://app.example.com/', 'https://app.example.com/', 'app.example.com'],
    ['https://example.com/a?b=c', 'https://example.com/a?b=c', 'example.com'],
    ['https://APP.Example.com:443/A', 'https://app.example.com/A', 'app.example.com'],
    ['https://app.example.com:8443/', 'https://app.example.com:8443/', 'app.example.com:8443'],
    ['https://a.b.c.example.com/x', 'https://a.b.c.example.com/x', 'a.b.c.example.com'],
    ['https://x.sub.example.org/y', 'https://x.sub.example.org/y', 'x.sub.example.org'],
    ['https://old.example.net/', 'https://old.example.net/', 'old.example.net'],
    ['https://app.example.com/a/../b', 'https://app.example.com/b', 'app.example.com'],
    [
      'https://app.example.com/?next=https://evil.com/',
      'https://app.example.com/?next=https://evil.com/',
      'app.example.com',
    ],
    [
      'https://app.example.com/?rd=https://evil.com/',
      'https://app.example.com/?rd=https://evil.com/',
      'app.example.com',
    ],
    ['https://auth.example.com/', 'https://auth.example.com/', 'auth.example.com'],
    ['https://auth.example.com:8443/?rd=x', 'https://auth.example.com:8443/?rd=x', 'auth.example.com:8443'],
    ['https://app.example.com/@evil.com', 'https://app.example.com/@evil.com', 'app.example.com'],
  ])('%s', (text, href, site) => {
    expect(parse(text)).toMatchObject({ href, site });
  });

  test('are decided about as what is followed, for the method and address that were given', () => {
    const target = parseRedirectTarget('https://APP.example.com:8443/a/%2e%2e/b?c=d', {
      cookieDomains,
      method: 'POST',
      ip: '1.2.3.4',
    });
    expect(target?.request).toMatchObject({
      method: 'POST',
      ip: '1.2.3.4',
      url: { scheme: 'https', host: 'app.example.com', port: '8443', query: 'c=d' },
    });
    expect(target?.request.url.readings).toEqual(['/b']);
  });
});

const CONTROLS = [
  '\t',
  '\n',
  '\r',
  '\0',
  '\u001f',
  '\u007f',
  '\u0085',
  '\u00a0',
  '\u00ad',
  '\u200b',
  '\u200d',
  '\u2028',
  '\u202e',
  '\ufeff',
];

describe('unsafe targets', () => {
  const groups: Readonly<Record<string, readonly string[]>> = {
    'foreign hosts': [
      'https://evil.test/',
      'https://notexample.com/',
      'https://example.com.evil.test/',
      'https://app.example.com.evil.test/',
      'https://example.co/',
      'https://example.com-evil.test/',
      'https://example.org/',
      'https://xsub.example.org/',
      'https://com/',
    ],
    'other schemes': [
      'http://app.example.com/',
      'wss://app.example.com/',
      'ftp://app.example.com/',
      'javascript:alert(document.domain)//app.example.com',
      'jAvAsCrIpT:alert(1)',
      'javascript://app.example.com/%0aalert(1)',
      'java\tscript:alert(1)',
      'data:text/html;base64,PHNjcmlwdD4=',
      'vbscript:msgbox(1)',
      'blob:https://app.example.com/0',
      'view-source:https://app.example.com/',
      'file:///etc/passwd',
      'intent://app.example.com/#Intent;scheme=https;end',
      'about:blank',
    ],
    'spellings that browsers forgive': [
      'https:app.example.com',
      'https:/app.example.com/',
      'https:///app.example.com/',
      'https:////app.example.com/',
      'https:\\\\app.example.com\\',
      'https:/\\app.example.com/',
      'https://\\app.example.com/',
      '//app.example.com/',
      '\\\\app.example.com\\',
      '/\\app.example.com/',
      '///app.example.com',
      '/a',
      'a',
      '?rd=x',
      '#x',
      'app.example.com',
      'app.example.com/a',
      'app.example.com:443/a',
    ],
    userinfo: [
      'https://evil.test@app.example.com/',
      'https://app.example.com@evil.test/',
      'https://app.example.com:443@evil.test/',
      'https://@app.example.com/',
      'https://:@app.example.com/',
      'https://a:b@app.example.com/',
      'https://app.example.com%40evil.test/',
      'https://evil.test%40app.example.com/',
      'https://evil.test\\@app.example.com/',
      'https://evil.test%5c@app.example.com/',
      'https://evil.test%2f@app.example.com/',
      'https://evil.test#@app.example.com/',
      'https://evil.test?@app.example.com/',
    ],
    'encoded and odd hosts': [
      'https://app.example.com%2eevil.test/',
      'https://evil.test%2f.example.com/',
      'https://evil.test%23.example.com/',
      'https://evil%00.example.com/',
      'https://%61pp.example.com/',
      'https://app。example。com/',
      'https://app.example.com.evil.test/',
      'https://ⓐpp.example.com/',
      'https://аpp.example.com/',
      'https://\u{1d41a}pp.example.com/',
      'https://app.example.com\uff0eevil.test/',
      'https://evil.test\uff0f.example.com/',
      'https://evil.test\u2044.example.com/',
      'https://ßapp.example.com/',
      'https://app.example.com./',
      'https://.example.com/',
      'https://..example.com/',
      'https://a..example.com/',
      'https://*.example.com/',
      'https://-a.example.com/',
      'https://a-.example.com/',
      `https://${'a'.repeat(64)}.example.com/`,
      `https://${'a.'.repeat(130)}example.com/`,
      'https://a b.example.com/',
      'https://a"b.example.com/',
      "https://a'b.example.com/",
      'https://a<b.example.com/',
      'https://a{b}.example.com/',
      'https://$(a).example.com/',
    ],
    addresses: [
      'https://127.0.0.1/',
      'https://127.1/',
      'https://2130706433/',
      'https://0x7f000001/',
      'https://0177.0.0.1/',
      'https://[::1]/',
      'https://[::1].example.com/',
      'https://[::ffff:127.0.0.1]/',
      'https://[app.example.com]/',
    ],
    ports: [
      'https://app.example.com:0/',
      'https://app.example.com:65536/',
      'https://app.example.com:-1/',
      'https://app.example.com:+443/',
      'https://app.example.com:80a/',
      'https://app.example.com:443:443/',
      'https://app.example.com:4 43/',
      'https://app.example.com:４４３/',
    ],
    'blanks and other characters around it': [
      ' https://app.example.com/',
      'https://app.example.com/ ',
      'https://app.example.com /',
      'https:// app.example.com/',
      'https ://app.example.com/',
      '%20https://app.example.com/',
      '+https://app.example.com/',
      '"https://app.example.com/"',
      '<https://app.example.com/>',
      'url=https://app.example.com/',
      'https://app.example.com/\r\nSet-Cookie: a=b',
      'https://app.example.com/\u0000',
    ],
    'a path that cannot be read safely': [
      'https://app.example.com/%00',
      'https://app.example.com/%zz',
      'https://app.example.com/%',
      'https://app.example.com/%c0%af',
      'https://app.example.com/a\\b',
      'https://app.example.com/ü',
    ],
    'a portal that leads on': [
      'https://auth.example.com/?rd=https://evil.test/',
      'https://auth.example.com/?rd=https%3A%2F%2Fapp.example.com%2F',
      'https://auth.example.com/?a=b&rd=',
      'https://auth.example.com/?%72d=https://evil.test/',
      'https://AUTH.example.com:443/logout?rd=https://evil.test/',
      'https://auth.example.com/?targetURL=https://evil.test/',
      'https://login.sub.example.org:8443/sso/?rd=https://evil.test/',
    ],
    'what is no address': [
      '',
      ' ',
      'https://',
      'https:///',
      'https://%',
      'https://[',
      'https://]',
      'http://\0',
      ':',
      '%',
      '?',
      '//',
      'null',
      'undefined',
      `https://app.example.com/${'a'.repeat(9000)}`,
    ],
  };
  test.each(Object.entries(groups))('%s', (_, texts) => {
    for (const text of texts) expect(parse(text), JSON.stringify(text.slice(0, 80))).toBeNull();
  });

  test('invisible and control characters anywhere', () => {
    for (const character of CONTROLS) {
      for (const text of [
        `https://app.example.com${character}.evil.test/`,
        `https://app.exa${character}mple.com/`,
        `${character}https://app.example.com/`,
        `https${character}://app.example.com/`,
        `https:/${character}/app.example.com/`,
        `https://${character}app.example.com/`,
        `https://app.example.com${character}`,
        `https://app.example.com/${character}`,
        `https://app.example.com/?${character}`,
      ]) {
        expect(parse(text), JSON.stringify(text)).toBeNull();
      }
    }
  });

  test('what is no text', () => {
    for (const value of [
      undefined,
      null,
      5,
      true,
      [],
      ['https://app.example.com/'],
      {},
      { toString: () => 'https://app.example.com/' },
      Symbol('x'),
      new URL('https://app.example.com/'),
    ]) {
      expect(parse(value)).toBeNull();
    }
  });
});

test('whatever the parts are put together to, a browser is never led away', () => {
  const schemes = ['https:', 'HTTPS:', '', 'https', 'https:\t', 'java\tscript:', 'wss:', 'http:'];
  const slashes = ['//', '/', '', '///', '\\\\', '/\\', '%2f%2f', '/%5c', '/\t/', '/\n/'];
  const heads = [
    '',
    'app.example.com@',
    'a:b@',
    'app.example.com%40',
    'app.example.com\\@',
    'app.example.com#@',
    '%',
    ' ',
  ];
  const hosts = [
    'evil.test',
    'app.example.com',
    'app.example.com.evil.test',
    'app.example.com%2eevil.test',
    'evil.test/app.example.com',
    'evil.test\\.app.example.com',
    'evil.test?.example.com',
    'evil.test#.example.com',
    'evil.test\t.example.com',
    'evil.test:443#@app.example.com',
    'app.example.com:443@evil.test',
  ];
  let safe = 0;
  for (const scheme of schemes)
    for (const slash of slashes)
      for (const head of heads)
        for (const host of hosts) {
          const text = scheme + slash + head + host;
          const target = parse(text);
          if (!target) continue;
          safe++;
          // What is followed is what a browser would have made of the text itself, too.
          for (const url of [new URL(target.href), new URL(text)]) {
            expect(url.protocol, text).toBe('https:');
            expect(url.hostname, text).toBe('app.example.com');
            expect(url.username + url.password, text).toBe('');
          }
        }
  expect(safe).toBeGreaterThan(0);
});
