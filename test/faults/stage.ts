import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { expect, onTestFinished } from 'vitest';

import { type Child, startChild } from '../support/child.ts';
import { gatewayCommand, root } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { exchange, requestBytes } from '../support/raw-http.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Stops it when the test is over, the last first. */
export function keep<T extends { stop(): Promise<unknown> }>(part: T): T {
  onTestFinished(async () => void (await part.stop()));
  return part;
}

/** The same for what is closed. */
export function keepOpen<T extends { close(): Promise<unknown> }>(part: T): T {
  onTestFinished(async () => void (await part.close()));
  return part;
}

/** A gateway, `bin/sallyport`, as a process of its own that can be killed and started again. */
export interface Replica {
  readonly port: number;
  /** With its users file and configuration. */
  readonly folder: string;
  readonly usersFile: string;
  readonly configurationFile: string;
  readonly pid: number;
  readonly exitCode: number | null;
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** SIGKILL: gone without a word. */
  kill(): Promise<void>;
  /** SIGTERM; returns when it is gone. */
  stop(): Promise<void>;
  /** Starts after `kill` or `stop` at the same port, with other keys of `session` if they are given. */
  start(session?: Section): Promise<void>;
}

type Section = Readonly<Record<string, unknown>>;

/** Starts a gateway; `session` is its section of that name, where secret, cookies and name are filled in. */
export async function startReplica(session: Section): Promise<Replica> {
  const [folder, port] = await Promise.all([temporaryFolder('replica'), freePort()]);
  const configurationFile = join(folder.path, 'configuration.yml');
  const usersFile = join(folder.path, 'users.yml');
  await copyFile(join(root, 'test/proxies/fixtures/users.yml'), usersFile);
  const write = (over: Section): Promise<void> =>
    writeFile(
      configurationFile,
      JSON.stringify({
        server: { address: `tcp://127.0.0.1:${port}/` },
        session: {
          name: '__Secure-sallyport',
          secret: 'a-session-secret-that-only-tests-use',
          cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
          ...over,
        },
        authentication_backend: { file: { path: usersFile } },
        access_control: {
          default_policy: 'deny',
          rules: [
            { domain: 'app1.example.com', policy: 'bypass', resources: ['^/public$'] },
            { domain: 'app1.example.com', policy: 'one_factor' },
          ],
        },
      }),
    );
  let child: Child;
  let isMeantToRun = false;
  const start = async (over: Section = session): Promise<void> => {
    await write(over);
    child = startChild(gatewayCommand, ['--config', configurationFile], { cwd: folder.path });
    const isUp = await eventually('the gateway answers', 30_000, async () => {
      if (child.hasExited) return false;
      const answer = await exchange({ port }, requestBytes('GET', '/api/health', [['Host', 'localhost']]));
      return answer.status === 200 || undefined;
    });
    if (!isUp) throw new Error(`the gateway did not start:\n${child.output()}`);
    isMeantToRun = true;
  };
  await mkdir(join(folder.path, '.cache'), { mode: 0o700 });
  onTestFinished(async () => {
    const hasDied = isMeantToRun && child.hasExited;
    await child?.stop();
    await folder.remove();
    expect(hasDied ? child.output().slice(-4000) : '', 'a gateway ended by itself').toBe('');
  });
  await start();
  return {
    port,
    folder: folder.path,
    usersFile,
    configurationFile,
    get pid() {
      return child.pid;
    },
    get exitCode() {
      return child.exitCode;
    },
    output: () => child.output(),
    signal: (name) => child.signal(name),
    async kill() {
      isMeantToRun = false;
      child.signal('SIGKILL');
      await child.stop();
    },
    async stop() {
      isMeantToRun = false;
      await child.stop();
    },
    start,
  };
}

/** Two gateways with the same sessions. */
export function startReplicas(session: Section, count = 2): Promise<readonly Replica[]> {
  return Promise.all(Array.from({ length: count }, () => startReplica(session)));
}
