import { beforeAll, describe, expect, it } from 'vitest';
import type { Page, RenderPage } from '../../../src/portal/page-data.ts';
import { loadRenderer } from '../../../src/portal/renderer.ts';
import { dataOf, pages, readableText, tagWith, webDist } from './sample-pages.ts';

/** What the pages of second factors say, and where their forms and links lead. */

let render: RenderPage;
beforeAll(async () => {
  render = await loadRenderer(`${webDist}/server.js`);
});

const htmlOf = (name: string, base = '/'): string => {
  const page: Page | undefined = pages[name];
  if (page === undefined) throw new Error(name);
  return render(dataOf(page, { base }));
};

describe('second factor', () => {
  it('asks for a code in a field that phones and password managers fill in', () => {
    const html = htmlOf('second-factor');
    expect(readableText(html)).toContain('one.example.com can only be opened with a second factor');
    expect(html).toContain('<form method="post" action="/form/2fa/one-time-password?rd=');
    const field = tagWith(html, 'id="code"');
    expect(field).toContain('autocomplete="one-time-code"');
    expect(field).toMatch(/ inputmode="numeric"/i);
    expect(field).not.toContain('aria-invalid');
    expect(html).toContain('<label for="code">Code from your authenticator app</label>');
    expect(html).toContain('href="/2fa/recovery-code?rd=');
  });

  it('says what was wrong where the field is', () => {
    const html = htmlOf('second-factor, wrong code');
    expect(html).toContain('<title>Error: Second factor · Sallyport</title>');
    expect(tagWith(html, 'id="code"')).toContain('aria-describedby="form-error"');
    expect(tagWith(html, 'id="code"')).toContain('aria-invalid="true"');
  });

  it('leads to setting one up, or says that there is none to have; both let go', () => {
    const none = htmlOf('second-factor, none yet');
    expect(none).toMatch(/<a [^>]*href="\/settings\/totp\?rd=[^>]*>Set up an authenticator app<\/a>/);
    const out = htmlOf('second-factor, none here');
    expect(readableText(out)).toContain('does not offer one that this site accepts');
    for (const html of [none, out]) {
      const rd = 'https%3A%2F%2Fone.example.com%2Freports%3Fyear%3D2026%26x%3D1';
      expect(tagWith(html, `action="/form/logout?rd=${rd}"`)).toContain('method="post"');
      expect(tagWith(html, 'action="/form/logout"')).toContain('method="post"');
    }
  });

  it('tells a fresh proof from a first one', () => {
    expect(readableText(htmlOf('second-factor, again'))).toContain('Please confirm that it is you');
    expect(readableText(htmlOf('password-again'))).toContain('enter your password once more');
    expect(tagWith(htmlOf('password-again'), 'name="username"')).toContain('value="john"');
  });
});

describe('the account', () => {
  it('leads to what can be changed', () => {
    const bare = htmlOf('security', '/sso/');
    expect(tagWith(bare, 'href="/sso/settings/totp"')).toMatch(/^<a /);
    expect(tagWith(bare, 'href="/sso/settings/password"')).toMatch(/^<a /);
    expect(tagWith(bare, 'href="/sso/settings/sessions"')).toMatch(/^<a /);
    expect(bare).not.toContain('settings/recovery-codes');
    const full = htmlOf('security, with everything');
    expect(tagWith(full, 'action="/form/totp/remove"')).toContain('method="post"');
    expect(readableText(full)).toContain('8 codes are left.');
    expect(readableText(htmlOf('security, one code left'))).toContain('1 code is left.');
  });

  it('offers nothing that is switched off', () => {
    const html = htmlOf('security, switched off');
    expect(html).not.toContain('settings/totp');
    expect(html).not.toContain('settings/password');
  });
});

describe('setting up an authenticator', () => {
  it('begins with a post, with choices only where there are any', () => {
    expect(tagWith(htmlOf('totp'), 'action="/form/totp/begin"')).toContain('method="post"');
    expect(htmlOf('totp')).not.toContain('<select');
    expect(htmlOf('totp, choices')).toMatch(/<option value="SHA1" selected>|<option selected value="SHA1">/);
  });

  it('shows the code to scan, named for who cannot see it, and the key for typing', () => {
    const html = htmlOf('totp, QR code');
    expect(tagWith(html, 'class="qr-code"')).toContain('role="img"');
    expect(tagWith(html, 'class="qr-code"')).toContain('aria-label="QR code for an authenticator app"');
    expect(readableText(html)).toContain('JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP');
    expect(html).toContain('action="/form/totp/finish?rd=https%3A%2F%2Fone.example.com');
  });
});

describe('recovery codes', () => {
  it('are shown when they were made, and only then', () => {
    expect(htmlOf('recovery-codes, made').match(/<li><code>/g)).toHaveLength(10);
    expect(htmlOf('recovery-codes, some left')).not.toContain('<li>');
    expect(htmlOf('recovery-codes, no factor')).not.toContain('form/recovery-codes');
  });
});
