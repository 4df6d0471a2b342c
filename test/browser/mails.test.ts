import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openMailTemplates } from '../../src/notifier/mail-templates.ts';
import { announce } from '../support/announce.ts';
import { findProgram, mustBeComplete } from '../support/environment.ts';
import { everyMail, jane } from '../unit/notifier/fakes.ts';

/** Our mails as a mail program on a telephone shows them. */

const program = findProgram('chromium');
if (program === undefined)
  announce('mails are not looked at without chromium: run scripts/install-test-servers');

const { html } = openMailTemplates(undefined, {
  onFault(fault) {
    throw fault;
  },
});
const longNames = {
  ...jane,
  to: { name: 'Donaudampfschifffahrtsgesellschaftskapitän', address: 'donaudampfschiff@example.com' },
  domain: 'authentication-and-authorization.a-rather-long-name.example.com',
  ip: '2001:db8:1234:5678:9abc:def0:1234:5678',
};

describe.skipIf(program === undefined && !mustBeComplete)('in Chromium', () => {
  let browser: Browser;
  const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  beforeAll(async () => {
    if (program === undefined) throw new Error('chromium is missing');
    browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'] });
  });
  afterAll(() => browser?.close());

  // Each part of the layout stands in one of these.
  const { passwordReset, elevationCode, factorAdded } = everyMail(longNames);
  const notices = { passwordReset, elevationCode, factorAdded };

  test.each(
    Object.entries(notices).flatMap(([kind, notice]) =>
      (['light', 'dark'] as const).map((colorScheme) => ({ kind, notice, colorScheme })),
    ),
  )(
    '$kind fits 320 pixels, loads nothing, and axe finds nothing: $colorScheme',
    async ({ notice, colorScheme }) => {
      const page = await browser.newPage({ viewport: { width: 320, height: 640 }, colorScheme });
      const loaded: string[] = [];
      page.on('request', (request) => loaded.push(request.url()));
      await page.setContent(html(notice));
      expect(loaded).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
      await page.evaluate(await axe);
      const found = await page.evaluate(async () => {
        const { axe: tool } = globalThis as unknown as {
          axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
        };
        // A mail stands within the page of a mail program, which has the landmarks.
        const { violations } = await tool.run({
          rules: { region: { enabled: false }, 'landmark-one-main': { enabled: false } },
        });
        return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
      });
      expect(found).toEqual([]);
      await page.close();
    },
  );
});
