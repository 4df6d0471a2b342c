import { type ChildProcess, spawn } from 'node:child_process';
import { searchPath } from './environment.ts';

/** Milliseconds between SIGTERM and SIGKILL. */
const PATIENCE_MS = 4000;

export interface Child {
  readonly pid: number;
  /** Standard output and standard error so far. */
  output(): string;
  readonly hasExited: boolean;
  /** Null while it runs, and when a signal ended it. */
  readonly exitCode: number | null;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL; returns when the process is gone. A stopped process (SIGSTOP) is continued first. */
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program with a small environment of its own. It does not outlive this process. */
export function startChild(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Child {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { PATH: searchPath, HOME: options.cwd, LANG: 'C.UTF-8', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.once('error', (error) => (text += `${error.message}\n`));
  if (child.pid === undefined) throw new Error(`cannot start ${command}`);
  running.add(child);
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  let closed = false;
  const exited = new Promise<void>((resolve) => {
    // 'close' comes after the last of its output, 'exit' may come before.
    child.once('close', () => {
      closed = true;
      running.delete(child);
      resolve();
    });
  });
  const hasExited = (): boolean => closed;
  return {
    pid: child.pid,
    output: () => text,
    get hasExited() {
      return hasExited();
    },
    get exitCode() {
      return child.exitCode;
    },
    signal: (name) => void child.kill(name),
    async stop() {
      if (hasExited()) return;
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
      await exited;
      clearTimeout(timer);
    },
  };
}
