import { exchange, type HeaderLine, type RawAnswer, requestBytes } from '../support/raw-http.ts';

/** What people and their browsers ask of a gateway. */

export const PRIVATE = 'https://app1.example.com/private';
export const OPEN = 'https://app1.example.com/public';
export const COOKIE = '__Secure-sallyport';

/** Asks for a decision; without a cookie as a stranger. */
export function ask(port: number, url: string, cookie?: string): Promise<RawAnswer> {
  const { host, pathname } = new URL(url);
  const headers: HeaderLine[] = [
    ['Host', 'gateway'],
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', host],
    ['X-Forwarded-Uri', pathname],
    ['X-Forwarded-For', '203.0.113.10'],
    ['Accept', 'text/html'],
    ...(cookie === undefined ? [] : [['Cookie', cookie] as const]),
  ];
  return exchange({ port }, requestBytes('GET', '/api/authz/forward-auth', headers));
}

export function signIn(port: number, username = 'john'): Promise<RawAnswer> {
  return post(port, '/api/firstfactor', { username, password: `pw-${username}-Correct1` });
}

export function signOut(port: number, cookie: string): Promise<RawAnswer> {
  return post(port, '/api/logout', {}, cookie);
}

/** The cookie that an answer sets, as it is sent back; undefined when it sets none. */
export function sessionOf(answer: RawAnswer): string | undefined {
  const line = answer.all('set-cookie').find((one) => one.startsWith(`${COOKIE}=`));
  return line?.split(';', 1)[0];
}

function post(port: number, path: string, body: object, cookie?: string): Promise<RawAnswer> {
  const headers: HeaderLine[] = [
    ['Host', 'auth.example.com'],
    ['X-Forwarded-Proto', 'https'],
    ['Content-Type', 'application/json'],
    ...(cookie === undefined ? [] : [['Cookie', cookie] as const]),
  ];
  return exchange({ port }, requestBytes('POST', path, headers, JSON.stringify(body)));
}
