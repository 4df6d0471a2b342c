/**
 * Builds the portal into `dist/`: twice with Vite, because the browser and the server need different programs.
 *
 *   dist/assets/      what is served under `static/`: names with a hash (`name.<8 characters>.ext`) never change their
 *                     content; each file stands there compressed as well (`.br`, `.gz`)
 *   dist/server.js    renders a page (`render`), self-contained, and knows the hashed names
 *   dist/locales/     the texts, one folder per language
 *
 * The same sources give the same bytes.
 */
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'vite';

const root = dirname(fileURLToPath(import.meta.url));
const compressible = new Set(['.css', '.js', '.svg', '.txt', '.json', '.ico']);

/** @type {import('vite').InlineConfig} */
const common = {
  root,
  configFile: false,
  envDir: false,
  mode: 'production',
  base: './',
  logLevel: 'warn',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
};

/** Copies `src/logo.svg` under a hashed name, as it is both the mark on the page and the icon of the tab. */
const logo = {
  name: 'sallyport-logo',
  async buildStart() {
    this.emitFile({ type: 'asset', name: 'logo.svg', source: await readFile(join(root, 'src/logo.svg')) });
  },
};

/** Builds everything and returns the names below `static/` that the pages link to. */
export async function buildPortal() {
  const work = join(root, `.cache/build-${process.pid}`);
  const { output } = await build({
    ...common,
    plugins: [logo],
    build: {
      outDir: join(work, 'assets'),
      assetsInlineLimit: 0,
      modulePreload: false,
      rolldownOptions: {
        input: { portal: 'src/browser.tsx', style: 'src/portal.css' },
        output: {
          entryFileNames: '[name].[hash:8].js',
          chunkFileNames: '[name].[hash:8].js',
          assetFileNames: '[name].[hash:8][extname]',
        },
      },
    },
  });
  const named = (extension) =>
    output.find((file) => extname(file.fileName) === extension && !file.isDynamicEntry)?.fileName;
  const assets = { script: named('.js'), style: named('.css'), logo: named('.svg') };

  await build({
    ...common,
    publicDir: false,
    define: { ASSETS: JSON.stringify(assets) },
    ssr: { noExternal: true },
    build: {
      ssr: 'src/server.tsx',
      outDir: work,
      emptyOutDir: false,
      minify: false,
      rolldownOptions: { output: { entryFileNames: 'server.js' } },
    },
  });
  await cp(join(root, 'src/locales'), join(work, 'locales'), { recursive: true });
  await compress(join(work, 'assets'));
  await replace(join(root, 'dist'), work);
  return assets;
}

/** At once, so that nobody sees half a build; two builds at a time do no harm. */
async function replace(directory, by) {
  for (;;) {
    await rm(directory, { recursive: true, force: true });
    try {
      await rename(by, directory);
      return;
    } catch (error) {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    }
  }
}

async function compress(directory) {
  const names = await readdir(directory);
  await Promise.all(
    names
      .filter((name) => compressible.has(extname(name)))
      .map(async (name) => {
        const body = await readFile(join(directory, name));
        const brotli = brotliCompressSync(body, {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
            [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
          },
        });
        const gzip = gzipSync(body, { level: constants.Z_BEST_COMPRESSION });
        if (brotli.length < body.length) await writeFile(join(directory, `${name}.br`), brotli);
        if (gzip.length < body.length) await writeFile(join(directory, `${name}.gz`), gzip);
      }),
  );
}

if (import.meta.main) await buildPortal();
