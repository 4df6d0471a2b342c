import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { parseTotpSecret, totpCode, totpStep } from '../../src/factors/totp.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { judge, missing, openStage, type Stage } from './stage.ts';

const VAULT = 'https://app1.example.com/vault/report?year=2026&text=a%26b+c%2Bd';
const AUTH = 'https://auth.example.com';
const PASSWORD = 'pw-john-Correct1';

/** The code of the present step, or of one after it: each is good once. */
function codeOf(secret: string, offset: number): string {
  const key = { algorithm: 'SHA1', digits: 6, period: 30, secret: parseTotpSecret(secret) } as const;
  return totpCode(key, totpStep(key, Date.now()) + offset);
}

describe.skipIf(missing.length > 0 && !mustBeComplete)('a second factor in Chromium', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage?.close());
  afterEach(() => stage.closePages());

  /** The code out of the mail to this person. */
  const mailedCode = (name: string): Promise<string> =>
    eventually('a mail with a code', 10_000, async () => {
      const mail = await stage.lastMail();
      return mail?.includes(`${name}@example.com`) ? /^[A-Z0-9]{8}\r?$/m.exec(mail)?.[0].trim() : undefined;
    });

  /** From the closed vault through sign-in, elevation and QR code into it. `look` is called with each page on the way. */
  async function enrol(page: Page, name: string, look: (what: string) => Promise<void>): Promise<void> {
    await page.goto(VAULT);
    await page.getByLabel('Username').fill(name);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'A second factor is needed' }).waitFor();
    await look('none yet');
    await page.getByRole('link', { name: 'Set up an authenticator app' }).click();
    await page.getByRole('button', { name: /^Send a code to/ }).click();
    await page.getByLabel('Code from the mail').waitFor();
    await look('elevation');
    await page.getByLabel('Code from the mail').fill(await mailedCode(name));
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByRole('button', { name: 'Show the QR code' }).click();
    await page.getByRole('img', { name: 'QR code for an authenticator app' }).waitFor();
    await page.getByText('No camera?').click();
    await look('QR code');
    const secret = await page.locator('code.secret').innerText();
    await page.getByLabel('Code', { exact: true }).fill('000000');
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByText('That code does not work').waitFor();
    await page.getByLabel('Code', { exact: true }).fill(codeOf(secret, 0));
    await page.getByRole('button', { name: 'Confirm' }).click();
    await page.getByLabel('Code from your authenticator app').waitFor();
    await look('code');
    await page.getByLabel('Code from your authenticator app').fill(codeOf(secret, 1));
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.waitForURL(VAULT);
  }

  test.each([
    ['with script', true, 'ann'],
    ['without script', false, 'ben'],
  ])(
    'from a closed site over the QR code into it, and recovery codes: %s',
    async (_name, javaScriptEnabled, name) => {
      const { page, complaints } = await stage.open({ javaScriptEnabled });
      await enrol(page, name, () => Promise.resolve());
      await page.goto(`${AUTH}/settings/security`);
      await page.getByRole('link', { name: 'Make recovery codes' }).click();
      await page.getByRole('button', { name: 'Make recovery codes' }).click();
      const codes = await page.getByRole('listitem').allInnerTexts();
      expect(codes).toHaveLength(10);
      await page.getByRole('link', { name: 'I have kept them' }).click();
      await page.getByText('10 codes are left.').waitFor();

      // Signed in once more, with one of them instead of the app.
      await page.context().clearCookies();
      await page.goto(VAULT);
      await page.getByLabel('Username').fill(name);
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('link', { name: 'Use a recovery code' }).click();
      await page.getByLabel('Recovery code').fill(codes[3] ?? '');
      await page.getByRole('button', { name: 'Continue' }).click();
      await page.waitForURL(VAULT);

      await page.goto(`${AUTH}/settings/security`);
      await page.getByText('Remove', { exact: true }).click();
      await page.getByRole('button', { name: 'Remove the authenticator app' }).click();
      await page
        .getByLabel(/^Code from the mail$/)
        .or(page.getByRole('button', { name: /^Send a code/ }))
        .first()
        .waitFor();
      expect(complaints, 'nothing is refused by the policy, nothing fails').toEqual([]);
    },
  );

  test('axe finds nothing on the way, and 320 pixels are enough', async () => {
    const { page } = await stage.open({ viewport: { width: 320, height: 640 }, bypassCSP: true });
    const seen: string[] = [];
    const look = async (what: string): Promise<void> => {
      seen.push(what);
      expect(await judge(page), what).toEqual({ violations: [], overflow: 0 });
    };
    await enrol(page, 'cleo', look);
    for (const path of ['/settings/security', '/settings/totp', '/settings/recovery-codes']) {
      await page.goto(`${AUTH}${path}`);
      expect(new URL(page.url()).pathname).toBe(path);
      await look(path);
    }
    expect(seen).toHaveLength(7);
  });
});
