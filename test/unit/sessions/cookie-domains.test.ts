import { describe, expect, test } from 'vitest';

import { type CookieDomain, createCookieDomains } from '../../../src/sessions/cookie-domains.ts';
import { deletedSessionCookie, sessionCookie } from '../../../src/sessions/session-cookie.ts';

const entry = (domain: string, more: Partial<CookieDomain> = {}): CookieDomain => ({
  domain,
  cookieName: 'authelia_session',
  sameSite: 'lax',
  lifetimes: { expiration: 3_600_000, inactivity: 300_000, rememberMe: 2_592_000_000 },
  portalUrl: `https://auth.${domain}/`,
  defaultRedirectionUrl: null,
  ...more,
});

describe('the cookie domain of a host', () => {
  const com = entry('example.com');
  const org = entry('sub.example.org');
  const domains = createCookieDomains([com, org]);

  test.each([
    ['example.com', com],
    ['a.example.com', com],
    ['a.b.c.example.com', com],
    ['sub.example.org', org],
    ['x.sub.example.org', org],
    ['example.org', null],
    ['evilexample.com', null],
    ['example.com.evil.com', null],
    ['com', null],
    ['', null],
    ['.', null],
  ] as const)('%s', (host, expected) => {
    expect(domains.forHost(host)).toBe(expected);
    expect(domains.forHost(host)).toBe(expected);
  });

  test('by its own name only', () => {
    expect(domains.get('example.com')).toBe(com);
    expect(domains.get('a.example.com')).toBeNull();
    expect(domains.get('__proto__')).toBeNull();
  });

  test('many strange hosts do not change the answers', () => {
    for (let i = 0; i < 5000; i++) expect(domains.forHost(`h${i}.example.net`)).toBeNull();
    expect(domains.forHost('new.example.com')).toBe(com);
    expect(domains.forHost('h4999.example.net')).toBeNull();
  });
});

describe('the session cookie', () => {
  const domain = entry('example.com', { cookieName: '__Secure-sallyport', sameSite: 'strict' });

  test('names the domain, and lives as long as the session', () => {
    expect(sessionCookie(domain, 'token', 3_600_000)).toBe(
      '__Secure-sallyport=token; Path=/; Domain=example.com; Max-Age=3600; HttpOnly; Secure; SameSite=Strict',
    );
  });

  test('is deleted under the same name, domain and path', () => {
    expect(deletedSessionCookie(domain)).toBe(
      '__Secure-sallyport=; Path=/; Domain=example.com; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Secure; SameSite=Strict',
    );
  });
});
