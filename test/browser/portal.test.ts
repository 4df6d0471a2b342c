import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { mustBeComplete } from '../support/environment.ts';
import { judge, missing, openStage, type Stage } from './stage.ts';

const APP1 = 'https://app1.example.com';
const APP2 = 'https://app2.example.com';
const AUTH = 'https://auth.example.com';
const PASSWORD = 'pw-john-Correct1';

async function signIn(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel('Username').fill('john');
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

describe.skipIf(missing.length > 0 && !mustBeComplete)('in Chromium', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage?.close());
  afterEach(() => stage.closePages());
  const open: Stage['open'] = (options) => stage.open(options);

  const arrivedAs = async (page: Page): Promise<string> => await page.locator('body').innerText();

  test.each([
    ['with script', true],
    ['without script', false],
  ])(
    'from the page to the portal and back, to a second site, and out again: %s',
    async (_name, javaScriptEnabled) => {
      const { page, complaints } = await open({ javaScriptEnabled });
      const wanted = `${APP1}/private/report?year=2026&text=a%26b+c%2Bd`;

      await page.goto(wanted);
      expect(new URL(page.url()).origin).toBe(AUTH);
      expect(await page.getByRole('heading', { level: 1 }).innerText()).toContain('app1.example.com');

      await signIn(page, 'not the password');
      await page.getByText('is not right').first().waitFor();
      await signIn(page);
      await page.waitForURL(wanted);
      expect(await arrivedAs(page)).toContain('"john"');

      await page.goto(`${APP2}/private/`);
      expect(page.url(), 'no second sign-in').toBe(`${APP2}/private/`);

      await page.goto(`${AUTH}/logout`);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByLabel('Username').waitFor();
      for (const closed of [`${APP1}/`, `${APP2}/private/`]) {
        await page.goto(closed);
        expect(new URL(page.url()).origin, closed).toBe(AUTH);
      }
      expect(complaints, 'nothing is refused by the policy, nothing fails').toEqual([]);
    },
  );

  test.each([
    ['with script', true],
    ['without script', false],
  ])('one browser ends the session of another: %s', async (_name, javaScriptEnabled) => {
    const { page, complaints } = await open({ javaScriptEnabled, timezoneId: 'Asia/Tokyo' });
    const { page: other } = await open({ javaScriptEnabled, userAgent: 'Elsewhere/1.0' });
    for (const one of [page, other]) {
      await one.goto(`${AUTH}/`);
      await signIn(one);
      await one.getByRole('heading', { name: 'You are signed in' }).waitFor();
    }
    await page.getByRole('link', { name: 'Your account' }).click();
    await page.getByRole('link', { name: 'Where you are signed in' }).click();
    const entries = page.getByRole('listitem');
    const elsewhere = entries.filter({ hasText: 'Elsewhere' });
    expect(await entries.first().innerText()).toContain('This browser');
    // The visitor's own time zone where there is script to know it.
    await expect.poll(async () => /UTC/.test(await elsewhere.innerText())).toBe(!javaScriptEnabled);
    await elsewhere.getByRole('button', { name: 'End session Elsewhere' }).click();
    await page.getByText('That session has ended.').waitFor();
    expect(await elsewhere.count()).toBe(0);
    await other.goto(`${APP1}/`);
    expect(new URL(other.url()).origin).toBe(AUTH);
    await page.goto(`${APP1}/`);
    expect(await arrivedAs(page)).toContain('"john"');

    // The browser keeps the second cookie to the portal; without it nothing is changed.
    const cookies = await page.context().cookies();
    expect(cookies.filter(({ name }) => name.startsWith('__Host-'))).toMatchObject([
      { domain: 'auth.example.com', path: '/', secure: true, httpOnly: true, sameSite: 'Strict' },
    ]);
    await page.context().clearCookies({ name: /^__Host-/ });
    await page.goto(`${AUTH}/settings/sessions`);
    await page
      .getByRole('button', { name: /^Sign out/ })
      .first()
      .click();
    await page.getByRole('button', { name: 'Sign in again' }).click();
    await page.getByLabel('Username').waitFor();
    expect(complaints.filter((text) => !text.includes('403'))).toEqual([]);
  });

  test('by keyboard alone', async () => {
    const { page } = await open();
    await page.goto(`${APP1}/keys`);
    await page.keyboard.type('john');
    await page.keyboard.press('Tab');
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${APP1}/keys`);
    expect(await arrivedAs(page)).toContain('"john"');
  });

  test('a link to a foreign site leads nowhere, and the page says so', async () => {
    const { page } = await open();
    await page.goto(`${AUTH}/?rd=${encodeURIComponent('https://evil.example.net/')}`);
    expect(await page.locator('body').innerText()).toContain('not part of this installation');
    await signIn(page);
    await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
    expect(new URL(page.url()).origin).toBe(AUTH);
  });

  test('two targets in one link are none', async () => {
    const { page } = await open();
    const rd = encodeURIComponent(`${APP1}/`);
    await page.goto(`${AUTH}/?rd=${rd}&rd=${encodeURIComponent('https://evil.example.net/')}`);
    await signIn(page);
    await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
    expect(new URL(page.url()).origin).toBe(AUTH);
  });

  test('the first visit takes at most 5 requests and 35 KB, the second one request', async () => {
    const { page } = await open();
    const client = await page.context().newCDPSession(page);
    await client.send('Network.enable');
    let bytes = 0;
    let requests = 0;
    const kept = new Set<string>();
    client.on('Network.requestServedFromCache', ({ requestId }) => kept.add(requestId));
    client.on('Network.responseReceived', ({ requestId, response }) => {
      if (!response.fromDiskCache && !kept.has(requestId)) requests++;
    });
    client.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
    await page.goto(`${AUTH}/`, { waitUntil: 'networkidle' });
    expect(requests).toBeLessThanOrEqual(5);
    expect(bytes).toBeGreaterThan(1000);
    expect(bytes).toBeLessThanOrEqual(35_000);
    requests = 0;
    await page.goto(`${AUTH}/`, { waitUntil: 'networkidle' });
    expect(requests).toBe(1);
  });

  const schemes = ['light', 'dark'] as const;
  const paths = [
    '/',
    `/?rd=${encodeURIComponent(APP1)}%2F&error=credentials`,
    '/nothing-here',
    '/settings/sessions?done=one',
    '/settings/security',
  ];

  test.each(schemes.flatMap((colorScheme) => paths.map((path) => [colorScheme, path] as const)))(
    'axe finds nothing, and 320 pixels are enough: %s %s',
    async (colorScheme, path) => {
      const { page } = await open({ colorScheme, viewport: { width: 320, height: 640 }, bypassCSP: true });
      if (path.startsWith('/settings/')) {
        await page.goto(`${AUTH}/`);
        await signIn(page);
        await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
      }
      await page.goto(`${AUTH}${path}`);
      expect(await judge(page)).toEqual({ violations: [], overflow: 0 });
    },
  );
});
