import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { judge, missing, openStage, type Stage } from './stage.ts';

/** A person who has forgotten his password, in Chromium. */

const AUTH = 'https://auth.example.com';

async function signIn(page: Page, password: string): Promise<void> {
  await page.goto(`${AUTH}/`);
  await page.getByLabel('Username').fill('zoe');
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'You are signed in' }).waitFor();
}

describe.skipIf(missing.length > 0 && !mustBeComplete)('in Chromium', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage?.close());
  afterEach(() => stage.closePages());

  test.each([
    ['with script', true],
    ['without script', false],
  ])(
    'a forgotten password is replaced by a mailed link, and changed again: %s',
    async (name, javaScriptEnabled) => {
      const { page, complaints } = await stage.open({ javaScriptEnabled });
      await page.goto(`${AUTH}/`);
      await page.getByRole('link', { name: 'I have forgotten my password' }).click();
      await page.getByLabel('Username').fill('zoe');
      await page.getByRole('button', { name: 'Send the link' }).click();
      await page.getByRole('heading', { name: 'Look into your mail' }).waitFor();
      const link = await eventually('a link in the mail', 5000, async () =>
        /https:\/\/auth\.example\.com\/reset-password\/step2\?token=[\w-]+/
          .exec((await stage.lastMail()) ?? '')
          ?.at(0),
      );

      await page.goto(link);
      await page.getByLabel('New password').fill(`mailed ${name}`);
      await page.getByRole('button', { name: 'Save new password' }).click();
      await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();
      await page.goto(link);
      await page.getByRole('heading', { name: 'This link cannot be used any more' }).waitFor();

      await signIn(page, `mailed ${name}`);
      await page.goto(`${AUTH}/settings/password`);
      await page.getByRole('button', { name: 'Send a code to' }).click();
      await page.getByText('A code is on its way to').waitFor();
      const code = /^([A-Z2-9]{8})\r?$/m.exec((await stage.lastMail()) ?? '')?.[1] ?? '';
      await page.getByLabel('Code from the mail').fill(code.toLowerCase());
      await page.getByRole('button', { name: 'Confirm' }).click();
      await page.getByLabel('Current password').fill('not the password');
      await page.getByLabel('New password').fill(`changed ${name}`);
      await page.getByRole('button', { name: 'Save new password' }).click();
      await page.getByText('The current password is not right.').waitFor();
      await page.getByLabel('Current password').fill(`mailed ${name}`);
      await page.getByLabel('New password').fill(`changed ${name}`);
      await page.getByRole('button', { name: 'Save new password' }).click();
      await page.getByRole('heading', { name: 'Your password is changed' }).waitFor();

      const { page: other } = await stage.open({ javaScriptEnabled });
      await signIn(other, `changed ${name}`);
      expect(complaints, 'nothing is refused by the policy, nothing fails').toEqual([]);
    },
  );

  test.each([
    ['light', '/reset-password/step1'],
    ['dark', '/reset-password/step1?error=missing'],
    ['light', '/reset-password/step2?token=unknown'],
    ['dark', '/revoke/reset-password?token=some'],
  ] as const)('axe finds nothing, and 320 pixels are enough: %s %s', async (colorScheme, path) => {
    const { page } = await stage.open({
      colorScheme,
      viewport: { width: 320, height: 640 },
      bypassCSP: true,
    });
    await page.goto(`${AUTH}${path}`);
    expect(await judge(page)).toEqual({ violations: [], overflow: 0 });
  });
});
