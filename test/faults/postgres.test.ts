import { Client } from 'pg';
import { describe, test } from 'vitest';

import { announce } from '../support/announce.ts';
import { mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import {
  missingPostgres,
  type PostgresServerOptions,
  type PostgresTestServer,
  startPgbouncer,
  startPostgresServer,
  testAccount,
} from '../support/postgres-server.ts';
import { runRow } from './run-row.ts';
import { keep, keepOpen, startReplicas } from './stage.ts';
import { openRelay } from '../support/relay.ts';

/** Two gateways with their sessions in PostgreSQL. */

const missing = missingPostgres();
if (missing !== undefined && !mustBeComplete)
  announce(`SKIPPED: ${missing} is not installed (scripts/install-test-servers)`);

const section = (port: number, over: object = {}): object => ({
  postgres: { address: `tcp://127.0.0.1:${port}`, ...testAccount, ...over },
});

async function stage(
  options: PostgresServerOptions = {},
): Promise<{ readonly server: PostgresTestServer; readonly ports: readonly number[] }> {
  const server = keep(await startPostgresServer(options));
  const replicas = await startReplicas({ ...section(server.port) });
  return { server, ports: replicas.map(({ port }) => port) };
}

describe.skipIf(missing !== undefined && !mustBeComplete)('faults of PostgreSQL', () => {
  test('F16', async () => {
    const { server, ports } = await stage();
    await runRow({ id: 'F16', fault: 'PostgreSQL restarted (fast)', ports }, async ({ hold }) => {
      await server.shutDown();
      await hold();
      await server.start();
    });
  });

  test('F17', async () => {
    const { server, ports } = await stage({ settings: { fsync: 'on' } });
    await runRow({ id: 'F17', fault: 'PostgreSQL killed, crash recovery', ports }, async ({ hold }) => {
      await server.kill();
      await hold();
      await server.start();
    });
  });

  test('F17b', async () => {
    const server = keep(await startPostgresServer());
    const relay = keepOpen(await openRelay(server.port));
    const replicas = await startReplicas({ ...section(relay.port) });
    const ports = replicas.map(({ port }) => port);
    await runRow(
      { id: 'F17b', fault: 'PostgreSQL not heard any more (black hole)', ports },
      async ({ hold }) => {
        relay.silence();
        await hold(2);
        await relay.heal();
      },
    );
  });

  test('F18', async () => {
    const settings = { synchronous_standby_names: '*' };
    const primary = keep(await startPostgresServer());
    const standby = keep(await startPostgresServer({ standbyOf: primary }));
    const set = Object.entries(settings).map(([name, value]) => `alter system set ${name} = '${value}'`);
    for (const one of set) await primary.ask(one);
    await primary.ask('select pg_reload_conf()');
    const servers = [{ address: `tcp://127.0.0.1:${standby.port}` }];
    const replicas = await startReplicas({ ...section(primary.port, { servers }) });
    const row = { id: 'F18', fault: 'PostgreSQL: primary killed, synchronous standby promoted' };
    await runRow({ ...row, ports: replicas.map(({ port }) => port) }, async ({ hold }) => {
      await primary.kill();
      await hold();
      await standby.ask("alter system set synchronous_standby_names = ''");
      await standby.promote();
      await eventually('the standby takes writes', 10_000, async () => {
        const [row] = await standby.ask('select pg_is_in_recovery()');
        return row?.[0] === false || undefined;
      });
      await standby.ask('select pg_reload_conf()');
    });
  });

  test('F19', async () => {
    const { server, ports } = await stage({ settings: { max_connections: '12' } });
    const row = { id: 'F19', fault: 'PostgreSQL: no connection left, ours ended', ports };
    await runRow(row, async ({ hold }) => {
      const greedy: Client[] = [];
      const end = `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${testAccount.username}' and application_name <> 'greedy'`;
      const take = async (): Promise<void> => {
        const { database, username: user, password } = testAccount;
        const client = new Client({
          host: '127.0.0.1',
          port: server.port,
          database,
          user,
          password,
          application_name: 'greedy',
        });
        client.on('error', () => {});
        await client.connect();
        greedy.push(client);
      };
      // Whoever is refused has found the last place taken: ours are ended until all places are the other client's.
      await server.ask(end);
      await eventually('no place is left', 10_000, async () => {
        const full = await take().then(
          () => false,
          () => true,
        );
        if (!full) return undefined;
        const [ours] = await server.ask(
          `select count(*)::int from pg_stat_activity where usename = '${testAccount.username}' and application_name <> 'greedy'`,
        );
        if (ours?.[0] === 0) return true;
        await server.ask(end);
        return undefined;
      });
      await hold(2);
      await Promise.all(greedy.map((client) => client.end()));
    });
  });

  test('F20', async () => {
    const server = keep(await startPostgresServer());
    const pgbouncer = keep(await startPgbouncer(server.port));
    const replicas = await startReplicas({ ...section(pgbouncer.port) });
    const ports = replicas.map(({ port }) => port);
    await runRow(
      { id: 'F20', fault: 'pgbouncer (transaction mode) killed and restarted', ports },
      async () => {
        await pgbouncer.restart();
      },
    );
  });
});
