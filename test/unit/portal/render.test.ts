import { beforeAll, describe, expect, it } from 'vitest';
import { loadAssets } from '../../../src/portal/assets.ts';
import type { FormError, PageData, RenderPage } from '../../../src/portal/page-data.ts';
import { loadRenderer } from '../../../src/portal/renderer.ts';
import { dataOf, login, pages, readableText, sessions, tagWith, target, webDist } from './sample-pages.ts';

let render: RenderPage;
beforeAll(async () => {
  render = await loadRenderer(`${webDist}/server.js`);
});

describe('the document', () => {
  it.each(Object.keys(pages))('is complete and has its landmarks: %s', (name) => {
    const page = pages[name];
    if (page === undefined) throw new Error(name);
    const html = render(dataOf(page));
    expect(html.startsWith('<!doctype html>\n<html lang="en" dir="ltr"><head><meta charset="utf-8"')).toBe(
      true,
    );
    expect(html).toContain('<meta name="viewport" content="width=device-width, initial-scale=1"');
    expect(html).toContain('<meta name="color-scheme" content="light dark"');
    expect(html).toContain('<meta name="robots" content="noindex, nofollow"');
    for (const element of ['title', 'header', 'main', 'h1']) {
      expect(html.match(new RegExp(`<${element}[ >]`, 'g'))).toHaveLength(1);
    }
    expect(html).toMatch(/<title>[^<]+ · Sallyport<\/title>/);
    expect(html).not.toMatch(/undefined|\[object|NaN/);
  });

  it.each(Object.keys(pages))('has no script, style or handler of its own: %s', (name) => {
    const page = pages[name];
    if (page === undefined) throw new Error(name);
    const html = render(dataOf(page));
    expect(html).not.toMatch(/<[^>]*\s(style|on[a-z]+)=/i);
    expect(html).not.toMatch(/<style|javascript:|data:/i);
    const scripts = html.match(/<script[^>]*>/g) ?? [];
    expect(scripts).toHaveLength(2);
    expect(scripts[0]).toMatch(/^<script type="module" src="\/static\/portal\.[\w-]{8}\.js">$/);
    expect(scripts[1]).toBe('<script type="application/json" id="page">');
  });

  it('links only to files that are there, below the base', () => {
    const html = render(dataOf(login, { base: '/portal/' }));
    const assets = loadAssets(`${webDist}/assets`);
    const links = [...html.matchAll(/(?:src|href)="\/portal\/(static\/[^"]+)"/g)].map(
      ([, path]) => path ?? '',
    );
    expect(links).toHaveLength(4);
    expect(links.filter((link) => assets.get(link)?.immutable !== true)).toEqual([]);
  });

  it('gives every text that it shows: no key of the catalogue is on any page', () => {
    for (const page of Object.values(pages)) {
      expect(readableText(render(dataOf(page)))).not.toMatch(
        /(login|error|signed-in|second-factor|password-again|security|totp|recovery-codes|logout|account|sessions|problem)\.[a-z]/,
      );
    }
  });

  it('takes language, direction and theme from the data', () => {
    const html = render(dataOf(login, { language: 'ar', direction: 'rtl', theme: 'dark' }));
    expect(html).toContain('<html lang="ar" dir="rtl" data-theme="dark">');
    expect(html).toContain('<meta name="color-scheme" content="dark"');
  });

  it('shows the logo and the icon of the administrator', () => {
    const html = render(
      dataOf(login, { base: '/sso/', logo: 'static/media/logo.12345678.png', icon: 'favicon.ico' }),
    );
    expect(tagWith(html, 'alt')).toContain('src="/sso/static/media/logo.12345678.png"');
    expect(tagWith(html, 'rel="icon"')).toContain('href="/sso/favicon.ico"');
  });

  it('puts a nonce on what is loaded, and keeps it out of the data', () => {
    const html = render(dataOf(login), 'n0nce');
    expect(html.match(/nonce="n0nce"/g)).toHaveLength(2);
    expect(html.slice(html.indexOf('id="page"'))).not.toContain('n0nce');
  });

  it('gives the browser the same data', () => {
    const data = dataOf(login);
    expect(dataBlock(render(data))).toEqual(JSON.parse(JSON.stringify(data)));
  });
});

describe('hostile data', () => {
  const attack = `"'></script><!--<script>alert(1)</script><img src=x onerror=alert(1)>`;

  it.each<[string, PageData]>([
    ['username', dataOf({ ...login, username: attack, error: 'credentials' })],
    ['site', dataOf({ ...login, target: { url: 'https://x.example.com/', site: attack } })],
    [
      'target',
      dataOf({
        page: 'signed-in',
        displayName: 'a',
        username: 'a',
        target: { url: attack, site: 'a' },
        secondFactor: null,
        error: null,
      }),
    ],
    ['action', dataOf({ ...login, action: `/form/login?rd=${attack}` })],
    ['display name', dataOf({ page: 'logout', action: '/', displayName: attack })],
    [
      'request id',
      dataOf({ page: 'problem', status: 503, code: 'internal', requestId: attack, retry: attack }),
    ],
    [
      'texts',
      dataOf(login, {
        texts: {
          'login.submit': attack,
          'login.heading.site': `${attack}{site}`,
          brand: attack,
          title: attack,
        },
      }),
    ],
    ['language', dataOf({ ...login, rememberMe: null }, { language: attack })],
    ['base', dataOf(login, { base: attack })],
  ])('stays text: %s', (_name, data) => {
    const html = render(data);
    expect(html).not.toContain('<img src=x');
    expect(html).not.toContain('<script>');
    expect(html).not.toContain('<!--');
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html.match(/<\/script/g)).toHaveLength(2);
    expect(dataBlock(html)).toEqual(JSON.parse(JSON.stringify(data)));
  });

  it('shows a name that looks like a placeholder as it is', () => {
    const page = { page: 'logout', action: '/form/logout', displayName: '{name}{constructor}' } as const;
    expect(readableText(render(dataOf(page)))).toContain('Signed in as {name}{constructor}');
  });

  it('never looks texts up on the prototype', () => {
    const html = render(
      dataOf(login, {
        texts: { 'login.submit': '{constructor} {toString}', 'login.heading.site': '{__proto__}' },
      }),
    );
    expect(readableText(html)).toContain('{constructor} {toString}');
    expect(readableText(html)).toContain('{__proto__}');
  });
});

describe('login', () => {
  it('is a form that works without script', () => {
    const html = render(dataOf(login));
    expect(tagWith(html, 'method="post"')).toContain(`action="${login.action.replaceAll('&', '&amp;')}"`);
    expect(tagWith(html, 'method="post"')).not.toContain('novalidate');
    const username = tagWith(html, 'name="username"');
    for (const part of [
      'id="username"',
      'autocomplete="username"',
      'autocapitalize="none"',
      'spellcheck="false"',
      'required',
      'autofocus',
    ]) {
      expect(username).toContain(part);
    }
    const password = tagWith(html, 'name="password"');
    for (const part of ['id="password"', 'type="password"', 'autocomplete="current-password"', 'required'])
      expect(password).toContain(part);
    expect(password).not.toMatch(/autofocus|value=/);
    expect(html).toContain('<label for="username">Username</label>');
    expect(html).toContain('<label for="password">Password</label>');
    expect(html).not.toContain('placeholder');
    expect(html).toMatch(/<button type="submit"[^>]*>Sign in<\/button>/);
    expect(html).not.toContain('class="toggle"');
  });

  it('says where one signs in to', () => {
    const html = render(dataOf(login));
    expect(html).toContain(
      '<h1>Sign in to continue to <strong class="emphasis"><bdi>one<wbr/>.example<wbr/>.com</bdi></strong></h1>',
    );
    expect(render(dataOf({ ...login, target: null }))).toContain('<h1>Sign in</h1>');
  });

  it('tells that a refused target leads nowhere', () => {
    const html = render(dataOf({ ...login, target: null, targetRefused: true }));
    expect(readableText(html)).toContain(
      'is not part of this installation. After signing in you will stay here.',
    );
    expect(readableText(render(dataOf(login)))).not.toContain('not part of this installation');
  });

  it.each([
    [2_592_000, 'for 30 days'],
    [86_400, 'for 1 day'],
    [3600, 'for 1 hour'],
    [129_600, 'for 36 hours'],
    [5400, 'for 90 minutes'],
    [60, 'for 1 minute'],
    [1, 'for 1 minute'],
  ])('says how long %d seconds are', (rememberMe, words) => {
    const html = render(dataOf({ ...login, rememberMe }));
    expect(tagWith(html, 'name="remember"')).toContain('value="on"');
    expect(readableText(html)).toContain(`Keep me signed in ${words} `.trimEnd());
  });

  it('offers no remembering where it is switched off', () => {
    expect(render(dataOf({ ...login, rememberMe: null }))).not.toContain('name="remember"');
  });

  it('chooses the plural by the rules of the language', () => {
    const texts = {
      'login.remember.days_few': '{count} dni (few)',
      'login.remember.days_other': '{count} dnia (other)',
    };
    const html = render(dataOf({ ...login, rememberMe: 3 * 86_400 }, { language: 'pl', texts }));
    expect(readableText(html)).toContain('3 dni (few)');
    expect(readableText(render(dataOf(login, { language: 'pl', texts })))).toContain('30 dnia (other)');
  });

  it('puts a refusal at the form, and the focus on the password', () => {
    const html = render(dataOf({ ...login, username: 'john', error: 'credentials' }));
    expect(html).toContain('<title>Error: Sign in · Sallyport</title>');
    expect(tagWith(html, 'id="form-error"')).toContain('aria-live=');
    expect(readableText(html)).toContain('The username or the password is not right.');
    expect(tagWith(html, 'name="username"')).toContain('value="john"');
    const password = tagWith(html, 'name="password"');
    for (const part of ['autofocus', 'aria-invalid="true"', 'aria-describedby="form-error"'])
      expect(password).toContain(part);
  });

  it('says at each field that it is empty', () => {
    const html = render(dataOf({ ...login, error: 'missing' }));
    for (const field of ['username', 'password']) {
      expect(tagWith(html, `name="${field}"`)).toContain(`aria-describedby="${field}-missing"`);
      expect(html).toContain(`<p class="field-error" id="${field}-missing">Enter your ${field}.</p>`);
    }
  });

  it.each<FormError>(['unavailable', 'busy', 'forbidden', 'expired'])('blames no field for %s', (error) => {
    const data = dataOf({ ...login, username: 'john', error });
    const html = render(data);
    expect(readableText(html)).toContain(data.texts[`error.${error}`]);
    expect(html).not.toContain('aria-invalid');
    expect(readableText(html)).toContain('Try again');
  });
});

describe('the other pages', () => {
  it('signed in: who, where to, and the way out', () => {
    const html = render(
      dataOf(
        {
          page: 'signed-in',
          displayName: 'John Doe',
          username: 'john',
          target,
          secondFactor: null,
          error: null,
        },
        { base: '/sso/' },
      ),
    );
    expect(readableText(html)).toContain('Signed in as John Doe');
    expect(tagWith(html, `href="${target.url.replace('&', '&amp;')}"`)).toMatch(/^<a /);
    expect(readableText(html)).toContain('Continue to one.example.com');
    expect(tagWith(html, 'action="/sso/form/logout"')).toContain('method="post"');
  });

  it('signed in: falls back to the username', () => {
    const html = render(
      dataOf({
        page: 'signed-in',
        displayName: '',
        username: 'john',
        target: null,
        secondFactor: null,
        error: null,
      }),
    );
    expect(readableText(html)).toContain('Signed in as john');
    expect(readableText(html)).not.toContain('Continue to');
  });

  it('signed in: leads to the account', () => {
    const page = {
      page: 'signed-in',
      displayName: '',
      username: 'john',
      target: null,
      secondFactor: null,
      error: null,
    } as const;
    expect(tagWith(render(dataOf(page, { base: '/sso/' })), 'href="/sso/settings/security"')).toMatch(/^<a /);
  });

  it('sign in again: leads over signing out', () => {
    const page = { page: 'problem', status: 403, code: 'sign-in-again', requestId: '' } as const;
    const html = render(dataOf(page, { base: '/sso/' }));
    expect(html).toContain('<h1>Please sign in again</h1>');
    expect(tagWith(html, 'action="/sso/form/logout"')).toContain('method="post"');
  });

  it('logout: asks, and posts to its action', () => {
    const html = render(dataOf({ page: 'logout', action: '/form/logout?rd=x', displayName: 'John Doe' }));
    expect(html).toContain('<h1>Sign out?</h1>');
    expect(tagWith(html, 'action="/form/logout?rd=x"')).toContain('method="post"');
    expect(tagWith(html, 'href="/"')).toMatch(/^<a /);
  });

  it.each([
    ['unavailable', 503, 'Try again', '/?rd=1'],
    ['internal', 500, 'Try again', '/?rd=1'],
    ['not-found', 404, 'Go to the start page', '/'],
    ['bad-request', 400, 'Go to the start page', '/'],
    ['forbidden', 403, 'Go to the start page', '/'],
  ] as const)('problem %s: what, the reference, and what to do', (code, status, action, href) => {
    const data = dataOf({ page: 'problem', status, code, requestId: 'req-42', retry: '/?rd=1' });
    const html = render(data);
    expect(html).toContain(`<h1>${data.texts[`problem.${code}`]}</h1>`);
    expect(html).toContain('<code>req-42</code>');
    expect(readableText(html)).toContain(String(status));
    expect(tagWith(html, `href="${href}"`, 'class="button')).toMatch(/^<a /);
    expect(readableText(html)).toContain(action);
  });

  it('problem: retries the start page by default, and shows no empty reference', () => {
    const html = render(
      dataOf({ page: 'problem', status: 503, code: 'unavailable', requestId: '' }, { base: '/sso/' }),
    );
    expect(tagWith(html, 'href="/sso/"')).toMatch(/^<a /);
    expect(html).not.toContain('<code>');
  });
});

describe('sessions', () => {
  it('have a button each, named after its device', () => {
    const html = render(dataOf(sessions, { base: '/sso/' }));
    expect(html.match(/action="\/sso\/form\/sessions\/end"/g)).toHaveLength(3);
    for (const { id } of sessions.sessions) {
      expect(tagWith(html, 'name="id"', `value="${id}"`)).toContain('type="hidden"');
      expect(tagWith(html, `id="end-${id}"`)).toContain(`aria-labelledby="end-${id} device-${id}"`);
      expect(tagWith(html, `id="device-${id}"`)).toMatch(/^<h2/);
    }
    const text = readableText(html);
    for (const name of ['Firefox on Linux', 'Safari on iPhone', 'Unknown device'])
      expect(text).toContain(name);
    expect(text.match(/This browser/g)).toHaveLength(1);
    expect(tagWith(html, 'action="/sso/form/sessions/end-others"')).toContain('method="post"');
  });

  it('tell times as a distance and in UTC, as far as the server knows', () => {
    const text = readableText(render(dataOf(sessions)));
    for (const part of [
      'Activenow Jan 15, 2027, 11:59 AM UTC',
      'Signed in2 hours ago Jan 15, 2027, 10:00 AM UTC',
      'Activeyesterday ',
      'Signed in3 days ago ',
      'Signed inlast year Dec 11, 2025, 12:00 PM UTC',
      'Active1 minute ago ',
    ])
      expect(text.replaceAll('\u202f', ' ')).toContain(part);
  });

  it('tell times in the language of the page', () => {
    const html = render(dataOf(sessions, { language: 'de' }));
    expect(html).toContain('vor 2 Stunden <span class="exact">15. Jan. 2027, 10:00 UTC</span>');
  });

  it('alone leave nobody else to sign out; what was done or failed is said', () => {
    const [own] = sessions.sessions;
    if (!own) throw new Error('no session');
    const alone = render(dataOf({ ...sessions, sessions: [own], done: 'others' }));
    expect(readableText(alone)).toContain('You are signed out everywhere else.');
    expect(tagWith(alone, 'action="/form/sessions/end-others"')).toBe('');
    const gone = render(dataOf({ ...sessions, done: 'one', error: 'gone' }));
    expect(readableText(gone)).toContain('That session had ended already.');
    expect(readableText(gone)).not.toContain('has ended.');
    expect(gone).toContain('<title>Error: ');
  });
});

function dataBlock(html: string): unknown {
  const start = '<script type="application/json" id="page">';
  const from = html.indexOf(start) + start.length;
  return JSON.parse(html.slice(from, html.indexOf('</script>', from)));
}
