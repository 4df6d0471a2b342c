import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { afterEach, describe, expect, test } from 'vitest';

import { type Child, startChild } from '../support/child.ts';
import { gatewayCommand } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { freePort } from '../support/free-port.ts';
import { exchange, type RawAnswer, requestBytes } from '../support/raw-http.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporary-folder.ts';

/** The gateway as people start it: bin/sallyport as a process, from the sources or from the bundle. */

const fixtures = join(import.meta.dirname, '../proxies/fixtures');
const opened: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).toReversed()) await one.stop();
});

interface Place {
  readonly folder: TemporaryFolder;
  readonly port: number;
  readonly configuration: string;
  edit(change: (text: string) => string): Promise<void>;
}

async function prepare(change: (text: string) => string = (text) => text): Promise<Place> {
  const folder = await temporaryFolder('process');
  opened.push({ stop: () => folder.remove() });
  const port = await freePort();
  const configuration = join(folder.path, 'configuration.yml');
  const text = (await readFile(join(fixtures, 'configuration.yml'), 'utf8'))
    .replace(':9091', `:${port}`)
    .replaceAll('/folder/', `${folder.path}/`);
  await copyFile(join(fixtures, 'users.yml'), join(folder.path, 'users.yml'));
  await writeFile(configuration, change(text));
  const edit: Place['edit'] = async (next) =>
    writeFile(configuration, next(await readFile(configuration, 'utf8')));
  return { folder, port, configuration, edit };
}

function run(place: Place, args: readonly string[] = ['--config', place.configuration]): Child {
  const child = startChild(gatewayCommand, args, { cwd: place.folder.path });
  opened.push(child);
  return child;
}

async function start(place: Place): Promise<Child> {
  const child = run(place);
  await eventually('the gateway answers', 30_000, async () => {
    if (child.hasExited) throw new Error(child.output());
    return (
      (await exchange({ port: place.port }, requestBytes('GET', '/api/health', [['Host', 'x']]))).status ===
        200 || undefined
    );
  });
  return child;
}

/** The output of a start that must fail. */
async function refusal(place: Place, args?: readonly string[]): Promise<string> {
  const child = run(place, args);
  await eventually('the gateway gives up', 30_000, () => Promise.resolve(child.hasExited || undefined));
  return child.output();
}

function ask(place: Place, url: string, cookie = ''): Promise<RawAnswer> {
  const { host, pathname, search } = new URL(url);
  return exchange(
    { port: place.port },
    requestBytes('GET', '/api/authz/forward-auth', [
      ['Host', 'gateway'],
      ['X-Forwarded-Method', 'GET'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', host],
      ['X-Forwarded-Uri', pathname + search],
      ['X-Forwarded-For', '203.0.113.10'],
      ['Accept', 'text/html'],
      ...(cookie === '' ? [] : [['Cookie', cookie] as const]),
    ]),
  );
}

async function signIn(place: Place): Promise<string> {
  const body = JSON.stringify({ username: 'john', password: 'pw-john-Correct1' });
  const answer = await exchange(
    { port: place.port },
    requestBytes(
      'POST',
      '/api/firstfactor',
      [
        ['Host', 'auth.example.com'],
        ['X-Forwarded-Proto', 'https'],
        ['Content-Type', 'application/json'],
      ],
      body,
    ),
  );
  expect(answer.status).toBe(200);
  return answer.header('set-cookie')?.split(';', 1)[0] ?? '';
}

const APP = 'https://app1.example.com/';

describe('a life', () => {
  test('serves, says what it does not use, reloads on SIGHUP, and ends with 0 on SIGTERM', async () => {
    const place = await prepare();
    await place.edit((text) => `${text}\nntp: { disable_startup_check: true }\n`);
    const child = await start(place);
    expect(child.output()).toMatch(/not used by this release.*sections=ntp/);

    expect((await ask(place, APP)).status).toBe(302);
    const cookie = await signIn(place);
    expect((await ask(place, APP, cookie)).header('remote-user')).toBe('john');

    await place.edit((text) =>
      text.replace(
        'domain: app2.example.com\n      policy: bypass',
        'domain: app2.example.com\n      policy: deny',
      ),
    );
    child.signal('SIGHUP');
    await eventually(
      'the new rules hold',
      10_000,
      async () => (await ask(place, 'https://app2.example.com/')).status === 403 || undefined,
    );
    expect((await ask(place, APP, cookie)).status, 'sessions outlive a reload').toBe(200);

    await place.edit((text) => text.replace('default_policy: deny', 'default_policy: perhaps'));
    child.signal('SIGHUP');
    await eventually('the bad file is told', 10_000, () =>
      Promise.resolve(child.output().includes('last good') || undefined),
    );
    expect(child.output()).toContain('access_control.default_policy');
    expect((await ask(place, APP, cookie)).status).toBe(200);

    await child.stop();
    expect(child.exitCode).toBe(0);
  });

  test('SIGTERM answers what is under way', async () => {
    const place = await prepare();
    const child = await start(place);
    const answers = Array.from({ length: 50 }, () => ask(place, APP));
    await Promise.race(answers);
    await child.stop();
    expect(child.exitCode).toBe(0);
    const settled = await Promise.allSettled(answers);
    const answered = settled.filter((one) => one.status === 'fulfilled').map(({ value }) => value.status);
    expect(new Set(answered)).toEqual(new Set([302]));
  });
});

describe('a start that cannot be', () => {
  test.each([
    [
      'a typo in a key',
      (text: string) => text.replace('default_policy:', 'default_polcy:'),
      /access_control.*default_polcy.*default_policy/s,
    ],
    ['a wrong type', (text: string) => text.replace('tcp://127', 'http://127'), /server\.address/],
    ['a missing users file', (text: string) => text.replace('users.yml', 'people.yml'), /people\.yml/],
    [
      'a missing certificate',
      (text: string) =>
        text.replace('log:', '  tls:\n    certificate: /nowhere/cert.pem\n    key: /nowhere/key.pem\nlog:'),
      /server\.tls\.certificate.*\/nowhere\/cert\.pem/,
    ],
    ['an address that is not ours', (text: string) => text.replace('127.0.0.1', '192.0.2.1'), /192\.0\.2\.1/],
    [
      'what this release cannot do',
      (text: string) =>
        text.replace(
          'session:',
          'duo_api:\n  hostname: duo.example.com\n  integration_key: key\n  secret_key: secret\nsession:',
        ),
      /duo_api/,
    ],
  ])('%s', async (_name, change, message) => {
    const text = await refusal(await prepare(change));
    expect(text).toMatch(message);
    expect(text, 'no stack traces for what people wrote').not.toMatch(/^\s+at /m);
  });

  test('a port that is taken', async () => {
    const place = await prepare();
    const other = createServer();
    await new Promise<void>((done) => void other.listen(place.port, '127.0.0.1', done));
    opened.push({ stop: () => new Promise((done) => void other.close(done)) });
    expect(await refusal(place)).toMatch(/server\.address.*in use/);
  });

  test('no configuration at all, and a folder without one', async () => {
    const place = await prepare();
    expect(await refusal(place, ['--config', join(place.folder.path, 'nothing.yml')])).toMatch(
      /nothing\.yml/,
    );
    const empty = join(place.folder.path, 'empty');
    await mkdir(empty);
    expect(await refusal(place, ['--config', empty])).toMatch(/empty/);
  });
});
