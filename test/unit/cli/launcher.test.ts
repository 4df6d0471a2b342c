import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** The launcher in a tree of its own, whose path has a space, with a main module that reports how it was started. */
const launcher = fileURLToPath(new URL('../../../bin/sallyport', import.meta.url));
const report = (what: string): string =>
  `console.log(JSON.stringify({ what: '${what}', pid: process.pid, args: process.argv.slice(2), cwd: process.cwd(),
    node: process.execPath, flags: process.execArgv, pool: process.env.UV_THREADPOOL_SIZE,
    cache: process.env.NODE_COMPILE_CACHE ?? null, proto: typeof ({}).__proto__ }));`;

let scratch = '';
let tree = '';
let home = '';

beforeEach(() => {
  scratch = realpathSync(mkdtempSync(join(tmpdir(), 'sallyport-bin-')));
  tree = join(scratch, 'a tree');
  home = join(scratch, 'home');
  mkdirSync(home);
  mkdirSync(join(tree, 'bin'), { recursive: true });
  copyFileSync(launcher, join(tree, 'bin/sallyport'));
  chmodSync(join(tree, 'bin/sallyport'), 0o755);
  put('src/main.ts', report('sources'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

/** Times are seconds; a larger one is newer. */
function put(path: string, text: string, time = 1000): string {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  for (let at = file; at !== tree; at = dirname(at)) utimesSync(at, time, time);
  return file;
}

function program(path: string, text: string): string {
  const file = put(path, `#!/bin/sh\n${text}\n`);
  chmodSync(file, 0o755);
  return file;
}

interface Start {
  command?: string;
  args?: string[];
  cwd?: string;
  env?: Record<string, string>;
}

function start({
  command = join(tree, 'bin/sallyport'),
  args = [],
  cwd = scratch,
  env = {},
}: Start = {}): SpawnSyncReturns<string> {
  return spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', HOME: home, SALLYPORT_NODE: process.execPath, ...env },
  });
}

function told(result: SpawnSyncReturns<string>): Record<string, unknown> {
  expect(result.stderr).toBe('');
  return JSON.parse(result.stdout) as Record<string, unknown>;
}

describe('finding its tree', () => {
  it('hands over arguments and the working folder untouched', () => {
    const args = ['serve', '', 'a  b', '*', "it's", '-n', '--', '$HOME'];
    expect(told(start({ args }))).toMatchObject({ what: 'sources', args, cwd: scratch });
  });

  it('follows links to links, relative and absolute, of files and folders', () => {
    symlinkSync('../a tree/bin/sallyport', join(home, 'one'));
    symlinkSync('one', join(home, '-two'));
    symlinkSync(join(home, '-two'), join(scratch, 'three'));
    symlinkSync('a tree', join(scratch, 'package'));
    symlinkSync('package/bin/sallyport', join(scratch, 'four'));
    for (const link of ['three', 'four', 'package/bin/sallyport']) {
      expect(told(start({ command: join(scratch, link) }))).toMatchObject({ what: 'sources' });
    }
    expect(told(start({ command: './-two', cwd: home }))).toMatchObject({ what: 'sources' });
  });

  it('is found through the PATH, also by its empty entry', () => {
    const cwd = join(tree, 'bin');
    expect(
      told(start({ command: 'sh', args: ['-c', 'sallyport x'], env: { PATH: `${cwd}:/usr/bin:/bin` } })),
    ).toMatchObject({ args: ['x'] });
    expect(
      told(start({ command: 'sh', args: ['-c', 'sallyport x'], cwd, env: { PATH: ':/usr/bin:/bin:' } })),
    ).toMatchObject({ args: ['x'] });
    expect(told(start({ command: 'sh', args: ['sallyport', 'x'], cwd }))).toMatchObject({ args: ['x'] });
  });

  it('is not misled by CDPATH', () => {
    mkdirSync(join(home, 'bin'));
    expect(told(start({ command: 'bin/sallyport', cwd: tree, env: { CDPATH: home } }))).toMatchObject({
      what: 'sources',
    });
  });

  it('says when the tree is empty', () => {
    rmSync(join(tree, 'src'), { recursive: true });
    expect(start()).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringContaining('install Sallyport again'),
    });
  });
});

describe('becoming the gateway', () => {
  it('keeps its process: signals and the exit code are the gateway’s', async () => {
    put(
      'src/main.ts',
      `process.on('SIGTERM', () => process.exit(23)); setInterval(() => {}, 1000); console.log(process.pid);`,
    );
    const child = spawn(join(tree, 'bin/sallyport'), {
      env: { PATH: '/usr/bin:/bin', SALLYPORT_NODE: process.execPath },
    });
    const pid = await new Promise((resolve) => child.stdout.once('data', (text) => resolve(Number(text))));
    expect(pid).toBe(child.pid);
    child.kill('SIGTERM');
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(23);
  });

  it('gives the hashes threads beside those of files and names', () => {
    expect(told(start()).pool).toBe(String(Math.min(cpus().length, 8) + 8));
    expect(told(start({ env: { UV_THREADPOOL_SIZE: '3' } })).pool).toBe('3');
  });

  it('takes away __proto__', () => {
    expect(told(start()).proto).toBe('undefined');
  });
});

const named = (version: string): string =>
  `[ "$1" = -v ] && { echo ${version}; exit; }; echo "ran ${version}"`;

describe('choosing a Node.js', () => {
  it('prefers SALLYPORT_NODE, then the checkout’s, then that of the PATH', () => {
    const fromPath = dirname(program('path/node', named('v26.10.0')));
    const env = { PATH: `${fromPath}:/usr/bin:/bin`, SALLYPORT_NODE: '' };
    expect(start({ env }).stdout).toBe('ran v26.10.0\n');
    program('node_modules/.bin/node', 'echo checkout');
    expect(start({ env }).stdout).toBe('checkout\n');
    expect(start({ env: { ...env, SALLYPORT_NODE: program('mine', 'echo mine') } }).stdout).toBe('mine\n');
  });

  it.each([
    ['v24.21.0', true],
    ['v24.30.1', true],
    ['v26.10.0', true],
    ['v26.13.2', true],
    ['v27.0.0', true],
    ['v24.20.9', false],
    ['v20.20.2', false],
    ['v25.9.0', false],
    ['v26.9.9', false],
    ['v8.17.0', false],
    ['nonsense', false],
  ])('%s of the PATH: %s', (version, taken) => {
    const folder = dirname(program('path/node', named(version)));
    const result = start({ env: { PATH: `${folder}:/usr/bin:/bin`, SALLYPORT_NODE: '' } });
    expect(result.stdout).toBe(taken ? `ran ${version}\n` : '');
    expect(result.status).toBe(taken ? 0 : 1);
    expect(result.stderr).toContain(taken ? '' : `${join(folder, 'node')} is ${version}`);
  });

  it('says what to install when there is none', () => {
    const folder = join(tree, 'tools');
    mkdirSync(folder);
    for (const tool of ['sh', 'readlink', 'getconf', 'find', 'ls', 'mkdir'])
      symlinkSync(`/bin/${tool}`, join(folder, tool));
    const result = start({ env: { PATH: folder, SALLYPORT_NODE: '' } });
    expect(result).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/needs Node.js 24\.21.*no 'node' on the PATH/),
    });
  });

  it('names a SALLYPORT_NODE that cannot be run', () => {
    expect(start({ env: { SALLYPORT_NODE: '/nowhere/node' } })).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("'/nowhere/node'"),
    });
  });
});

describe('bundle or sources', () => {
  it('runs the bundle unless something in the sources is newer', () => {
    put('dist/main.js', report('bundle'), 2000);
    expect(told(start())).toMatchObject({
      what: 'bundle',
      flags: expect.arrayContaining(['--disable-proto=delete']),
    });
    put('src/lib/deep/x.ts', '', 3000);
    expect(told(start())).toMatchObject({ what: 'sources' });
  });

  it('does not run a bundle that is older than the portal’s sources', () => {
    put('dist/main.js', report('bundle'), 2000);
    put('web/src/page.tsx', '', 3000);
    expect(told(start())).toMatchObject({ what: 'sources' });
  });

  it('runs the bundle where there are no sources', () => {
    put('dist/main.js', report('bundle'));
    rmSync(join(tree, 'src'), { recursive: true });
    expect(told(start())).toMatchObject({ what: 'bundle' });
  });
});

describe('the portal of a checkout', () => {
  const builder = `import { mkdirSync, writeFileSync } from 'node:fs';
    console.log('building'); mkdirSync('dist', { recursive: true }); writeFileSync('dist/server.js', process.execPath);`;

  it('is built before the start if it is missing or older than its sources, by the same Node.js', () => {
    put('package.json', '{"type":"module"}');
    put('web/src/page.tsx', '');
    put('web/build.js', builder);
    const first = start();
    expect(first.stderr).toBe('building\n');
    expect(JSON.parse(first.stdout)).toMatchObject({ what: 'sources' });
    expect(readFileSync(join(tree, 'web/dist/server.js'), 'utf8')).toBe(process.execPath);
    expect(start().stderr).toBe('');
    put('web/public/locales/en.json', '{}', 4_000_000_000);
    expect(start().stderr).toBe('building\n');
  });

  it('stops the start if it cannot be built', () => {
    put('web/src/page.tsx', '');
    put('web/build.js', `console.log('page.tsx:1 wrong'); process.exit(9);`);
    expect(start()).toMatchObject({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/page\.tsx:1 wrong\n.*could not be built/),
    });
  });
});

const cache = (): string => join(home, '.cache/sallyport-node');

describe('compiled code', () => {
  it('is kept in a folder of the user’s own', () => {
    expect(told(start()).cache).toBe(cache());
    expect(statSync(cache()).mode & 0o777).toBe(0o700);
    expect(told(start({ env: { XDG_CACHE_HOME: join(home, 'other') } })).cache).toBe(
      join(home, 'other/sallyport-node'),
    );
    expect(told(start({ env: { NODE_COMPILE_CACHE: '/elsewhere' } })).cache).toBe('/elsewhere');
  });

  it('is not taken from a folder that others can write, or from behind a link', () => {
    told(start());
    chmodSync(cache(), 0o770);
    expect(told(start()).cache).toBeNull();
    rmSync(cache(), { recursive: true });
    mkdirSync(join(scratch, 'theirs'), { mode: 0o700 });
    symlinkSync(join(scratch, 'theirs'), cache());
    expect(told(start()).cache).toBeNull();
  });

  it('is not kept without a home', () => {
    expect(told(start({ env: { HOME: '' } })).cache).toBeNull();
    expect(told(start({ env: { HOME: join(scratch, 'missing') } })).cache).toBeNull();
    expect(existsSync(join(scratch, 'missing'))).toBe(false);
  });
});
