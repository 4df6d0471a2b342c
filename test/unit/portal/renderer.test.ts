import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadRenderer } from '../../../src/portal/renderer.ts';
import { webDist } from './sample-pages.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-renderer-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('loads the built renderer', async () => {
  expect(await loadRenderer(join(webDist, 'server.js'))).toBeTypeOf('function');
});

it('says how to build it when it is missing', async () => {
  const file = join(folder, 'server.js');
  await expect(loadRenderer(file)).rejects.toThrow(
    `${file}: the portal is not built; run "npm run build --workspace web"`,
  );
});

it('refuses another program', async () => {
  const file = join(folder, 'other.mjs');
  writeFileSync(file, 'export const render = 1;');
  await expect(loadRenderer(file)).rejects.toThrow(`${file}: not the portal's renderer`);
});
