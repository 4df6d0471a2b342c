import { ownParameter, queryOf } from '../query.ts';
import { readHeaders, type Reader } from '../reader.ts';

/** Traefik, Caddy, HAProxy: everything in `X-Forwarded-*`. */
export const readForwardAuth: Reader = ({ head, query }) => {
  const headers = readHeaders(
    head,
    ['x-forwarded-method', 'x-forwarded-host'],
    ['x-forwarded-uri', 'x-forwarded-proto'],
  );
  if ('invalid' in headers) return headers;
  const uri = headers['x-forwarded-uri'] ?? '';
  return {
    scheme: headers['x-forwarded-proto'] ?? (head.secure ? 'https' : 'http'),
    authority: headers['x-forwarded-host'],
    uri,
    method: headers['x-forwarded-method'],
    portal: ownParameter(query, queryOf(uri), 'authelia_url'),
  };
};
