/** Everything that takes part in a comparison: servers, stores and files of requests. */
import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { missingPostgres, startPostgresServer, testAccount } from '../test/support/postgres-server.ts';
import { missingRedis, type RedisServer, startRedisServer } from '../test/support/redis-server.ts';
import { type RunningGateway, type GatewaySetup, signInAll, startGateway } from './gateways.ts';
import type { Subject } from './measure.ts';
import { startSite } from './nginx.ts';
import { DENIED_HOST, fiftyRules, hostOf, manyHosts, manyRules, onOneHost, ownHostOf } from './policies.ts';
import { SERVER_CORE } from './processes.ts';
import { type Mix, requestFile, unknownCookie } from './requests.ts';

export interface Stage {
  readonly subjects: readonly Subject[];
  readonly redis: RedisServer | null;
  /** What is not installed and was therefore left out. */
  readonly missing: readonly string[];
  stop(): Promise<void>;
}

/** `short`: what CI compares. */
export async function openStage(
  command: string,
  folder: string,
  { short, say }: { readonly short: boolean; readonly say: (text: string) => void },
): Promise<Stage> {
  const stops: (() => Promise<void>)[] = [];
  const subjects: Subject[] = [];
  const missing: string[] = [];
  const core = String(SERVER_CORE);
  const requestsFolder = join(folder, 'requests');
  mkdirSync(requestsFolder, { recursive: true });

  const file = (name: string, mix: Partial<Mix>): string => {
    const path = join(requestsFolder, name.replaceAll(/\W+/g, '-'));
    writeFileSync(path, requestFile({ endpoint: 'auth-request', host: hostOf, cookie: () => null, ...mix }));
    return path;
  };
  const open = async (setup: GatewaySetup, cores = core): Promise<RunningGateway> => {
    say(`starting: ${setup.name}`);
    const gateway = await startGateway(command, folder, cores, setup);
    stops.push(() => gateway.stop());
    return gateway;
  };
  const add = (
    name: string,
    { port, pid }: { readonly port: number; readonly pid: number },
    requests: string,
    more: Partial<Subject> = {},
  ): void => void subjects.push({ name, url: `http://127.0.0.1:${port}/`, pid, requests, ...more });
  const of = (cookies: readonly string[]) => (index: number) => cookies[index] ?? null;

  const yardstick = await startYardstick(core);
  stops.push(yardstick.stop);

  // The sessions of one gateway are known to that gateway alone, except where the store is shared.
  const memory = await open({ name: 'memory', rules: fiftyRules });
  const cookies = await signInAll(memory);
  const plain = file('memory', { cookie: of(cookies) });
  add('yardstick', yardstick, plain);
  add('memory', memory, plain);

  const stored = async (
    setup: GatewaySetup,
    mix: Partial<Mix> = {},
    more: Partial<Subject> = {},
  ): Promise<void> => {
    const gateway = await open(setup);
    const own = await signInAll(gateway);
    add(setup.name, gateway, file(setup.name, { cookie: of(own), ...mix }), more);
  };

  await stored({
    name: 'filesystem',
    rules: fiftyRules,
    session: { filesystem: { path: join(folder, 'filesystem-sessions') } },
  });

  let redis: RedisServer | null = null;
  if (missingRedis() === undefined) {
    redis = await startRedisServer();
    const server = redis;
    stops.push(() => server.stop());
    const info = String(await server.ask('INFO', 'server'));
    const store = Number(/^process_id:(\d+)/m.exec(info)?.[1]);
    const session = { redis: { host: '127.0.0.1', port: server.port } };
    const byTcp = await open({ name: 'redis', rules: fiftyRules, session });
    const own = await signInAll(byTcp);
    const requests = file('redis', { cookie: of(own) });
    add('redis', byTcp, requests, { store });
    if (!short) {
      const bySocket = { redis: { host: server.socket } };
      add(
        'redis by its socket',
        await open({ name: 'redis-socket', rules: fiftyRules, session: bySocket }),
        requests,
        { store },
      );
      add('redis, unknown cookies', byTcp, file('unknown', { cookie: unknownCookie }), {
        store,
        refuses: true,
      });
      const one = await open({ name: 'one-worker', rules: fiftyRules, session }, '0,1');
      const two = await open({ name: 'two-workers', rules: fiftyRules, session, workers: 2 }, '0,1');
      add('redis, one worker, both cores', one, requests, { connections: 64 });
      add('redis, two workers, both cores', two, requests, {
        connections: 64,
        base: 'redis, one worker, both cores',
      });
    }
  } else missing.push('Redis');

  if (missingPostgres() === undefined) {
    const server = await startPostgresServer();
    stops.push(() => server.stop());
    const [row] = await server.ask(`select pg_read_file('postmaster.pid')`);
    const store = Number(String(row?.[0]).split('\n', 1)[0]);
    const { database, username, password } = testAccount;
    const address = `tcp://127.0.0.1:${server.port}`;
    const session = { postgres: { address, database, username, password } };
    await stored({ name: 'postgres', rules: fiftyRules, session }, {}, { store });
  } else missing.push('PostgreSQL');

  const afterMemory = { base: 'memory', isAlike: true };
  await stored({ name: '1,000 rules on 50 hosts', rules: manyRules }, {}, afterMemory);
  if (short) return stage();
  await stored({ name: '1,000 rules on 1,000 hosts', rules: manyHosts }, { host: ownHostOf }, afterMemory);
  await stored({ name: '1,000 rules on one host', rules: onOneHost }, { host: () => hostOf(0) }, afterMemory);

  add('anonymous, 401', memory, file('anonymous-401', {}), { refuses: true });
  add('anonymous, 302', memory, file('anonymous-302', { endpoint: 'forward-auth' }));
  add('denied, 403', memory, file('denied', { cookie: of(cookies), host: () => DENIED_HOST }), {
    refuses: true,
  });

  const closing = file('closing', { cookie: of(cookies), closes: true });
  add('yardstick, new connections', yardstick, closing);
  add('memory, new connections', memory, closing, { base: 'yardstick, new connections' });

  const bySocket = await open({ name: 'memory-socket', rules: fiftyRules, socket: true });
  const socketCookies = await signInAll(bySocket);
  const site = await startSite(join(folder), [memory, bySocket]);
  stops.push(() => site.stop());
  const page = file('page', { endpoint: 'page', cookie: of(cookies) });
  const [byTcp = 0, bySocketPort = 0] = site.guarded;
  add('nginx, open page', { port: site.open, pid: site.pid }, page);
  add('nginx, guarded page', { port: byTcp, pid: memory.pid }, page, { base: 'nginx, open page' });
  add(
    'nginx, guarded page, gateway by socket',
    { port: bySocketPort, pid: bySocket.pid },
    file('page-socket', { endpoint: 'page', cookie: of(socketCookies) }),
    { base: 'nginx, guarded page' },
  );
  return stage();

  function stage(): Stage {
    return {
      subjects,
      redis,
      missing,
      async stop() {
        for (const stop of stops.toReversed()) await stop();
      },
    };
  }
}

async function startYardstick(
  core: string,
): Promise<{ readonly port: number; readonly pid: number; stop(): Promise<void> }> {
  const child = spawn('taskset', ['-c', core, process.execPath, join(import.meta.dirname, 'yardstick.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    port: Number(line.toString()),
    pid: child.pid ?? 0,
    async stop() {
      child.kill();
      await once(child, 'exit');
    },
  };
}
