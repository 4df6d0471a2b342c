import { ownParameter, queryOf } from '../query.ts';
import { type AuthzRequest, type InvalidTarget, readHeaders, type Reader, type Reading } from '../reader.ts';
import { splitUrl } from '../split-url.ts';

/**
 * `/api/verify`: `X-Original-URL`, or `X-Forwarded-*` where that is absent. When both are there they must say the same.
 * The portal is named by the query parameter `rd` or the header `X-Authelia-URL`.
 */
export const readLegacy: Reader = (request) => {
  const { head, query } = request;
  const headers = readHeaders(
    head,
    [],
    [
      'host',
      'x-original-url',
      'x-forwarded-proto',
      'x-forwarded-host',
      'x-forwarded-uri',
      'x-forwarded-method',
      'x-authelia-url',
    ],
  );
  if ('invalid' in headers) return headers;
  const url = originalUrl(headers) ?? forwardedUrl(request, headers);
  if ('invalid' in url) return url;
  return {
    ...url,
    method: headers['x-forwarded-method'] ?? head.method,
    portal: ownParameter(query, queryOf(url.uri), 'rd') ?? headers['x-authelia-url'],
  };
};

type LegacyHeaders = Partial<
  Record<'host' | 'x-original-url' | 'x-forwarded-proto' | 'x-forwarded-host' | 'x-forwarded-uri', string>
>;
type Url = Pick<Reading, 'scheme' | 'authority' | 'uri'>;

function originalUrl(headers: LegacyHeaders): Url | InvalidTarget | undefined {
  const text = headers['x-original-url'];
  if (text === undefined || text === '') return undefined;
  const url = splitUrl(text);
  if (!url) return { invalid: 'the header x-original-url is not an absolute URL' };
  const disagrees =
    (headers['x-forwarded-proto'] ?? url.scheme) !== url.scheme ||
    (headers['x-forwarded-host'] ?? url.authority) !== url.authority ||
    (headers['x-forwarded-uri'] ?? url.uri) !== url.uri;
  return disagrees ? { invalid: 'x-original-url and x-forwarded-* name different URLs' } : url;
}

function forwardedUrl({ head }: AuthzRequest, headers: LegacyHeaders): Url | InvalidTarget {
  const scheme = headers['x-forwarded-proto'];
  const authority = headers['x-forwarded-host'] ?? headers.host;
  if (scheme === undefined) return { invalid: 'the header x-forwarded-proto is missing' };
  if (authority === undefined) return { invalid: 'the header x-forwarded-host is missing' };
  return { scheme, authority, uri: headers['x-forwarded-uri'] ?? head.target };
}
