import { execFile, execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, chmod, chown, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { Client } from 'pg';

import { type Child, startChild } from './child.ts';
import { findProgram } from './environment.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { temporaryFolder } from './temporary-folder.ts';
import type { TestCertificate } from './test-authority.ts';

const execute = promisify(execFile);

/** Debian keeps the programs of each version in a folder of its own. */
function find(name: string): string | undefined {
  const folders = ((): string[] => {
    try {
      return readdirSync('/usr/lib/postgresql').toSorted((a, b) => Number(b) - Number(a));
    } catch {
      return [];
    }
  })();
  const installed = folders.map((version) => findProgram(`/usr/lib/postgresql/${version}/bin/${name}`));
  return installed.find((path) => path !== undefined) ?? findProgram(name);
}

/** What must be installed, or undefined when everything is. */
export function missingPostgres(): string | undefined {
  const missing = ['postgres', 'initdb', 'pg_basebackup'].find((name) => find(name) === undefined);
  return missing ?? ['pgbouncer', 'setpriv'].find((name) => findProgram(name) === undefined);
}

function program(name: string): string {
  const path = find(name);
  if (path === undefined) throw new Error(`${name} is not installed: run scripts/install-test-servers`);
  return path;
}

/** The servers refuse to run as root: then they run as the user of their package. None outlives this process. */
const isRoot = process.getuid?.() === 0;
const asServer = (command: string, args: readonly string[]): [string, string[]] => [
  program('setpriv'),
  [
    '--pdeathsig=KILL',
    ...(isRoot ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : []),
    command,
    ...args,
  ],
];

async function giveAway(path: string): Promise<void> {
  if (!isRoot) return;
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  await chown(path, id('-u'), id('-g'));
}

/** Who may do what in each server: `gateway` owns the database `gateway`. */
export const testAccount = { database: 'gateway', username: 'gateway', password: 'a gateway password' };

/** A real PostgreSQL on a loopback port of its own. By socket everybody is let in, by TCP with a password. */
export interface PostgresTestServer {
  readonly port: number;
  readonly socketFolder: string;
  /** Statements of the superuser in the database `gateway`; the rows of the last one, as lists. */
  ask(sql: string): Promise<readonly (readonly unknown[])[]>;
  /** SIGKILL for the server; its backends follow. Returns when the server is gone. */
  kill(): Promise<void>;
  /** Ends all sessions at once and goes down orderly. */
  shutDown(): Promise<void>;
  /** Starts again at the same port; returns when it answers. */
  start(): Promise<void>;
  /** SIGSTOP and SIGCONT for the server and all its backends. */
  freeze(): void;
  thaw(): void;
  /** A standby becomes the one that takes writes. */
  promote(): Promise<void>;
  output(): string;
  /** Also removes its files. */
  stop(): Promise<void>;
}

export interface PostgresServerOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** TLS is offered; with `requireTls` plain text is refused, with `clientCertificates` a certificate is asked for. */
  readonly tls?: TestCertificate;
  readonly requireTls?: boolean;
  readonly clientCertificates?: boolean;
  /** A copy that follows this server. */
  readonly standbyOf?: PostgresTestServer;
}

export async function startPostgresServer(options: PostgresServerOptions = {}): Promise<PostgresTestServer> {
  const { tls, standbyOf } = options;
  const [folder, port] = await Promise.all([temporaryFolder('postgres'), freePort()]);
  const data = join(folder.path, 'data');
  await mkdir(data, { mode: 0o700 });
  await Promise.all([giveAway(folder.path), giveAway(data)]);
  const run = async (name: string, ...args: readonly string[]): Promise<void> => {
    const [command, all] = asServer(program(name), args);
    await execute(command, all, { cwd: folder.path });
  };

  if (standbyOf === undefined) {
    await run('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N');
  } else {
    const from = ['-h', standbyOf.socketFolder, '-p', String(standbyOf.port), '-U', 'postgres'];
    await run('pg_basebackup', ...from, '-D', data, '-R', '-X', 'stream', '-c', 'fast', '-N');
  }
  const own = async (name: string, source: string): Promise<void> => {
    const path = join(data, name);
    await copyFile(source, path);
    await giveAway(path);
    await chmod(path, 0o600);
  };
  if (tls !== undefined) {
    await own('server.crt', tls.certificateFile);
    await own('server.key', tls.keyFile);
    await own('authority.crt', tls.authorityFile);
  }
  const kind = options.requireTls ? 'hostssl' : 'host';
  const certificate = options.clientCertificates ? ' clientcert=verify-ca' : '';
  await writeFile(
    join(data, 'pg_hba.conf'),
    `local all all trust\nlocal replication all trust\n${kind} all all 127.0.0.1/32 scram-sha-256${certificate}\n`,
  );
  const settings = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: folder.path,
    fsync: 'off',
    shared_buffers: '16MB',
    max_connections: '60',
    wal_retrieve_retry_interval: '100ms',
    ...(tls === undefined
      ? {}
      : { ssl: 'on', ssl_ca_file: 'authority.crt', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' }),
    ...options.settings,
  };
  await appendFile(
    join(data, 'postgresql.conf'),
    Object.entries(settings)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(''),
  );

  const askAt = async (database: string, sql: string): Promise<readonly (readonly unknown[])[]> => {
    const client = new Client({ host: folder.path, port, user: 'postgres', database });
    client.on('error', () => {});
    await client.connect();
    try {
      const answers = await client.query({ text: sql, rowMode: 'array' });
      const last = Array.isArray(answers) ? (answers as (typeof answers)[]).at(-1) : answers;
      return last?.rows ?? [];
    } finally {
      await client.end();
    }
  };
  let child: Child;
  const start = async (): Promise<void> => {
    // Backends of a server that was killed may hold its memory for a moment; then a new one refuses to start.
    await eventually('PostgreSQL starts', 10_000, async () => {
      const [command, args] = asServer(program('postgres'), ['-D', data]);
      child = startChild(command, args, { cwd: folder.path });
      return eventually('PostgreSQL answers', 8000, async () => {
        if (child.hasExited) return false;
        await askAt('postgres', 'select 1');
        return true;
      }).then((isUp) => isUp || undefined);
    });
  };
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of [child.pid, ...childrenOf(child.pid)]) {
      try {
        process.kill(pid, name);
      } catch {
        // A backend that has just ended.
      }
    }
  };
  const gone = async (): Promise<void> => {
    await eventually('PostgreSQL is gone', 10_000, () => child.hasExited || undefined);
  };
  const kill = async (): Promise<void> => {
    if (child.hasExited) return;
    signal('SIGCONT');
    child.signal('SIGKILL');
    await gone();
  };
  await start();
  if (standbyOf === undefined) {
    const { database, username, password } = testAccount;
    await askAt('postgres', `create role ${username} login password '${password}'`);
    await askAt('postgres', `create database ${database} owner ${username}`);
  }
  return {
    port,
    socketFolder: folder.path,
    ask: (sql) => askAt(testAccount.database, sql),
    kill,
    async shutDown() {
      child.signal('SIGINT');
      await gone();
    },
    start,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    promote: async () => void (await askAt('postgres', 'select pg_promote()')),
    output: () => child.output(),
    async stop() {
      await kill();
      // Its last backends may still write.
      await eventually('its files are removed', 5000, () => folder.remove().then(() => true));
    },
  };
}

function childrenOf(parent: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const status = readFileSync(`/proc/${name}/stat`, 'utf8');
        return Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** pgbouncer in transaction mode before a server. */
export interface Pgbouncer {
  readonly port: number;
  /** SIGKILL, and up again at the same port. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPgbouncer(target: number): Promise<Pgbouncer> {
  const [folder, port] = await Promise.all([temporaryFolder('pgbouncer'), freePort()]);
  const { database, username, password } = testAccount;
  const users = join(folder.path, 'users.txt');
  const file = join(folder.path, 'pgbouncer.ini');
  await writeFile(users, `"${username}" "${password}"\n`);
  await writeFile(
    file,
    `[databases]
${database} = host=127.0.0.1 port=${target} dbname=${database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 3
server_login_retry = 0.2
`,
  );
  let child: Child;
  const start = async (): Promise<void> => {
    const [command, args] = asServer(program('pgbouncer'), [file]);
    child = startChild(command, args, { cwd: folder.path });
    await eventually('pgbouncer answers', 8000, async () => {
      if (child.hasExited) throw new Error(child.output());
      const client = new Client({ ...testAccount, user: username, host: '127.0.0.1', port });
      client.on('error', () => {});
      await client.connect();
      await client.end();
      return true;
    });
  };
  await start();
  return {
    port,
    async restart() {
      child.signal('SIGKILL');
      await child.stop();
      await start();
    },
    async stop() {
      await child.stop();
      await folder.remove();
    },
  };
}
