import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openLogger, type LogOptions, type OpenLogger } from '../../../src/lib/logger.ts';
import { formatTimeLayout } from '../../../src/lib/time-layout.ts';

const clock = { now: () => Date.UTC(2026, 10, 21, 7, 54, 55, 150) };
const open: OpenLogger[] = [];
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-log-'));
});
afterEach(() => {
  for (const logger of open.splice(0)) logger.close();
  rmSync(folder, { recursive: true });
});

function openAt(filePath: string, options: Partial<LogOptions> = {}): OpenLogger {
  const logger = openLogger({ level: 'info', format: 'json', filePath, ...options }, { clock });
  open.push(logger);
  return logger;
}

function written(log: (logger: OpenLogger) => void, options: Partial<LogOptions> = {}): string {
  const path = join(folder, 'log');
  const logger = openAt(path, options);
  log(logger);
  logger.flush();
  return readFileSync(path, 'utf8');
}

const entry = (log: (logger: OpenLogger) => void): unknown => JSON.parse(written(log));

describe('lines', () => {
  it('writes logfmt, quoting what is not one plain word', () => {
    expect(
      written(
        (logger) =>
          logger.info({ remote_ip: '2001:db8::1', path: '/a b', n: { ok: true, list: [1, 'x'] } }, 'a "b"'),
        {
          format: 'text',
        },
      ),
    ).toBe(
      'time="2026-11-21T07:54:55.150Z" level=info msg="a \\"b\\"" remote_ip=2001:db8::1 path="/a b" n.ok=true n.list="[1,\\"x\\"]"\n',
    );
  });

  it('writes one JSON object a line', () => {
    expect(
      entry((logger) =>
        logger.warn({ count: 3n, at: new Date(0), gone: undefined, url: new URL('https://a/b') }, 'm'),
      ),
    ).toEqual({
      time: '2026-11-21T07:54:55.150Z',
      level: 'warn',
      msg: 'm',
      count: '3',
      at: '1970-01-01T00:00:00.000Z',
      url: 'https://a/b',
    });
  });

  it.each(['text', 'json'] as const)('lets no value forge a line or steer a terminal (%s)', (format) => {
    const nasty = 'x\nlevel=error\r\u001b[2J\u0000\u009b31m\u2028\u202e';
    const text = written(
      (logger) => {
        logger.info({ [`name\n${nasty}`]: nasty, nested: { value: nasty } }, nasty);
      },
      { format },
    );
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    expect(text.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
    expect(text.endsWith('\n')).toBe(true);
  });

  it('does not let fields pass for the time, level or message of an entry', () => {
    expect(
      entry((logger) =>
        logger.child({ level: 'a' }).info({ msg: 'forged', time: 0, level: 'error' }, 'true'),
      ),
    ).toMatchObject({
      level: 'info',
      msg: 'true',
      time: '2026-11-21T07:54:55.150Z',
      msg_: 'forged',
    });
  });

  it('drops entries below the level', () => {
    const text = written((logger) => {
      logger.debug({}, 'no');
      logger.child({ a: 1 }).trace({}, 'no');
      expect([logger.isEnabled('debug'), logger.isEnabled('info')]).toEqual([false, true]);
    });
    expect(text).toBe('');
  });

  it('says what failed and why', () => {
    const error = Object.assign(new Error('outer', { cause: new TypeError('inner') }), {
      code: 'ECONNREFUSED',
    });
    expect(entry((logger) => logger.error({ error }, 'm'))).toMatchObject({
      error: {
        name: 'Error',
        message: 'outer',
        code: 'ECONNREFUSED',
        cause: { name: 'TypeError', message: 'inner' },
      },
    });
  });

  it('survives cycles, excess and objects that throw', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    const thrower = Object.defineProperty({}, 'x', {
      enumerable: true,
      get() {
        throw new Error('no');
      },
    });
    const text = written((logger) => {
      logger.info({ cycle, long: 'x'.repeat(1_000_000), many: Array.from({ length: 5000 }).fill(1) }, 'a');
      logger.info({ thrower }, 'b');
    });
    expect(text.length).toBeLessThan(20_000);
    expect(text.split('\n')).toHaveLength(3);
  });
});

describe('secrets', () => {
  it.each([
    'password',
    'jwt_secret',
    'Cookie',
    'set-cookie',
    'authorization',
    'Proxy-Authorization',
    'accessToken',
    'tokens',
    'privateKey',
    'encryption_key',
    'TOKEN',
  ])('never writes the value of %s', (name) => {
    const text = written((logger) => {
      logger.info({ [name]: 'tell-tale', deep: { list: [{ [name]: { inside: 'tell-tale' } }] } }, 'm');
      logger.child({ [name]: 'tell-tale' }).info({ headers: new Map([[name, 'tell-tale']]) }, 'm');
    });
    expect(text).not.toContain('tell-tale');
    expect(text.match(/\[redacted\]/g)).toHaveLength(4);
  });

  it('keeps what is only named near one', () => {
    expect(
      entry((logger) => logger.info({ key_id: 'a1', monkey: 'b', password_policy: 'c', key: 'x.y' }, 'm')),
    ).toMatchObject({
      key: 'x.y',
      key_id: 'a1',
      monkey: 'b',
      password_policy: 'c',
    });
  });

  it('takes a nested key for key material', () => {
    expect(entry((logger) => logger.info({ tls: { key: 'tell-tale' } }, 'm'))).toMatchObject({
      tls: { key: '[redacted]' },
    });
  });

  it('writes no bytes', () => {
    expect(entry((logger) => logger.info({ seed: Buffer.from('tell-tale') }, 'm'))).toMatchObject({
      seed: '[9 bytes]',
    });
  });
});

describe('the file', () => {
  it('is readable by its owner only, and appended to', () => {
    written((logger) => logger.info({}, 'one'));
    const text = written((logger) => logger.info({}, 'two'));
    expect(text.trim().split('\n')).toHaveLength(2);
    expect(statSync(join(folder, 'log')).mode & 0o777).toBe(0o600);
  });

  it('has the time of opening in its name', () => {
    const logger = openAt(join(folder, 'a-{datetime:2006-01-02}.log'));
    logger.info({}, 'm');
    logger.flush();
    expect(
      readFileSync(join(folder, `a-${formatTimeLayout('2006-01-02', clock.now())}.log`), 'utf8'),
    ).toContain('"msg":"m"');
  });

  it('is opened anew on demand', () => {
    const path = join(folder, 'log');
    const logger = openAt(path);
    logger.info({}, 'one');
    logger.flush();
    renameSync(path, `${path}.1`);
    logger.reopen();
    logger.info({}, 'two');
    logger.flush();
    expect(readFileSync(`${path}.1`, 'utf8')).toContain('one');
    expect(readFileSync(path, 'utf8')).toContain('two');
  });

  it('stays the old one if the new one cannot be opened', () => {
    const path = join(folder, 'log');
    const logger = openAt(path);
    renameSync(path, `${path}.1`);
    symlinkSync(join(folder, 'missing', 'x'), path);
    logger.reopen();
    logger.info({}, 'two');
    logger.flush();
    expect(readFileSync(`${path}.1`, 'utf8')).toMatch(/ENOENT[^]*two/);
  });

  it('is named in the error if it cannot be opened', () => {
    expect(() => openAt(join(folder, 'missing', 'log'))).toThrow(/cannot open .*missing\/log.*ENOENT/);
  });

  it('loses lines when the disk is full, goes on, and says afterwards how many', async () => {
    const path = join(folder, 'log');
    symlinkSync('/dev/full', path);
    const logger = openAt(path);
    logger.info({}, 'lost');
    logger.info({}, 'lost');
    logger.flush();
    rmSync(path);
    logger.reopen();
    logger.info({}, 'kept');
    await expect.poll(() => readFileSync(path, 'utf8'), { interval: 5 }).toContain('Log lines were lost');
    const [first, second] = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(first).toMatchObject({ msg: 'kept' });
    expect(second).toMatchObject({ level: 'error', lines: 2, cause: 'ENOSPC' });
  });
});

describe('standard output', () => {
  const module = new URL('../../../src/lib/logger.ts', import.meta.url).href;
  const run = (body: string, closeOutput = false): Promise<{ code: number | null; output: string }> => {
    const source = `import { openLogger } from '${module}';
      const logger = openLogger({ level: 'info', format: 'text' }, { clock: { now: () => 0 } });
      ${body}`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (closeOutput) child.stdout.destroy();
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stdin.end();
    return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
  };

  it('gets everything that was logged before the process exits', async () => {
    const { code, output } = await run(
      `for (let i = 0; i < 2000; i++) logger.info({ i }, 'x'.repeat(80)); process.exit(3);`,
    );
    expect(code).toBe(3);
    expect(output.trim().split('\n')).toHaveLength(2000);
    expect(output).toContain('i=1999\n');
  });

  it('gets what is logged while the process goes on', async () => {
    const { code, output } = await run(
      `logger.info({}, 'one'); setImmediate(() => setImmediate(() => logger.info({}, 'two')));`,
    );
    expect(code).toBe(0);
    expect(output).toMatch(/one[^]*two/);
  });

  it('may go away without ending the process', async () => {
    const body = `process.stdin.resume().on('end', () => { let turns = 0; const log = () => { logger.info({}, 'x'); if (++turns < 50) setImmediate(log); else process.exitCode = 4; }; log(); });`;
    expect(await run(body, true)).toEqual({ code: 4, output: '' });
  });
});

describe('formatTimeLayout', () => {
  const moment = new Date(2026, 1, 3, 14, 5, 9, 70).getTime();
  it.each([
    ['2006-01-02T15:04:05.000', '2026-02-03T14:05:09.070'],
    ['Mon Jan _2 3:4:5PM 06', 'Tue Feb  3 2:5:9PM 26'],
    ['Monday, January 2 03pm', 'Tuesday, February 3 02pm'],
    ['002 15:04:05.99 [log]', '034 14:05:09.07 [log]'],
  ])('%s', (layout, expected) => {
    expect(formatTimeLayout(layout, moment)).toBe(expected);
  });
});
