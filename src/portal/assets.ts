/**
 * What the portal serves beside its pages, read into memory once. A request names a key of a map: no path is ever made
 * of what a client sent.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, parse } from 'node:path';
import type { PageData } from './page-data.ts';

export interface Asset {
  /** Below the portal's base, without a leading slash: `static/…`, `favicon.ico`, `robots.txt`. */
  readonly path: string;
  /** For `Content-Type`. */
  readonly type: string;
  readonly body: Buffer;
  /** The same, compressed; absent where that saves nothing. */
  readonly br?: Buffer;
  readonly gzip?: Buffer;
  /** Of `body`, quoted. A compressed answer needs its own: the server appends the coding before the last quote. */
  readonly etag: string;
  /** The name changes with the content, so that it may be kept for ever. */
  readonly immutable: boolean;
}

const types = new Map([
  ['.css', 'text/css; charset=utf-8'],
  ['.ico', 'image/x-icon'],
  ['.js', 'text/javascript; charset=utf-8'],
  ['.png', 'image/png'],
  ['.svg', 'image/svg+xml'],
  ['.txt', 'text/plain; charset=utf-8'],
]);

/** Files that are asked for at the portal's root too. */
const atRoot = new Set(['favicon.ico', 'robots.txt']);

/** `name.<8 characters>.ext`, as the portal's build names what it hashes. */
const hashed = /\.[\w-]{8}\.[a-z0-9]+$/;

/**
 * What an administrator may put into `server.asset_path`, and where below the base it is served. Each also gets a name
 * with its hash below `static/media/`, which is the one that pages link to.
 */
const overrides = new Map([
  ['favicon.ico', 'static/favicon.ico'],
  ['logo.png', 'static/media/logo.png'],
]);
const hashedOverride = /^static\/media\/(favicon|logo)\.[\w-]{8}\.[a-z]+$/;

/**
 * Reads the built assets (`web/dist/assets`), and over them `favicon.ico` and `logo.png` of `override`
 * (`server.asset_path`). Throws when `directory` or a file that is there cannot be read.
 */
export function loadAssets(directory: string, override?: string): Map<string, Asset> {
  const files = new Map<string, Omit<Asset, 'path'>>();
  const names = new Set(readdirSync(directory));
  for (const name of names) {
    const type = types.get(extname(name));
    if (type === undefined) continue;
    const body = readFileSync(join(directory, name));
    files.set(`static/${name}`, {
      type,
      body,
      ...(names.has(`${name}.br`) && { br: readFileSync(join(directory, `${name}.br`)) }),
      ...(names.has(`${name}.gz`) && { gzip: readFileSync(join(directory, `${name}.gz`)) }),
      etag: etagOf(body),
      immutable: hashed.test(name),
    });
  }
  if (override !== undefined) {
    for (const [name, path] of overrides) {
      const body = readIfThere(join(override, name));
      const type = types.get(extname(name));
      if (body === null || type === undefined) continue;
      const etag = etagOf(body);
      const { name: stem, ext } = parse(name);
      files.set(path, { type, body, etag, immutable: false });
      files.set(`static/media/${stem}.${etag.slice(1, 9)}${ext}`, { type, body, etag, immutable: true });
    }
  }
  const assets = new Map<string, Asset>();
  for (const [path, file] of files) {
    assets.set(path, { path, ...file });
    const name = path.slice('static/'.length);
    if (atRoot.has(name)) assets.set(name, { path: name, ...file });
  }
  return assets;
}

/** What the pages have to be told about the administrator's own logo and icon: spread it into their data. */
export function brandingOf(assets: ReadonlyMap<string, Asset>): Pick<PageData, 'logo' | 'icon'> {
  const own: { logo?: string; icon?: string } = {};
  for (const path of assets.keys()) {
    const [, name] = hashedOverride.exec(path) ?? [];
    if (name === 'logo') own.logo = path;
    if (name === 'favicon') own.icon = path;
  }
  return own;
}

/** A JSON document that is served like a file. */
export function jsonAsset(path: string, value: unknown): Asset {
  const body = Buffer.from(JSON.stringify(value));
  return { path, type: 'application/json; charset=utf-8', body, etag: etagOf(body), immutable: false };
}

function readIfThere(file: string): Buffer | null {
  try {
    return readFileSync(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function etagOf(body: Buffer): string {
  return `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
}
