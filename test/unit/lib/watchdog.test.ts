import { spawn, type ChildProcess } from 'node:child_process';
import { describe, expect, it } from 'vitest';

/** These run in real time, in processes of their own that end by themselves. */
const module = new URL('../../../src/lib/watchdog.ts', import.meta.url).href;
const limitMs = 300;

function start(body: string, flags: string[] = []): ChildProcess {
  const source = `import { startWatchdog } from '${module}';
    const logger = { error: (fields, message) => console.log(message, fields.error) };
    const watchdog = startWatchdog({ limitMs: ${limitMs} }, { logger });
    const wait = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    ${body}`;
  return spawn(process.execPath, [...flags, '--input-type=module', '-e', source]);
}

async function end(child: ChildProcess): Promise<{ code: number | null; output: string; errors: string }> {
  let output = '';
  let errors = '';
  child.stdout?.on('data', (text) => (output += text));
  child.stderr?.on('data', (text) => (errors += text));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, output, errors };
}

const run = (body: string, flags?: string[]): ReturnType<typeof end> => end(start(body, flags));

describe('a loop that stands still', () => {
  it.each([
    ['in a loop', 'setTimeout(() => { for (;;); }, 50);'],
    ['in a regular expression', `setTimeout(() => /^(a+)+$/.test('a'.repeat(60) + '!'), 50);`],
    ['waiting', 'setTimeout(() => wait(), 50);'],
    ['between microtasks', 'setTimeout(async () => { for (;;) await null; }, 50);'],
    ['from the start', 'for (;;);'],
  ])('%s, ends the process with exit code 70 and says so', async (_, body) => {
    const { code, output, errors } = await run(body);
    expect({ code, output }).toEqual({ code: 70, output: '' });
    // Node.js adds a line of its own about the debugger.
    expect(errors.split('\n')[0]).toBe(
      'sallyport: the event loop has stood still for 0.3 s, ending with exit code 70',
    );
  });

  it('runs the handlers of the exit, which may flush the log', async () => {
    const { code, output } = await run(
      `process.on('exit', (code) => console.log('flushed', code)); setTimeout(() => { for (;;); }, 50);`,
    );
    expect({ code, output }).toEqual({ code: 70, output: 'flushed 70\n' });
  });

  it('ends the process though the handlers of the exit stand still, and standard error is full', async () => {
    const child = start(`process.on('exit', () => { for (;;); }); for (;;);`);
    const signal = await new Promise((resolve) => child.on('exit', (_, by) => resolve(by)));
    expect(signal).toBe('SIGKILL');
  });
});

describe('a loop that turns', () => {
  it('may rest shorter than the limit, again and again', async () => {
    const body = `for (let i = 0; i < 8; i++) { wait(${limitMs / 2}); await new Promise((resolve) => setTimeout(resolve, 110)); }
      console.log('done');`;
    expect(await run(body)).toEqual({ code: 0, output: 'done\n', errors: '' });
  });

  it('is not kept going by the watchdog', async () => {
    expect(await run('')).toEqual({ code: 0, output: '', errors: '' });
  });

  it('may stand still once the watchdog is stopped', async () => {
    expect(await run(`await watchdog.stop(); wait(${limitMs * 3}); console.log('done');`)).toEqual({
      code: 0,
      output: 'done\n',
      errors: '',
    });
  });

  it('may be stopped with its process for longer than the limit', async () => {
    const child = start(
      `process.stdin.on('data', () => { console.log('alive'); process.stdin.destroy(); }); console.log('started');`,
    );
    const ended = end(child);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGSTOP');
    // Another process under the same limit tells when it is over.
    expect(await run('wait();')).toMatchObject({ code: 70 });
    child.kill('SIGCONT');
    child.stdin?.write('x');
    expect(await ended).toEqual({ code: 0, output: 'started\nalive\n', errors: '' });
  });

  it('may stand at a debugger’s breakpoint', async () => {
    const { code, output } = await run(`wait(${limitMs * 3}); console.log('done');`, [
      '--inspect=127.0.0.1:0',
    ]);
    expect({ code, output }).toEqual({ code: 0, output: 'done\n' });
  });
});
