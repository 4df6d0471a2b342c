import { readHeaders, type Reader } from '../reader.ts';

/**
 * Envoy: the original request line and Host, with the endpoint's path in front. Envoy puts its `path_prefix` before the
 * original path; with a prefix that ends in a slash two slashes meet, and one of them is the prefix's.
 */
export const readExtAuthz: Reader = ({ head, rest, query }) => {
  const headers = readHeaders(head, ['host'], ['x-forwarded-proto', 'x-authelia-url']);
  if ('invalid' in headers) return headers;
  const path = rest.startsWith('//') ? rest.slice(1) : rest;
  return {
    scheme: headers['x-forwarded-proto'] ?? (head.secure ? 'https' : 'http'),
    authority: headers.host,
    uri: query === '' ? path : `${path}?${query}`,
    method: head.method,
    portal: headers['x-authelia-url'],
  };
};
