import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { onTestFinished } from 'vitest';

import { startChild } from '../support/child.ts';
import { findProgram } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { exchange, requestBytes } from '../support/raw-http.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** What must be installed, or undefined when everything is. */
export function missingHaproxy(): string | undefined {
  return findProgram('haproxy') === undefined ? 'haproxy' : undefined;
}

/** HAProxy before several gateways, which it asks whether they are ready. Answers its port. */
export async function startHaproxy(ports: readonly number[]): Promise<number> {
  const program = findProgram('haproxy');
  if (program === undefined) throw new Error('haproxy is not installed: run scripts/install-test-servers');
  const [folder, port] = await Promise.all([temporaryFolder('haproxy'), freePort()]);
  const file = join(folder.path, 'haproxy.cfg');
  await writeFile(
    file,
    `defaults
    mode http
    timeout connect 500ms
    timeout client 30s
    timeout server 2s
    retries 3
    option redispatch 1
    # Repeats what no gateway has answered, but nothing that changes something.
    retry-on conn-failure empty-response response-timeout
frontend all
    bind 127.0.0.1:${port}
    default_backend gateways
backend gateways
    balance roundrobin
    http-request disable-l7-retry if METH_POST
    option httpchk GET /api/ready
    http-check expect status 200
    default-server check inter 200ms fall 1 rise 1
${ports.map((port) => `    server gateway-${port} 127.0.0.1:${port}`).join('\n')}
`,
  );
  const child = startChild(program, ['-db', '-f', file], { cwd: folder.path });
  onTestFinished(async () => {
    await child.stop();
    await folder.remove();
  });
  const isUp = await eventually('HAProxy answers', 10_000, async () => {
    if (child.hasExited) return false;
    const { status } = await exchange({ port }, requestBytes('GET', '/api/health', [['Host', 'localhost']]));
    return status === 200 || undefined;
  });
  if (!isUp) throw new Error(`HAProxy did not start:\n${child.output()}`);
  return port;
}
