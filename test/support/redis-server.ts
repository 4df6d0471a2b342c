import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  dialRedis,
  type RedisLogin,
  type RedisCommand,
  type RedisConnection,
  type RedisReply,
} from '../../src/lib/redis.ts';
import { systemTimers } from '../../src/lib/timers.ts';
import { type Child, startChild } from './child.ts';
import { findProgram } from './environment.ts';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { temporaryFolder } from './temporary-folder.ts';
import type { TestCertificate } from './test-authority.ts';

/** What must be installed, or undefined when everything is. */
export function missingRedis(): string | undefined {
  return findProgram('redis-server') === undefined ? 'redis-server' : undefined;
}

/** A real redis-server, or a Sentinel, on a loopback port of its own. */
export interface RedisServer {
  readonly port: number;
  readonly socket: string;
  /** One command by an administrator. */
  ask(...command: RedisCommand): Promise<RedisReply>;
  /** SIGKILL; returns when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** Starts again at the same port with the files that are there. */
  restart(): Promise<void>;
  output(): string;
  /** Also removes its files. */
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  readonly sentinel?: boolean;
  /** Lines of its configuration. */
  readonly lines?: readonly string[];
  /** TLS at `port` instead of plain text. */
  readonly tls?: TestCertificate;
  /** Whether clients must show a certificate too. */
  readonly clientCertificates?: boolean;
  /** By whom `ask` is done. */
  readonly administrator?: { readonly username?: string; readonly password: string };
}

/** Returns when it answers. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const { sentinel = false, lines = [], tls, administrator } = options;
  const program = findProgram('redis-server');
  if (program === undefined)
    throw new Error('redis-server is not installed: run scripts/install-test-servers');
  const [folder, port] = await Promise.all([temporaryFolder('redis'), freePort()]);
  const socket = join(folder.path, 'socket');
  const file = join(folder.path, 'redis.conf');
  const transport = tls
    ? [
        'port 0',
        `tls-port ${port}`,
        `tls-cert-file ${tls.certificateFile}`,
        `tls-key-file ${tls.keyFile}`,
        `tls-ca-cert-file ${tls.authorityFile}`,
        `tls-auth-clients ${options.clientCertificates ? 'yes' : 'no'}`,
        'tls-replication yes',
      ]
    : [`port ${port}`];
  const own = sentinel ? [] : [`unixsocket ${socket}`, 'save ""', 'repl-diskless-sync-delay 0'];
  await writeFile(
    file,
    [
      'bind 127.0.0.1',
      'protected-mode no',
      `dir ${folder.path}`,
      'daemonize no',
      ...transport,
      ...own,
      ...lines,
      '',
    ].join('\n'),
  );

  let child: Child;
  let connection: RedisConnection | null = null;
  const login: RedisLogin = {
    username: administrator?.username,
    password: administrator?.password,
    database: 0,
    name: 'test',
    tls: tls
      ? {
          skip_verify: true,
          minimum_version: 'TLS1.2',
          maximum_version: 'TLS1.3',
          certificate_chain: readFileSync(tls.certificateFile, 'utf8'),
          private_key: readFileSync(tls.keyFile, 'utf8'),
        }
      : null,
  };
  const ask = async (...command: RedisCommand): Promise<RedisReply> => {
    if (connection === null || connection.fault !== null) {
      connection = await dialRedis({ host: '127.0.0.1', port }, login, 2000, {
        timers: systemTimers,
        onLost() {},
      });
    }
    return connection.send(command);
  };
  const start = async (): Promise<void> => {
    child = startChild(program, [file, ...(sentinel ? ['--sentinel'] : [])], { cwd: folder.path });
    await eventually(`${sentinel ? 'the Sentinel' : program} answers`, 8000, async () => {
      if (child.hasExited) throw new Error(child.output());
      return (await ask('PING')) === 'PONG' ? true : undefined;
    });
  };
  const kill = async (): Promise<void> => {
    child.signal('SIGKILL');
    await child.stop();
  };
  await start();
  return {
    port,
    socket,
    ask,
    kill,
    restart: start,
    freeze: () => child.signal('SIGSTOP'),
    thaw: () => child.signal('SIGCONT'),
    output: () => child.output(),
    async stop() {
      connection?.close();
      await kill();
      await folder.remove();
    },
  };
}
