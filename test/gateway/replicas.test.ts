import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { announce } from '../support/announce.ts';
import { type Child, startChild } from '../support/child.ts';
import { gatewayCommand, mustBeComplete } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { exchange, type HeaderLine, type RawAnswer, requestBytes } from '../support/raw-http.ts';
import { missingRedis, type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';

/** Several gateways, as processes, over one Redis. */

const missing = missingRedis();
if (missing !== undefined) announce(`replica tests need ${missing}: run scripts/install-test-servers`);

const fixtures = join(import.meta.dirname, '../proxies/fixtures');
const COOKIE = '__Secure-sallyport';
const PRIVATE = 'https://app1.example.com/private';
const OPEN = 'https://app1.example.com/public';

const opened: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.stop();
});

interface Replica {
  readonly port: number;
  readonly child: Child;
}

async function startReplica(
  redis: RedisServer,
  folder: TemporaryFolder,
  change = (text: string) => text,
): Promise<Replica> {
  const port = await freePort();
  const configuration = join(folder.path, `configuration-${port}.yml`);
  const text = (await readFile(join(fixtures, 'configuration.yml'), 'utf8'))
    .replace(':9091', `:${port}`)
    .replaceAll('/folder/', `${folder.path}/`)
    .replace('session:', `session:\n  redis:\n    host: 127.0.0.1\n    port: ${redis.port}`);
  await copyFile(join(fixtures, 'users.yml'), join(folder.path, 'users.yml'));
  await writeFile(configuration, change(text));
  const child = startChild(gatewayCommand, ['--config', configuration], { cwd: folder.path });
  opened.push(child);
  await eventually('the replica answers', 30_000, async () => {
    if (child.hasExited) throw new Error(child.output());
    const answer = await exchange({ port }, requestBytes('GET', '/api/health', [['Host', 'x']]));
    return answer.status === 200 || undefined;
  });
  return { port, child };
}

async function startStore(): Promise<{ redis: RedisServer; folder: TemporaryFolder }> {
  const folder = await temporaryFolder('replicas');
  opened.push({ stop: () => folder.remove() });
  const redis = await startRedisServer();
  opened.push(redis);
  return { redis, folder };
}

function ask({ port }: Replica, url: string, cookie: string, method = 'GET'): Promise<RawAnswer> {
  const { host, pathname } = new URL(url);
  return exchange(
    { port },
    requestBytes('GET', '/api/authz/forward-auth', [
      ['Host', 'gateway'],
      ['X-Forwarded-Method', method],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', host],
      ['X-Forwarded-Uri', pathname],
      ['X-Forwarded-For', '203.0.113.10'],
      ['Accept', 'text/html'],
      ['Cookie', cookie],
    ]),
  );
}

function post({ port }: Replica, path: string, body: object, cookie = ''): Promise<RawAnswer> {
  const headers: HeaderLine[] = [
    ['Host', 'auth.example.com'],
    ['X-Forwarded-Proto', 'https'],
    ['Content-Type', 'application/json'],
    ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
  ];
  return exchange({ port }, requestBytes('POST', path, headers, JSON.stringify(body)));
}

async function signIn(replica: Replica): Promise<string> {
  const answer = await post(replica, '/api/firstfactor', { username: 'john', password: 'pw-john-Correct1' });
  expect(answer.status).toBe(200);
  const line = answer.all('set-cookie').find((one) => one.startsWith(`${COOKIE}=`));
  return line?.split(';', 1)[0] ?? '';
}

describe.skipIf(missing !== undefined && !mustBeComplete)('replicas over one Redis', () => {
  test('share every session, lose none when one of them is killed, and a sign-out holds at once on the other', async () => {
    const { redis, folder } = await startStore();
    const [one, other] = [await startReplica(redis, folder), await startReplica(redis, folder)];
    const cookie = await signIn(one);
    expect((await ask(other, PRIVATE, cookie)).header('remote-user')).toBe('john');

    one.child.signal('SIGKILL');
    await one.child.stop();
    expect((await ask(other, PRIVATE, cookie)).status).toBe(200);

    const third = await startReplica(redis, folder);
    expect((await post(third, '/api/logout', {}, cookie)).status).toBe(200);
    expect((await ask(other, PRIVATE, cookie)).status).toBe(302);
    expect((await ask(third, PRIVATE, cookie)).status).toBe(302);
  });

  test('while the store is down: 503 and no cookie touched, bypass goes on, sign-out says so, and all is well after', async () => {
    const { redis, folder } = await startStore();
    const replica = await startReplica(redis, folder);
    const cookie = await signIn(replica);
    redis.freeze();
    const down = await ask(replica, PRIVATE, cookie);
    expect([down.status, down.header('retry-after'), down.header('set-cookie')]).toEqual([
      503,
      '2',
      undefined,
    ]);
    expect((await ask(replica, OPEN, cookie)).status).toBe(200);
    const out = await post(replica, '/api/logout', {}, cookie);
    expect([out.status, out.header('set-cookie')]).toEqual([503, undefined]);
    const ready = await exchange({ port: replica.port }, requestBytes('GET', '/api/ready', [['Host', 'x']]));
    expect(ready.status).toBe(503);
    redis.thaw();
    await eventually('the session is answered again', 10_000, async () => {
      const { status } = await ask(replica, PRIVATE, cookie);
      return status === 200 || status === 302 || undefined;
    });
  });

  test('the degraded mode serves reading requests of what was seen a moment ago, and nothing else', async () => {
    const { redis, folder } = await startStore();
    const degraded = (text: string): string =>
      text.replace('session:', 'session:\n  degraded:\n    maximum_age: 60s');
    const replica = await startReplica(redis, folder, degraded);
    const [seen, unseen] = [await signIn(replica), await signIn(replica)];
    expect((await ask(replica, PRIVATE, seen)).status).toBe(200);
    await redis.kill();
    const read = await ask(replica, PRIVATE, seen);
    expect([read.status, read.header('remote-user')]).toEqual([200, 'john']);
    expect((await ask(replica, PRIVATE, seen, 'POST')).status).toBe(503);
    expect((await ask(replica, PRIVATE, unseen)).status).toBe(503);
    expect(
      (await post(replica, '/api/firstfactor', { username: 'john', password: 'pw-john-Correct1' })).status,
    ).toBe(503);
    expect((await post(replica, '/api/logout', {}, seen)).status).toBe(503);
    expect((await ask(replica, PRIVATE, seen)).status, 'who asked to be signed out is not let in').toBe(503);
  });

  test('a secret is changed in three rolls, and nobody is signed out', async () => {
    const { redis, folder } = await startStore();
    const secrets = (secret: string, accepted: string) => (text: string) =>
      text.replace(/ {2}secret: .*/, `  secret: ${secret}\n  accepted_secrets: [${accepted}]`);
    const start = (secret: string, accepted: string) =>
      startReplica(redis, folder, secrets(secret, accepted));
    const first = await start('the-old-secret-of-tests', '');
    const cookie = await signIn(first);
    const rolls = [
      await start('the-old-secret-of-tests', 'the-new-secret-of-tests'),
      await start('the-new-secret-of-tests', 'the-old-secret-of-tests'),
    ];
    for (const roll of rolls) expect((await ask(roll, PRIVATE, cookie)).status).toBe(200);
    const newer = await signIn(rolls[1] as Replica);
    expect((await ask(rolls[0] as Replica, PRIVATE, newer)).status).toBe(200);
    const last = await start('the-new-secret-of-tests', '');
    expect((await ask(last, PRIVATE, newer)).status).toBe(200);
    expect((await ask(last, PRIVATE, cookie)).status, 'an unknown secret is no sign-out').toBe(503);
    expect((await ask(first, PRIVATE, cookie)).status, 'and the record is untouched').toBe(200);
  });

  test('workers share a port; one that dies is replaced; all end together', async () => {
    const { redis, folder } = await startStore();
    const workers = (text: string): string => text.replace('server:', 'server:\n  workers: 2');
    const replica = await startReplica(redis, folder, workers);
    const cookie = await signIn(replica);
    const pids = await eventually('both workers are there', 20_000, async () => {
      const listed = await readFile(`/proc/${replica.child.pid}/task/${replica.child.pid}/children`, 'utf8');
      const found = listed.trim().split(/\s+/).map(Number);
      return found.length === 2 ? found : undefined;
    });
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(replica, PRIVATE, cookie)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));

    process.kill(pids[0] as number, 'SIGKILL');
    await eventually('another one takes its place', 20_000, async () => {
      const listed = await readFile(`/proc/${replica.child.pid}/task/${replica.child.pid}/children`, 'utf8');
      const found = listed.trim().split(/\s+/).map(Number);
      return (found.length === 2 && !found.includes(pids[0] as number)) || undefined;
    });
    expect((await ask(replica, PRIVATE, cookie)).status).toBe(200);
    await replica.child.stop();
    expect(replica.child.exitCode).toBe(0);
  });
});
