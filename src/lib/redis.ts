import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';

import type { Timers } from './timers.ts';
import { type TlsConfig, tlsOptions } from './tls-options.ts';

/**
 * One connection to Redis, Valkey or a Sentinel: home of the client library, which is loaded at the first dial only.
 * A connection is dialed once and never comes back by itself; what keeps one alive is in `redis/link.ts`. There is no
 * offline queue: a command on a connection that is gone fails at once.
 */
export interface RedisConnection {
  /** Null while the connection stands, then why it fell. */
  readonly fault: Error | null;
  /**
   * Sends one command; those of one turn of the event loop go out together and in order. Rejects with the server's error
   * (its code by `redisErrorCode`), with the fault when the connection falls before the reply (whether the command was
   * carried out is unknown then), and at once when it has fallen or too many commands wait for replies.
   */
  send(command: RedisCommand, options?: { readonly asBuffers?: boolean }): Promise<RedisReply>;
  /** Calls `listener` with each message on these channels. */
  subscribe(channels: readonly string[], listener: (message: string) => void): Promise<void>;
  /** Commands under way are rejected. */
  close(reason?: Error): void;
}

export type RedisCommand = readonly (string | Buffer)[];

/** Replies as RESP3 has them; text as strings, or as Buffers where `asBuffers` was asked for. */
export type RedisReply =
  | string
  | number
  | boolean
  | Buffer
  | null
  | readonly RedisReply[]
  | { readonly [name: string]: RedisReply };

export type RedisAddress = { readonly host: string; readonly port: number } | { readonly path: string };

export interface RedisLogin {
  /** Without it, the user `default`. */
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** `tls` of the configuration; null: plain text. */
  readonly tls: TlsConfig | null;
  /** Shown by CLIENT LIST. */
  readonly name: string;
}

interface DialDeps {
  readonly timers: Timers;
  /** Called once, when a connection that stood has fallen, also by `close`. */
  readonly onLost: (fault: Error) => void;
}

/** More than the busiest gateway has under way within its deadlines. */
const MOST_WAITING = 4000;

/** Connects, encrypts, signs in and selects the database, all within `limit` milliseconds. */
export async function dialRedis(
  address: RedisAddress,
  login: RedisLogin,
  limit: number,
  { timers, onLost }: DialDeps,
): Promise<RedisConnection> {
  const { createClient, RESP_TYPES } = await import('@redis/client');
  const { username, password } = login;
  const client = createClient({
    RESP: 3,
    name: login.name,
    disableClientInfo: true,
    disableOfflineQueue: true,
    commandsQueueMaxLength: MOST_WAITING,
    database: login.database,
    // A user without a password takes any; the library sends the name only together with one.
    ...(username || password ? { username: username || 'default', password: password || 'none' } : {}),
    socket: {
      ...address,
      ...secureOptions(login.tls, address),
      connectTimeout: limit,
      reconnectStrategy: false,
    },
  });
  let stands = false;
  let fault: Error | null = null;
  const fall = (reason: Error): void => {
    if (fault !== null) return;
    fault = reason;
    if (!stands) return;
    onLost(reason);
    // After the library has rejected what was under way with the reason.
    queueMicrotask(() => client.destroy());
  };
  client.on('error', fall);

  await new Promise<void>((resolve, reject) => {
    const cancel = timers.after(limit, () => {
      fall(new RedisTimeout(`no connection to ${formatRedisAddress(address)} within ${limit} ms`));
      client.destroy();
      reject(fault ?? new Error());
    });
    client
      .connect()
      // The library finishes a dial that was given up.
      .then(() => (fault === null ? resolve() : client.destroy()))
      .catch((error: Error) => {
        fall(error);
        reject(error);
      })
      .finally(cancel);
  });
  stands = true;

  const buffers = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };
  return {
    get fault() {
      return fault;
    },
    send(command, options) {
      if (fault !== null) return Promise.reject(fault);
      return client.sendCommand<never>(command, options?.asBuffers === true ? buffers : undefined);
    },
    async subscribe(channels, listener) {
      await client.subscribe([...channels], (message) => listener(message));
    },
    close(reason = new Error('the connection was closed')) {
      fall(reason);
      client.destroy();
    },
  };
}

/** Nobody answered in time. */
export class RedisTimeout extends Error {
  override name = 'RedisTimeout';
}

/** The server's own code (`READONLY`, `WRONGPASS`, …), or that of the system (`ECONNREFUSED`); null without one. */
export function redisErrorCode(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return /^[A-Z]{3,}(?= )/.exec(error.message)?.[0] ?? null;
}

/** For a PING that was rejected: a server that cannot save refuses it like a write, but is alive and answers reads. */
export function acceptRefusedPing(error: unknown): null {
  if (redisErrorCode(error) !== 'MISCONF') throw error;
  return null;
}

/** A host (IPv6 also in brackets) and port, or the absolute path of a Unix socket. */
export function redisAddress(host: string, port: number): RedisAddress {
  if (host.startsWith('/')) return { path: host };
  return { host: /^\[.*\]$/.test(host) ? host.slice(1, -1) : host, port };
}

export function formatRedisAddress(address: RedisAddress): string {
  if ('path' in address) return address.path;
  return `${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port}`;
}

export function isSameRedisAddress(one: RedisAddress | null, other: RedisAddress | null): boolean {
  return (
    one === other || (one !== null && other !== null && formatRedisAddress(one) === formatRedisAddress(other))
  );
}

function secureOptions(tls: TlsConfig | null, address: RedisAddress): object {
  if (tls === null) return {};
  const host = 'host' in address ? address.host : 'localhost';
  return {
    tls: true,
    ...tlsOptions(tls, host),
    // The library connects to `host`; the certificate may have to carry another name or address.
    host,
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      checkServerIdentity(tls.server_name ?? host, certificate),
  };
}
