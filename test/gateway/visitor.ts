import type { RawAnswer } from '../support/raw-http.ts';
import { ask } from '../support/wire.ts';
import { PASSWORD } from './in-process.ts';

/** A browser at the portal behind a proxy: it keeps its cookies, from whichever gateway they come. */
export class Visitor {
  readonly #cookies: Map<string, string>;
  readonly #ip: string;
  /** The port of the gateway that answers next. */
  port: number;

  constructor(port: number, ip = '203.0.113.5', cookies: ReadonlyMap<string, string> = new Map()) {
    this.port = port;
    this.#ip = ip;
    this.#cookies = new Map(cookies);
  }

  /** Another browser with the same cookies, at a gateway. */
  copy(port = this.port): Visitor {
    return new Visitor(port, this.#ip, this.#cookies);
  }

  /** Who has got hold of the session cookie alone, at the same address. */
  thief(): Visitor {
    const cookies = [...this.#cookies].filter(([name]) => !name.startsWith('__Host-'));
    return new Visitor(this.port, this.#ip, new Map(cookies));
  }

  async #send(method: string, path: string, type?: string, body?: string): Promise<RawAnswer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask(
      this.port,
      method,
      path,
      [
        ['Host', 'auth.example.com'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Host', 'auth.example.com'],
        ['X-Forwarded-For', this.#ip],
        ...(type === undefined ? [] : [['Content-Type', type] as const]),
        ...(method === 'GET'
          ? []
          : [['Origin', 'https://auth.example.com'] as const, ['Sec-Fetch-Site', 'same-origin'] as const]),
        ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
      ],
      body,
    );
    for (const line of answer.all('set-cookie')) {
      const [pair = '', ...attributes] = line.split('; ');
      const [name = '', value = ''] = pair.split('=');
      if (attributes.includes('Max-Age=0')) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
    return answer;
  }

  get(path: string): Promise<RawAnswer> {
    return this.#send('GET', path);
  }

  json(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<RawAnswer> {
    return body === undefined
      ? this.#send(method, path)
      : this.#send(method, path, 'application/json', JSON.stringify(body));
  }

  form(path: string, fields: Readonly<Record<string, string>> = {}): Promise<RawAnswer> {
    const body = new URLSearchParams(fields).toString();
    return this.#send('POST', path, 'application/x-www-form-urlencoded', body);
  }

  /** Signs in with the password. */
  async signIn(username = 'john'): Promise<this> {
    const answer = await this.json('POST', '/api/firstfactor', { username, password: PASSWORD });
    if (answer.status !== 200) throw new Error(`sign-in of ${username}: ${answer.status}`);
    return this;
  }

  /** What a proxy is told about a GET of this visitor. */
  async decide(url: string): Promise<number> {
    const { host, pathname, search } = new URL(url);
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await ask(this.port, 'GET', '/api/authz/forward-auth', [
      ['Host', 'gateway'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', host],
      ['X-Forwarded-URI', pathname + search],
      ['X-Forwarded-Method', 'GET'],
      ['X-Forwarded-For', this.#ip],
      ['Accept', 'text/html'],
      ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
    ]);
    return answer.status;
  }
}

/** The `data` of an envelope. */
export function dataOf(answer: RawAnswer): unknown {
  return (JSON.parse(answer.body.toString()) as { data?: unknown }).data;
}
