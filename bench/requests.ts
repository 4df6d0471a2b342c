/** The questions that are asked: whole HTTP requests, as a browser's page view makes a proxy ask them. */

/** How many sessions there are, and over how many hosts their requests are spread. */
export const SESSIONS = 1000;
export const HOSTS = 50;

/** Where wrk puts a number that never comes again: 12 digits. */
const NEVER_AGAIN = '\u0001';

export interface Mix {
  /** `page`: not the question of a proxy, but the visitor's own request. */
  readonly endpoint: 'auth-request' | 'forward-auth' | 'page';
  /** The host of a request, by its number. */
  readonly host: (index: number) => string;
  /** The session cookie of a request, by its number; null: none. */
  readonly cookie: (index: number) => string | null;
  /** Whether each request says that it is the last of its connection. */
  readonly closes?: boolean;
}

/** As many requests as there are sessions, all different, in the form that wrk.lua reads. */
export function requestFile(mix: Mix): string {
  return Array.from({ length: SESSIONS }, (_, index) => requestText(mix, index)).join('\0');
}

/** A cookie of the right form that belongs to nobody and was never sent before. */
export function unknownCookie(index: number): string {
  return `${String(index).padStart(31, 'x')}${NEVER_AGAIN}`;
}

function requestText({ endpoint, host, cookie, closes = false }: Mix, index: number): string {
  const name = host(index);
  const path = `/projects/${(index * 7919) % 1000}/issues/list?page=${index % 40}&sort=updated`;
  const url = `https://${name}${path}`;
  const asked = {
    'auth-request': ['X-Original-Method: GET', `X-Original-URL: ${url}`],
    'forward-auth': ['X-Forwarded-Method: GET', `X-Forwarded-Host: ${name}`, `X-Forwarded-Uri: ${path}`],
    page: [],
  }[endpoint];
  const proxied = [`X-Forwarded-For: 203.0.113.${index % 250}`, 'X-Forwarded-Proto: https'];
  const session = cookie(index);
  const cookies = [
    'theme=dark',
    ...(session === null ? [] : [`authelia_session=${session}`]),
    '_ga=GA1.2.17',
  ];
  return [
    `GET ${endpoint === 'page' ? path : `/api/authz/${endpoint}`} HTTP/1.1`,
    `Host: ${endpoint === 'page' ? name : 'auth.example.com'}`,
    ...asked,
    ...(endpoint === 'page' ? [] : proxied),
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'Accept-Language: en-GB,en;q=0.7,de;q=0.3',
    'Accept-Encoding: gzip, deflate, br, zstd',
    `Referer: https://${name}/projects`,
    'DNT: 1',
    'Sec-Fetch-Dest: document',
    'Sec-Fetch-Mode: navigate',
    'Sec-Fetch-Site: same-origin',
    'Sec-Fetch-User: ?1',
    'Upgrade-Insecure-Requests: 1',
    'Priority: u=0, i',
    `Cookie: ${cookies.join('; ')}`,
    ...(closes ? ['Connection: close'] : []),
    '',
    '',
  ].join('\r\n');
}
