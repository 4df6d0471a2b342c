/** nginx with the files of deploy/nginx, in front of static pages instead of applications. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type Child, startChild } from '../test/support/child.ts';
import { findProgram, root } from '../test/support/environment.ts';
import { eventually } from '../test/support/eventually.ts';
import { freePort } from '../test/support/free-port.ts';
import { type Place, send } from './gateways.ts';

const PAGE_SIZE = 4096;

export interface Site {
  /** Without a question to anybody. */
  readonly open: number;
  /** Each page asks the gateway at its place. */
  readonly guarded: readonly number[];
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * What is kept of the shipped nginx.conf is everything before its servers (headers, upstreams, maps), what is kept of the
 * snippets everything but the scheme: between the generator and nginx there is no TLS.
 */
export async function startSite(folder: string, gateways: readonly Place[]): Promise<Site> {
  const program = findProgram('nginx');
  if (program === undefined) throw new Error('nginx is not installed: run scripts/install-test-servers');
  const shipped = (name: string): string => readFileSync(join(root, 'deploy/nginx', name), 'utf8');
  writeFileSync(join(folder, 'page.html'), randomBytes(PAGE_SIZE / 2).toString('hex'));

  const conf = shipped('nginx.conf');
  const head = conf
    .slice(0, conf.indexOf('\n    server {'))
    // The gateway's socket belongs to whoever runs this.
    .replace(/^user .*$/m, process.getuid?.() === 0 ? 'user root;' : '')
    .replace('worker_processes auto', 'worker_processes 1')
    .replaceAll(/^.*ssl_.*$/gm, '')
    .replace('/run/nginx.pid', join(folder, 'nginx.pid'))
    .replace(/error_log .*;/, 'error_log stderr error;')
    .replace(
      /access_log .*;/,
      `access_log off; keepalive_requests 1000000; root ${folder}; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')}`,
    );
  const [before = '', upstream = '', after = ''] = head.split(
    /( {4}upstream sallyport_authz \{.*?\n {4}\}\n)/s,
  );
  const ports: number[] = [];
  const upstreams: string[] = [];
  const servers: string[] = [];
  for (const [index, { port, socket }] of gateways.entries()) {
    const name = `sallyport_authz_${index}`;
    const address = socket === '' ? `127.0.0.1:${port}` : `unix:${socket}`;
    upstreams.push(upstream.replace('sallyport_authz', name).replace('127.0.0.1:9091', address));
    const snippet = join(folder, `sallyport-server-${index}.conf`);
    writeFileSync(
      snippet,
      shipped('sallyport-server.conf')
        .replace('http://sallyport_authz/', `http://${name}/`)
        .replace('$scheme://$host', 'https://$host'),
    );
    const own = await freePort();
    ports.push(own);
    servers.push(
      `server { listen 127.0.0.1:${own}; server_name *.example.com; include ${snippet}; location / { include ${join(root, 'deploy/nginx/sallyport-protect.conf')}; try_files /page.html =404; } }`,
    );
  }
  const open = await freePort();
  servers.push(
    `server { listen 127.0.0.1:${open}; server_name *.example.com; location / { try_files /page.html =404; } }`,
  );
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, `${before}${upstreams.join('')}${after}\n${servers.join('\n')}\n}\n`);

  const child: Child = startChild(program, ['-p', folder, '-c', file, '-e', 'stderr', '-g', 'daemon off;'], {
    cwd: folder,
  });
  await eventually('nginx is ready', 10_000, async () => {
    if (child.hasExited) throw new Error(child.output());
    return (await send({ port: open, socket: '' }, 'GET', '/')).status === 200 || undefined;
  }).catch((cause: unknown) => {
    throw new Error(`nginx did not start:\n${child.output()}`, { cause });
  });
  return { open, guarded: ports, pid: child.pid, stop: () => child.stop() };
}
