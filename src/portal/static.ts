import type { Reply, Route, RouteRequest } from '../http/route.ts';
import { type Asset, jsonAsset } from './assets.ts';
import type { Catalogue } from './catalogue.ts';

/** The portal's files and texts as routes. Hashed names are kept for ever, everything else is asked for again. */
export function createStaticRoutes(
  assets: ReadonlyMap<string, Asset>,
  catalogue: Catalogue,
): readonly Route[] {
  const route = (path: string, handle: Route['handle']): Route => ({
    method: 'GET',
    path,
    kind: 'asset',
    handle,
  });
  const file = (asset: Asset): Route => route(`/${asset.path}`, (request) => serve(request, asset));
  const texts = catalogue.languages.flatMap(({ locale, namespaces }) =>
    namespaces.map((namespace) =>
      jsonAsset(`locales/${locale}/${namespace}.json`, catalogue.file(locale, namespace)),
    ),
  );
  const index = jsonAsset('locales', { status: 'OK', data: catalogue.index });
  return [...assets.values(), ...texts, index].map(file);
}

/** The bytes in a coding that the client takes, or 304 when it has them (RFC 9110, sections 12.5.3 and 13.1.2). */
function serve(request: RouteRequest, asset: Asset): Reply {
  const accepts = request.header('accept-encoding') ?? '';
  const coding =
    asset.br && /\bbr\b/.test(accepts) ? 'br' : asset.gzip && /\bgzip\b/.test(accepts) ? 'gzip' : null;
  const body = (coding === 'br' ? asset.br : coding === 'gzip' ? asset.gzip : null) ?? asset.body;
  const etag = coding === null ? asset.etag : asset.etag.replace(/"$/, `-${coding}"`);
  const headers = {
    ETag: etag,
    'Cache-Control': asset.immutable
      ? 'public, max-age=31536000, immutable'
      : 'public, max-age=0, must-revalidate',
    Vary: 'Accept-Encoding',
  };
  const known = request.header('if-none-match');
  if (known === '*' || known?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag)) {
    return { status: 304, headers };
  }
  return {
    status: 200,
    headers: {
      ...headers,
      'Content-Type': asset.type,
      ...(coding !== null && { 'Content-Encoding': coding }),
    },
    body,
  };
}
