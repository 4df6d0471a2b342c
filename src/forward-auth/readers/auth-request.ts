import { ownParameter, queryOf } from '../query.ts';
import { readHeaders, type Reader } from '../reader.ts';
import { splitUrl } from '../split-url.ts';

/** nginx: `X-Original-URL` and `X-Original-Method`. */
export const readAuthRequest: Reader = ({ head, query }) => {
  const headers = readHeaders(head, ['x-original-url', 'x-original-method']);
  if ('invalid' in headers) return headers;
  const url = splitUrl(headers['x-original-url']);
  if (!url) return { invalid: 'the header x-original-url is not an absolute URL' };
  return {
    ...url,
    method: headers['x-original-method'],
    portal: ownParameter(query, queryOf(url.uri), 'authelia_url'),
  };
};
