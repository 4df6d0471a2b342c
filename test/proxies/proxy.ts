/** The proxies under test: which files, what is replaced in them, and how each is started. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Child, startChild } from '../support/child.ts';
import { findProgram, root } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { exchange, requestBytes } from '../support/raw-http.ts';
import type { TestCertificate } from '../support/test-authority.ts';

/** What the shipped files name and a test must have elsewhere. */
export interface Places {
  /** Where the files of this proxy lie, and where it may write. */
  readonly folder: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  readonly gatewayPort: number;
  readonly app1Port: number;
  readonly app2Port: number;
  readonly certificate: TestCertificate;
}

export interface Proxy {
  readonly name: string;
  /** Whether the files are ours: more is asked of them. */
  readonly ours: boolean;
  /** Not in Debian nor PyPI: tested where it is installed, never missed. */
  readonly optional?: true;
  /** The folder with its files. */
  readonly files: string;
  readonly find: () => string | undefined;
  readonly arguments: (folder: string) => readonly string[];
  /** Everything that differs between the shipped files and the tested ones: text and its replacement. */
  readonly substitutions: (places: Places) => readonly (readonly [shipped: string, tested: string])[];
}

const addresses = ({ gatewayPort, app1Port, app2Port }: Places): [string, string][] => [
  ['127.0.0.1:9091', `127.0.0.1:${gatewayPort}`],
  ['127.0.0.1:8081', `127.0.0.1:${app1Port}`],
  ['127.0.0.1:8082', `127.0.0.1:${app2Port}`],
];
const certificateFiles = ({ certificate }: Places): [string, string][] => [
  ['/etc/sallyport/tls/example.com.crt', certificate.certificateFile],
  ['/etc/sallyport/tls/example.com.key', certificate.keyFile],
];

const nginx: Proxy = {
  name: 'nginx',
  ours: true,
  files: join(root, 'deploy/nginx'),
  find: () => findProgram('nginx'),
  arguments: (folder) => [
    '-p',
    folder,
    '-c',
    join(folder, 'nginx.conf'),
    '-e',
    'stderr',
    '-g',
    'daemon off;',
  ],
  substitutions: (places) => [
    ...addresses(places),
    ...certificateFiles(places),
    ['/etc/nginx/sallyport/', `${places.folder}/`],
    ['listen 80 ', `listen 127.0.0.1:${places.httpPort} `],
    ['listen 443 ', `listen 127.0.0.1:${places.httpsPort} `],
    ['/run/nginx.pid', `${places.folder}/nginx.pid`],
    ['error_log /var/log/nginx/error.log warn', 'error_log stderr warn'],
    [
      'access_log /var/log/nginx/access.log;',
      `access_log off; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${places.folder}/${kind};`).join(' ')}`,
    ],
  ],
};

const haproxy: Proxy = {
  name: 'haproxy',
  ours: true,
  files: join(root, 'deploy/haproxy'),
  find: () => findProgram('haproxy'),
  arguments: (folder) => ['-db', '-f', join(folder, 'haproxy.cfg')],
  substitutions: (places) => [
    ...addresses(places),
    ['/etc/sallyport/tls/example.com.pem', places.certificate.bundleFile],
    ['/etc/haproxy/sallyport.lua', `${places.folder}/sallyport.lua`],
    ['bind :80', `bind 127.0.0.1:${places.httpPort}`],
    ['bind :443', `bind 127.0.0.1:${places.httpsPort}`],
    // Only root can become somebody else.
    ...(process.getuid?.() === 0 ? [] : [['    user haproxy\n    group haproxy\n', ''] as const]),
    // Abstract sockets are one name space for the whole machine.
    ['abns@sallyport-authz', `abns@sallyport-authz-${places.httpsPort}`],
  ],
};

const caddy: Proxy = {
  name: 'caddy',
  ours: true,
  files: join(root, 'deploy/caddy'),
  find: () => findProgram('caddy'),
  arguments: (folder) => ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')],
  substitutions: (places) => [
    ...addresses(places),
    ...certificateFiles(places),
    ['http_port 80', `default_bind 127.0.0.1\n\thttp_port ${places.httpPort}`],
    ['https_port 443', `https_port ${places.httpsPort}`],
  ],
};

const envoy: Proxy = {
  name: 'envoy',
  ours: true,
  files: join(root, 'deploy/envoy'),
  find: () => findProgram(join(root, '.cache/envoy/bin/envoy')),
  arguments: (folder) => [
    '-c',
    join(folder, 'envoy.yaml'),
    ...'--concurrency 1 --disable-hot-restart --log-level error'.split(' '),
  ],
  substitutions: (places) => [
    ...certificateFiles(places),
    ...(
      [
        [9091, places.gatewayPort],
        [8081, places.app1Port],
        [8082, places.app2Port],
      ] as const
    ).map(([shipped, port]): [string, string] => [
      `127.0.0.1, port_value: ${shipped} `,
      `127.0.0.1, port_value: ${port} `,
    ]),
    ['0.0.0.0, port_value: 80 ', `127.0.0.1, port_value: ${places.httpPort} `],
    ['0.0.0.0, port_value: 443 ', `127.0.0.1, port_value: ${places.httpsPort} `],
  ],
};

const traefik: Proxy = {
  name: 'traefik',
  ours: true,
  optional: true,
  files: join(root, 'deploy/traefik'),
  find: () => findProgram('traefik'),
  arguments: (folder) => [`--configFile=${join(folder, 'traefik.yml')}`],
  substitutions: (places) => [
    ...addresses(places),
    ...certificateFiles(places),
    ['/etc/traefik/sallyport.yml', `${places.folder}/sallyport.yml`],
    ["':80'", `127.0.0.1:${places.httpPort}`],
    ["':443'", `127.0.0.1:${places.httpsPort}`],
  ],
};

/** The files of deploy/. */
export const shipped: readonly Proxy[] = [nginx, haproxy, caddy, envoy, traefik];

const style = (proxy: Proxy): Proxy => ({
  ...proxy,
  name: `${proxy.name}, as documented for Authelia`,
  ours: false,
  files: join(import.meta.dirname, 'fixtures/authelia-style', proxy.name),
  substitutions: (places) => [
    ...proxy.substitutions(places),
    ['/config/nginx/snippets/', `${places.folder}/`],
  ],
});

/** Files as users of Authelia have them, unchanged but for ports and paths. */
export const autheliaStyle: readonly Proxy[] = [style(nginx), style(caddy), style(envoy)];

export interface RunningProxy {
  readonly httpPort: number;
  readonly httpsPort: number;
  output(): string;
  stop(): Promise<void>;
}

const START_DEADLINE_MS = 15_000;

/** Writes the files with their substitutions into `places.folder` and starts the proxy. Fails with what it printed. */
export async function startProxy(
  proxy: Proxy,
  places: Omit<Places, 'httpPort' | 'httpsPort'>,
): Promise<RunningProxy> {
  const program = proxy.find();
  if (program === undefined)
    throw new Error(`${proxy.name} is not installed: run scripts/install-test-servers`);
  const httpPort = await freePort();
  const httpsPort = await freePort();
  const substitutions = proxy.substitutions({ ...places, httpPort, httpsPort });
  const unused = new Set(substitutions.map(([from]) => from));
  for (const file of await readdir(proxy.files)) {
    let text = await readFile(join(proxy.files, file), 'utf8');
    for (const [from, to] of substitutions) {
      if (text.includes(from)) unused.delete(from);
      text = text.replaceAll(from, to);
    }
    await writeFile(join(places.folder, file), text);
  }
  if (proxy.ours && unused.size > 0)
    throw new Error(`not in the files of ${proxy.name}: ${[...unused].join(', ')}`);
  let child: Child | undefined;
  try {
    const started = startChild(program, proxy.arguments(places.folder), { cwd: places.folder });
    child = started;
    const tls = { servername: 'app1.example.com', authority: places.certificate.authority };
    const ready = await eventually('the proxy is ready', START_DEADLINE_MS, async () => {
      if (started.hasExited) return false;
      await exchange({ port: httpsPort, tls }, requestBytes('GET', '/', [['Host', 'app1.example.com']]));
      return true;
    });
    if (!ready) throw new Error('it ended at its start');
    return { httpPort, httpsPort, output: () => started.output(), stop: () => started.stop() };
  } catch (cause) {
    await child?.stop();
    throw new Error(`${proxy.name} did not start:\n${child?.output() ?? ''}`, { cause });
  }
}
