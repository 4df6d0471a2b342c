import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { RenderPage } from './page-data.ts';

/**
 * Loads the built renderer (`web/dist/server.js`), the only place that knows where pages come from.
 * Throws when the file is missing or is something else, and says how to build it.
 */
export async function loadRenderer(file: string): Promise<RenderPage> {
  if (!existsSync(file))
    throw new Error(`${file}: the portal is not built; run "npm run build --workspace web"`);
  const module: { render?: unknown } = await import(pathToFileURL(file).href);
  if (typeof module.render !== 'function') {
    throw new Error(`${file}: not the portal's renderer (no "render"); run "npm run build --workspace web"`);
  }
  return module.render as RenderPage;
}
