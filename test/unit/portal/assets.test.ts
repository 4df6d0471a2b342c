import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { brandingOf, jsonAsset, loadAssets } from '../../../src/portal/assets.ts';
import { webDist } from './sample-pages.ts';

const folder = mkdtempSync(join(tmpdir(), 'sallyport-assets-'));
afterAll(() => rmSync(folder, { recursive: true }));
const built = join(webDist, 'assets');

describe('the built assets', () => {
  const assets = loadAssets(built);
  const paths = [...assets.keys()];

  it('are the script with its later parts, the style, the logo, the icon and robots.txt', () => {
    expect(paths.map((path) => path.replace(/\.[\w-]{8}\./, '.*.')).sort()).toEqual([
      'favicon.ico',
      'robots.txt',
      'static/favicon.ico',
      'static/logo.*.svg',
      'static/moment.*.js',
      'static/password-field.*.js',
      'static/password.*.js',
      'static/portal.*.js',
      'static/reset.*.js',
      'static/robots.txt',
      'static/security.*.js',
      'static/sessions.*.js',
      'static/style.*.css',
    ]);
  });

  it('have types, tags and the same bytes in every coding', () => {
    for (const [path, asset] of assets) {
      expect(asset.path).toBe(path);
      expect(asset.type).not.toBe('');
      expect(asset.etag).toMatch(/^"[\w-]{22}"$/);
      expect(asset.body.length).toBeGreaterThan(0);
      const { body, br = brotliCompressSync(body), gzip = gzipSync(body) } = asset;
      expect([brotliDecompressSync(br).equals(body), gunzipSync(gzip).equals(body)]).toEqual([true, true]);
      expect([path, asset.immutable]).toEqual([path, /\.[\w-]{8}\.(js|css|svg)$/.test(path)]);
    }
  });

  it('stay within the budget of a first visit', () => {
    const fetched = paths
      .filter((path) => /\/(portal|style|logo)\./.test(path))
      .map((path) => assets.get(path));
    const bytes = fetched.reduce((sum, asset) => sum + (asset?.gzip?.length ?? Infinity), 0);
    expect(fetched).toHaveLength(3);
    expect(bytes).toBeLessThan(15_000);
  });

  it('hold no inline data that the policy would block', () => {
    const texts = [...assets.values()].filter(({ type }) => /^text\/(css|javascript)/.test(type));
    expect(texts.length).toBeGreaterThanOrEqual(2);
    for (const { body } of texts) {
      expect(body.toString()).not.toMatch(/url\(|innerHTML\s*=\s*["'`]|\beval\(|new Function/);
    }
  });

  it('are found by their name only', () => {
    for (const path of [
      'static/../server.js',
      'static/portal.js',
      'static/',
      '',
      '__proto__',
      'static/favicon.ico/',
    ]) {
      expect(assets.get(path)).toBeUndefined();
    }
  });

  it('have no branding of their own', () => {
    expect(brandingOf(assets)).toEqual({});
  });
});

describe('overrides of server.asset_path', () => {
  const own = join(folder, 'own');
  mkdirSync(own);
  writeFileSync(join(own, 'favicon.ico'), 'my icon');
  writeFileSync(join(own, 'logo.png'), 'my logo');
  writeFileSync(join(own, 'portal.js'), 'not asked for');
  const assets = loadAssets(built, own);

  it('replace the icon everywhere, without the compressed forms of ours', () => {
    for (const path of ['favicon.ico', 'static/favicon.ico']) {
      expect(assets.get(path)?.body.toString()).toBe('my icon');
      expect(assets.get(path)).not.toHaveProperty('br');
      expect(assets.get(path)?.immutable).toBe(false);
    }
  });

  it('serve the logo where it has always been, and under a name for ever', () => {
    expect(assets.get('static/media/logo.png')).toMatchObject({ type: 'image/png', immutable: false });
    const branding = brandingOf(assets);
    expect(branding.logo).toMatch(/^static\/media\/logo\.[\w-]{8}\.png$/);
    expect(branding.icon).toMatch(/^static\/media\/favicon\.[\w-]{8}\.ico$/);
    expect(assets.get(branding.logo ?? '')).toMatchObject({ body: Buffer.from('my logo'), immutable: true });
  });

  it('take nothing else from that folder', () => {
    expect([...assets.values()].some(({ body }) => body.toString() === 'not asked for')).toBe(false);
  });

  it('may be absent', () => {
    expect(brandingOf(loadAssets(built, join(folder, 'nowhere')))).toEqual({});
  });

  it('are an error when they cannot be read', () => {
    const broken = join(folder, 'broken');
    mkdirSync(join(broken, 'logo.png'), { recursive: true });
    expect(() => loadAssets(built, broken)).toThrow('EISDIR');
  });
});

it('makes an asset of data', () => {
  const data = { text: 'a'.repeat(5000) };
  const asset = jsonAsset('locales', data);
  expect(asset).toMatchObject({ path: 'locales', immutable: false });
  expect(asset.type).toMatch(/^application\/json/);
  expect(JSON.parse(asset.body.toString())).toEqual(data);
  expect(asset.etag).not.toBe(jsonAsset('locales', {}).etag);
});
