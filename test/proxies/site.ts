/** A protected site: a proxy with its files, two applications behind it, and a gateway. */
import { type EchoApplication, type Seen, startEchoApplication } from '../support/echo-application.ts';
import { exchange, type HeaderLine, type RawAnswer, requestBytes } from '../support/raw-http.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import type { TestCertificate } from '../support/test-authority.ts';
import { type Proxy, type RunningProxy, startProxy } from './proxy.ts';

export type UserName = 'john' | 'zoe';

/** One request of a visitor, to `https://<host>.example.com<target>`. */
export interface Ask {
  /** Default: GET. */
  readonly method?: string;
  /** Default: app1. */
  readonly host?: 'app1' | 'app2' | 'auth';
  readonly target: string;
  /** The user whose session is sent; default nobody. */
  readonly who?: UserName;
  /** Added to Host and `Accept: text/html`, which a given Accept replaces. */
  readonly headers?: readonly HeaderLine[];
  readonly body?: string | Buffer;
  /** The address from which the visitor comes; default 127.0.0.1. */
  readonly from?: string;
}

export interface Site {
  readonly proxy: RunningProxy;
  ask(ask: Ask): Promise<RawAnswer>;
  /** A request to app1 without TLS. */
  askPlainly(target: string): Promise<RawAnswer>;
  /** Signs in at the portal, through the proxy, and sends the session with every later `ask` of this user. */
  signIn(user: UserName): Promise<RawAnswer>;
  /** The Cookie header of a signed-in user. */
  cookieOf(user: UserName): string;
  /** How many requests have reached an application. */
  arrivals(): number;
  /** What they asked for. */
  targets(): readonly string[];
  close(): Promise<void>;
}

export async function openSite(
  proxy: Proxy,
  gatewayPort: number,
  certificate: TestCertificate,
): Promise<Site> {
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).toReversed()) await closer();
  };
  try {
    const folder = await temporaryFolder('proxy');
    closers.push(() => folder.remove());
    const applications: EchoApplication[] = [];
    for (const name of ['app1', 'app2']) {
      const application = await startEchoApplication(name);
      closers.push(() => application.close());
      applications.push(application);
    }
    const [app1Port = 0, app2Port = 0] = applications.map(({ port }) => port);
    const running = await startProxy(proxy, {
      folder: folder.path,
      gatewayPort,
      app1Port,
      app2Port,
      certificate,
    });
    closers.push(() => running.stop());

    const cookies = new Map<UserName, string>();
    const cookieOf = (user: UserName): string => {
      const cookie = cookies.get(user);
      if (cookie === undefined) throw new Error(`${user} has not signed in`);
      return cookie;
    };
    const ask: Site['ask'] = ({
      method = 'GET',
      host = 'app1',
      target,
      who,
      headers = [],
      body = '',
      from,
    }) => {
      const name = `${host}.example.com`;
      const given = (header: string): boolean => headers.some(([other]) => other.toLowerCase() === header);
      const cookie = [
        ...(who === undefined ? [] : [cookieOf(who)]),
        ...headers.filter(([header]) => header === 'Cookie').map(([, value]) => value),
      ].join('; ');
      const lines: HeaderLine[] = [
        ...(given('host') ? [] : [['Host', name] as const]),
        ...(given('accept') ? [] : [['Accept', 'text/html'] as const]),
        ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
        ...headers.filter(([header]) => header !== 'Cookie'),
      ];
      return exchange(
        { port: running.httpsPort, tls: { servername: name, authority: certificate.authority }, from },
        requestBytes(method, target, lines, body),
      );
    };
    return {
      proxy: running,
      ask,
      askPlainly: (target) =>
        exchange({ port: running.httpPort }, requestBytes('GET', target, [['Host', 'app1.example.com']])),
      cookieOf,
      async signIn(user) {
        const answer = await ask({
          method: 'POST',
          host: 'auth',
          target: '/api/firstfactor',
          headers: [
            ['Content-Type', 'application/json'],
            ['Accept', 'application/json'],
            ['Origin', 'https://auth.example.com'],
            ['Sec-Fetch-Site', 'same-origin'],
          ],
          body: JSON.stringify({ username: user, password: `pw-${user}-Correct1`, keepMeLoggedIn: false }),
        });
        const cookie = answer.all('set-cookie').find((line) => line.startsWith('__Secure-sallyport='));
        if (cookie !== undefined) cookies.set(user, cookie.split(';', 1)[0] ?? '');
        return answer;
      },
      arrivals: () => applications.reduce((sum, application) => sum + application.arrivals, 0),
      targets: () => applications.flatMap(({ targets }) => targets),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What the application saw of a request that reached it; undefined when the answer came from somewhere else. */
export function seenBy(answer: RawAnswer): Seen | undefined {
  return answer.header('x-application') === undefined
    ? undefined
    : (JSON.parse(answer.body.toString()) as Seen);
}

/** All values under a name, also in its underscore spelling: CGI and WSGI make one variable of both. */
export function seenHeader(seen: Seen, name: string): string[] {
  const folded = name.toLowerCase().replaceAll('_', '-');
  return seen.headers
    .filter(([other]) => other.toLowerCase().replaceAll('_', '-') === folded)
    .map(([, value]) => value);
}
