/** Gateways as they are published: built, with the command's own flags, one core each. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';

import { systemRandom } from '../src/lib/random.ts';
import { hashPassword } from '../src/users/digest.ts';
import { DEFAULT_PASSWORD_OPTIONS } from '../src/users/password-options.ts';
import { type Child, startChild } from '../test/support/child.ts';
import { root } from '../test/support/environment.ts';
import { eventually } from '../test/support/eventually.ts';
import { freePort } from '../test/support/free-port.ts';
import { SESSIONS } from './requests.ts';

const PASSWORD = 'a password for measuring';
const USERS = 100;

/** A copy of a tree's command with a bundle of its own, so that nothing that changes meanwhile is measured. */
export function buildGateway(folder: string, tree = root): string {
  const copy = join(folder, 'built');
  mkdirSync(copy, { recursive: true });
  for (const name of ['src', 'web', 'node_modules', 'package.json'])
    symlinkSync(join(tree, name), join(copy, name));
  for (const name of ['bin', 'scripts']) cpSync(join(tree, name), join(copy, name), { recursive: true });
  execFileSync(process.execPath, [join(copy, 'scripts/build.js')], { stdio: 'inherit' });
  return join(copy, 'bin/sallyport');
}

export interface GatewaySetup {
  readonly name: string;
  readonly rules: readonly unknown[];
  /** `session.redis` and its like. */
  readonly session?: object;
  /** Instead of a loopback port. */
  readonly socket?: boolean;
  readonly workers?: number;
  /** Passwords as they are hashed by default, which takes 64 MiB and some 100 ms each. */
  readonly dearPasswords?: boolean;
}

export interface RunningGateway {
  readonly name: string;
  readonly pid: number;
  /** 0 for a socket. */
  readonly port: number;
  readonly socket: string;
  /** Milliseconds from the start to the first answer. */
  readonly startedIn: number;
  output(): string;
  stop(): Promise<void>;
}

const digests = new Map<boolean, Promise<string>>();
function digestOf(isDear: boolean): Promise<string> {
  const cheap = { ...DEFAULT_PASSWORD_OPTIONS.argon2, iterations: 1, memory: 64, parallelism: 1 };
  const options = isDear ? DEFAULT_PASSWORD_OPTIONS : { ...DEFAULT_PASSWORD_OPTIONS, argon2: cheap };
  const known = digests.get(isDear) ?? hashPassword(PASSWORD, options, systemRandom);
  digests.set(isDear, known);
  return known;
}

export async function startGateway(
  command: string,
  folder: string,
  cores: string,
  setup: GatewaySetup,
): Promise<RunningGateway> {
  const { name, rules, session = {}, workers = 1 } = setup;
  const own = join(folder, name.replaceAll(/\W+/g, '-'));
  mkdirSync(own, { recursive: true });
  const port = setup.socket ? 0 : await freePort();
  const socket = setup.socket ? join(own, 'socket') : '';
  const password = await digestOf(setup.dearPasswords ?? false);
  const users = Array.from({ length: USERS }, (_, index) => [
    `user${index}`,
    {
      displayname: `User ${index}`,
      password,
      email: `user${index}@example.com`,
      groups: ['users', `team${index % 20}`],
    },
  ]);
  writeFileSync(join(own, 'users.yml'), JSON.stringify({ users: Object.fromEntries(users) }));
  // YAML holds JSON.
  writeFileSync(
    join(own, 'configuration.yml'),
    JSON.stringify({
      server: {
        address: setup.socket ? `unix://${socket}?umask=0000` : `tcp://127.0.0.1:${port}/`,
        ...(workers > 1 && { workers }),
      },
      log: { level: 'error' },
      authentication_backend: { file: { path: join(own, 'users.yml') } },
      session: {
        secret: 'a secret that is used for measuring only',
        expiration: '1d',
        inactivity: '1d',
        cookies: [{ domain: 'example.com', authelia_url: 'https://auth.example.com' }],
        ...session,
      },
      access_control: { default_policy: 'deny', rules },
    }),
  );
  const before = performance.now();
  const child: Child = startChild(
    'taskset',
    ['-c', cores, command, '--config', join(own, 'configuration.yml')],
    {
      cwd: own,
      // Compiled code is kept between starts, as it is for everybody.
      env: { XDG_CACHE_HOME: folder },
    },
  );
  let startedIn = 0;
  const answers = async (): Promise<true | undefined> => {
    if (child.hasExited) throw new Error(child.output());
    const answer = await send({ port, socket }, 'GET', '/api/health');
    startedIn = performance.now() - before;
    return answer.status === 200 || undefined;
  };
  // Often, as it is measured.
  await eventually(`${name} is ready`, 30_000, answers, 2).catch((cause: unknown) => {
    throw new Error(`${name} did not start:\n${child.output()}`, { cause });
  });
  return {
    name,
    pid: child.pid,
    port,
    socket,
    startedIn,
    output: () => child.output(),
    stop: () => child.stop(),
  };
}

export type Place = Pick<RunningGateway, 'port' | 'socket'>;

interface SentAnswer {
  readonly status: number;
  readonly cookies: readonly string[];
}

/** One request, as a proxy would send it. */
export function send(
  { port, socket }: Place,
  method: string,
  path: string,
  { headers = {}, body = '' }: { readonly headers?: Record<string, string>; readonly body?: string } = {},
): Promise<SentAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...(socket === '' ? { host: '127.0.0.1', port } : { socketPath: socket }),
        method,
        path,
        headers: {
          Host: 'auth.example.com',
          'X-Forwarded-Proto': 'https',
          'X-Forwarded-Host': 'auth.example.com',
          'X-Forwarded-For': '203.0.113.5',
          ...headers,
        },
      },
      (response) => {
        response.resume();
        response.once('end', () =>
          resolve({ status: response.statusCode ?? 0, cookies: response.headers['set-cookie'] ?? [] }),
        );
      },
    );
    sent.once('error', reject);
    sent.end(body);
  });
}

/** Signs somebody in; the session cookie. */
export async function signIn(place: Place, index: number): Promise<string> {
  const body = JSON.stringify({ username: `user${index % USERS}`, password: PASSWORD });
  const headers = { 'Content-Type': 'application/json', 'Content-Length': String(body.length) };
  const { status, cookies } = await send(place, 'POST', '/api/firstfactor', { headers, body });
  const found = cookies.map((cookie) => /^authelia_session=([^;]+)/.exec(cookie)?.[1]).find(Boolean);
  if (status !== 200 || found === undefined) throw new Error(`a login was answered ${status}`);
  return found;
}

/** As many sessions as there are requests, each of one of a hundred people. */
export async function signInAll(place: Place): Promise<readonly string[]> {
  const cookies: string[] = [];
  const atOnce = 8;
  for (let index = 0; index < SESSIONS; index += atOnce) {
    const some = Array.from({ length: atOnce }, (_, offset) => signIn(place, index + offset));
    cookies.push(...(await Promise.all(some)));
  }
  return cookies;
}
