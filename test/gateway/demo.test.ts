import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type Child, startChild } from '../support/child.ts';
import { gatewayCommand, mustBeComplete } from '../support/environment.ts';
import { announce } from '../support/announce.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { exchange, type HeaderLine, type RawAnswer, requestBytes } from '../support/raw-http.ts';
import { missingRedis } from '../support/redis-server.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';

/** The README's first command, as a process. Names are reached by 127.0.0.1 with Host and SNI. */
describe('sallyport demo', () => {
  let folder: TemporaryFolder;
  let child: Child;
  let port: number;
  let authority: string;
  let passwords: ReadonlyMap<string, string>;

  beforeAll(async () => {
    folder = await temporaryFolder('demo');
    port = await freePort();
    child = startChild(gatewayCommand, ['demo', '--dir', 'kept', '--port', String(port)], {
      cwd: folder.path,
    });
    await eventually('the demo says where it is', 30_000, () => {
      if (child.hasExited) throw new Error(child.output());
      return child.output().includes('Ctrl-C') || undefined;
    });
    authority = await readFile(join(folder.path, 'kept/ca.pem'), 'utf8');
    passwords = new Map(
      ['alice', 'bob'].map((name) => [name, new RegExp(`${name} +(\\S+)`).exec(child.output())?.[1] ?? '']),
    );
  });
  afterAll(async () => {
    await child?.stop();
    await folder?.remove();
  });

  function ask(
    name: string,
    target: string,
    headers: readonly HeaderLine[] = [],
    body = '',
  ): Promise<RawAnswer> {
    const host = `${name}.demo.localhost`;
    const accept: HeaderLine[] = headers.some(([name]) => name === 'Accept') ? [] : [['Accept', 'text/html']];
    const lines: HeaderLine[] = [['Host', `${host}:${port}`], ...accept, ...headers];
    return exchange(
      { port, tls: { servername: host, authority } },
      requestBytes(body === '' ? 'GET' : 'POST', target, lines, body),
    );
  }

  async function signIn(username: string): Promise<HeaderLine> {
    const form = new URLSearchParams({ username, password: passwords.get(username) ?? '' }).toString();
    const rd = encodeURIComponent(`https://whoami.demo.localhost:${port}/x?y=1`);
    const answer = await ask(
      'auth',
      `/form/login?rd=${rd}&rm=GET`,
      [
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Origin', `https://auth.demo.localhost:${port}`],
      ],
      form,
    );
    expect(answer.status).toBe(303);
    expect(answer.header('location')).toBe(`https://whoami.demo.localhost:${port}/x?y=1`);
    const cookie = answer.header('set-cookie') ?? '';
    expect(cookie).toMatch(
      /^__Secure-sallyport=[\w-]{43}; Path=\/; Domain=demo\.localhost; Max-Age=43200; HttpOnly; Secure; SameSite=Lax$/,
    );
    return ['Cookie', cookie.split(';', 1)[0] ?? ''];
  }

  test('a stranger is sent to the portal, which says where one signs in', async () => {
    const answer = await ask('whoami', '/a?b=c');
    expect(answer.status).toBe(302);
    const location = new URL(answer.header('location') ?? '');
    expect(location.searchParams.get('rd')).toBe(`https://whoami.demo.localhost:${port}/a?b=c`);
    const page = await ask('auth', location.pathname + location.search);
    expect(page.status).toBe(200);
    expect(page.body.toString()).toContain('<form method="post"');
  });

  test('after signing in the application sees who it is, and neither the cookie nor a forged name', async () => {
    const cookie = await signIn('alice');
    const answer = await ask('whoami', '/', [
      cookie,
      ['Remote-User', 'root'],
      ['Remote_User', 'root'],
      ['Accept', 'text/plain'],
    ]);
    const seen = answer.body.toString();
    expect(seen).toContain('Remote-User: alice\n');
    expect(seen).toContain('Remote-Name: Alice Ångström\n');
    expect(seen).toContain('Remote-Groups: admins,family\n');
    expect(seen).not.toContain('root');
    expect(seen).not.toContain('__Secure-sallyport');
  });

  test('groups decide, one factor is not enough for the bank, public is open', async () => {
    const [alice, bob] = [await signIn('alice'), await signIn('bob')];
    expect((await ask('admin', '/', [alice])).status).toBe(200);
    expect((await ask('admin', '/', [bob])).status).toBe(403);
    expect((await ask('bank', '/', [alice])).status).toBe(302);
    const stranger = await ask('public', '/', [
      ['Remote-User', 'root'],
      ['Accept', 'text/plain'],
    ]);
    expect(stranger.status).toBe(200);
    expect(stranger.body.toString()).toContain('Remote-User: \n');
  });

  test('what is kept is kept to its owner, and Ctrl-C ends it cleanly', async () => {
    const text = await readFile(join(folder.path, 'kept/configuration.yml'), 'utf8');
    expect(text).toContain('default_policy: deny');
    child.signal('SIGINT');
    await eventually('it ends', 10_000, () => child.hasExited || undefined);
    expect(child.exitCode).toBe(0);
    const again = startChild(gatewayCommand, ['demo', '--dir', 'kept', '--port', String(port)], {
      cwd: folder.path,
    });
    try {
      await eventually('it starts again', 30_000, () => again.output().includes('Ctrl-C') || undefined);
      expect(again.output(), 'the same people').toContain(passwords.get('alice') ?? 'nobody');
    } finally {
      await again.stop();
    }
  });
});

const missing = missingRedis();
if (missing !== undefined)
  announce(`the demo with replicas needs ${missing}: run scripts/install-test-servers`);

describe.skipIf(missing !== undefined && !mustBeComplete)('sallyport demo --replicas 2', () => {
  test('a session outlives the replica that began it', async () => {
    const folder = await temporaryFolder('demo-replicas');
    const port = await freePort();
    const args = ['demo', '--replicas', '2', '--dir', 'kept', '--port', String(port)];
    const demo = startChild(gatewayCommand, args, { cwd: folder.path });
    try {
      await eventually('the demo says where it is', 30_000, () => {
        if (demo.hasExited) throw new Error(demo.output());
        return demo.output().includes('replicas share') || undefined;
      });
      const authority = await readFile(join(folder.path, 'kept/ca.pem'), 'utf8');
      const ask = (
        name: string,
        target: string,
        headers: readonly HeaderLine[],
        body = '',
      ): Promise<RawAnswer> =>
        exchange(
          { port, tls: { servername: `${name}.demo.localhost`, authority } },
          requestBytes(
            body === '' ? 'GET' : 'POST',
            target,
            [['Host', `${name}.demo.localhost:${port}`], ['Accept', 'text/plain'], ...headers],
            body,
          ),
        );
      const password = /alice +(\S+)/.exec(demo.output())?.[1] ?? '';
      const json: HeaderLine = ['Content-Type', 'application/json'];
      const signedIn = await ask(
        'auth',
        '/api/firstfactor',
        [json],
        JSON.stringify({ username: 'alice', password }),
      );
      expect(signedIn.status).toBe(200);
      const cookie =
        signedIn
          .all('set-cookie')
          .find((line) => line.startsWith('__Secure-'))
          ?.split(';', 1)[0] ?? '';
      const visit = async (): Promise<string> =>
        (await ask('whoami', '/', [['Cookie', cookie]])).body.toString();
      expect(await visit()).toContain('Remote-User: alice');

      const children = await readFile(`/proc/${demo.pid}/task/${demo.pid}/children`, 'utf8');
      const replicas: number[] = [];
      for (const pid of children.trim().split(/\s+/).map(Number)) {
        const command = await readFile(`/proc/${pid}/cmdline`, 'utf8');
        if (command.includes('replica-')) replicas.push(pid);
      }
      expect(replicas).toHaveLength(2);
      process.kill(replicas[0] as number, 'SIGKILL');
      for (let i = 0; i < 20; i++) expect(await visit()).toContain('Remote-User: alice');
    } finally {
      await demo.stop();
      await folder.remove();
    }
    expect(demo.exitCode).toBe(0);
  });
});
