import { execFile, execFileSync } from 'node:child_process';
import { appendFile, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { createConnection, type RowDataPacket } from 'mysql2/promise';

import { type Child, startChild } from './child.ts';
import { findProgram } from './environment.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { temporaryFolder } from './temporary-folder.ts';
import type { TestCertificate } from './test-authority.ts';

const execute = promisify(execFile);

/** What must be installed, or undefined when everything is. MySQL itself is in no Debian: its dialect meets MariaDB only. */
export function missingMariadb(): string | undefined {
  return ['mariadbd', 'mariadb-install-db', 'setpriv'].find((name) => findProgram(name) === undefined);
}

function program(name: string): string {
  const path = findProgram(name);
  if (path === undefined) throw new Error(`${name} is not installed: run scripts/install-test-servers`);
  return path;
}

/** Who may do everything in each database whose name begins with `gateway`. */
export const mariadbAccount = { username: 'gateway', password: 'a gateway password' };

/** A real MariaDB on a loopback port of its own. */
export interface MariadbTestServer {
  readonly port: number;
  readonly socket: string;
  /** One statement of the superuser; its rows, as lists. */
  ask(sql: string, database?: string): Promise<readonly (readonly unknown[])[]>;
  kill(): Promise<void>;
  /** Starts again at the same port; returns when it answers. */
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Also removes its files. */
  stop(): Promise<void>;
}

export async function startMariadbServer(
  options: { readonly tls?: TestCertificate; readonly settings?: Readonly<Record<string, string>> } = {},
): Promise<MariadbTestServer> {
  const [folder, port] = await Promise.all([temporaryFolder('mariadb'), freePort()]);
  const data = join(folder.path, 'data');
  const socket = join(folder.path, 'mariadb.sock');
  const file = join(folder.path, 'my.cnf');
  await mkdir(data);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) {
    const id = (flag: string): number => Number(execFileSync('id', [flag, 'mysql'], { encoding: 'utf8' }));
    for (const path of [folder.path, data]) await chown(path, id('-u'), id('-g'));
  }
  const asServer = (command: string, args: readonly string[]): [string, string[]] => [
    program('setpriv'),
    [
      '--pdeathsig=KILL',
      ...(isRoot ? ['--reuid=mysql', '--regid=mysql', '--clear-groups'] : []),
      command,
      ...args,
    ],
  ];
  await writeFile(
    file,
    `[server]
datadir = ${data}
socket = ${socket}
port = ${port}
bind-address = 127.0.0.1
pid-file = ${join(folder.path, 'mariadb.pid')}
skip-name-resolve
skip-log-bin
innodb_buffer_pool_size = 16M
innodb_log_file_size = 8M
innodb_flush_log_at_trx_commit = 0
performance_schema = off
`,
  );
  const { tls, settings = {} } = options;
  const more = {
    ...(tls === undefined
      ? {}
      : { ssl_ca: tls.authorityFile, ssl_cert: tls.certificateFile, ssl_key: tls.keyFile }),
    ...settings,
  };
  await appendFile(
    file,
    Object.entries(more)
      .map(([name, value]) => `${name} = ${value}\n`)
      .join(''),
  );
  const [install, installArgs] = asServer(program('mariadb-install-db'), [
    `--defaults-file=${file}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);
  await execute(install, installArgs, { cwd: folder.path });

  const ask = async (sql: string, database?: string): Promise<readonly (readonly unknown[])[]> => {
    const connection = await createConnection({
      socketPath: socket,
      user: 'root',
      ...(database === undefined ? {} : { database }),
    });
    try {
      const [rows] = await connection.query<RowDataPacket[][]>({ sql, rowsAsArray: true });
      return Array.isArray(rows) ? rows : [];
    } finally {
      await connection.end();
    }
  };
  let child: Child;
  const start = async (): Promise<void> => {
    const [command, args] = asServer(program('mariadbd'), [`--defaults-file=${file}`]);
    child = startChild(command, args, { cwd: folder.path });
    await eventually('MariaDB answers', 20_000, async () => {
      if (child.hasExited) throw new Error(child.output());
      await ask('select 1');
      return true;
    });
  };
  const kill = async (): Promise<void> => {
    if (child.hasExited) return;
    child.signal('SIGCONT');
    child.signal('SIGKILL');
    await eventually('MariaDB is gone', 10_000, () => child.hasExited || undefined);
  };
  await start();
  const { username, password } = mariadbAccount;
  await ask(`create user '${username}'@'127.0.0.1' identified by '${password}'`);
  await ask(`grant all privileges on \`gateway%\`.* to '${username}'@'127.0.0.1'`);
  return {
    port,
    socket,
    ask,
    kill,
    start,
    freeze: () => child.signal('SIGSTOP'),
    thaw: () => child.signal('SIGCONT'),
    async stop() {
      await kill();
      await folder.remove();
    },
  };
}
