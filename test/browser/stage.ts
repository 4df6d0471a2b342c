import { hash, X509Certificate } from 'node:crypto';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';

import { shipped } from '../proxies/proxy.ts';
import { openSite } from '../proxies/site.ts';
import { announce } from '../support/announce.ts';
import { findProgram } from '../support/environment.ts';
import { startGatewayProcess } from '../support/gateway-process.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { createTestCertificate } from '../support/test-authority.ts';

/** A person with Chromium, behind nginx with our files. Names resolve inside the browser to the proxy's port. */
export interface Stage {
  /** A new browser of somebody. What its console complains about is kept: what the policy refuses, what fails. */
  open(
    options?: Parameters<Browser['newContext']>[0],
  ): Promise<{ readonly page: Page; readonly complaints: readonly string[] }>;
  /** The last mail that the gateway sent, or undefined. */
  lastMail(): Promise<string | undefined>;
  /** Closes the browsers that were opened. */
  closePages(): Promise<void>;
  close(): Promise<void>;
}

const nginx = shipped.find(({ name }) => name === 'nginx');
const program = findProgram('chromium');
/** Programs that the tests need and that are not here. */
export const missing = [...(program ? [] : ['chromium']), ...(nginx?.find() ? [] : ['nginx'])];
if (missing.length > 0)
  announce(`browser tests need ${missing.join(' and ')}: run scripts/install-test-servers`);

const FLAGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';

export async function openStage(): Promise<Stage> {
  if (!nginx || !program) throw new Error(`${missing.join(' and ')} missing`);
  const folder = await temporaryFolder('browser');
  const certificate = await createTestCertificate(folder.path, ['*.example.com']);
  const gateway = await startGatewayProcess(join(import.meta.dirname, '../proxies/fixtures'), folder.path);
  const site = await openSite(nginx, gateway.port, certificate);
  const { httpsPort } = site.proxy;
  // Trusted by its key: with plain "ignore certificate errors" Chromium keeps no cache.
  const { publicKey } = new X509Certificate(await readFile(certificate.certificateFile));
  const key = hash('sha256', publicKey.export({ type: 'spki', format: 'der' }), 'base64');
  const resolve = ['app1', 'app2', 'auth'].map(
    (name) => `MAP ${name}.example.com:443 127.0.0.1:${httpsPort}`,
  );
  const browser = await chromium.launch({
    executablePath: program,
    args: [
      ...FLAGS.split(' '),
      `--host-resolver-rules=${resolve.join(',')}`,
      `--ignore-certificate-errors-spki-list=${key}`,
    ],
  });
  const contexts: BrowserContext[] = [];
  const closePages = async (): Promise<void> => {
    for (const context of contexts.splice(0)) await context.close();
  };

  return {
    async open(options = {}) {
      const context = await browser.newContext(options);
      contexts.push(context);
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        // A refused password is a 401, which Chromium reports by itself.
        if (message.type() === 'error' && !message.text().includes('401')) complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      return { page, complaints };
    },
    lastMail: () =>
      readFile(join(folder.path, `gateway-${gateway.port}`, 'notification.txt'), 'utf8').catch(
        () => undefined,
      ),
    closePages,
    async close() {
      await closePages();
      await browser.close();
      await site.close();
      await gateway.stop();
      await folder.remove();
    },
  };
}

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds on a page that was opened with `bypassCSP`, and how far it is wider than its window. */
export async function judge(page: Page): Promise<{ violations: unknown[]; overflow: unknown }> {
  await page.evaluate(await axe);
  const violations = await page.evaluate(async () => {
    const { axe: tool } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    return (await tool.run()).violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
  });
  const overflow = await page.evaluate('Math.max(0, document.documentElement.scrollWidth - innerWidth)');
  return { violations, overflow };
}
