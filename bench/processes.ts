/** What the kernel says about processes. Linux only. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** The core of the servers that are measured; everything else has the other. */
export const SERVER_CORE = 0;
export const OTHER_CORE = 1;

/** Pins a process with all its threads; what it starts later inherits it. */
export function pin(pid: number, cores: string): void {
  execFileSync('taskset', ['-a', '-c', '-p', cores, String(pid)], { stdio: 'ignore' });
}

function parentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]);
}

/** A process and all that it has started. */
export function treeOf(root: number): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(Number(name), parentOf(Number(name)));
    } catch {
      // Gone meanwhile.
    }
  }
  const tree = [root];
  for (const pid of tree) {
    for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  }
  return tree;
}

/** Nanoseconds of CPU that the threads of these processes have had. */
export function cpuOf(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      try {
        sum += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ', 1)[0]);
      } catch {
        // A thread that has just ended.
      }
    }
  }
  return sum;
}

/** Bytes that these processes have read, from sockets too unless by `recv`. */
export function readBy(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const [, bytes] = /^rchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8')) ?? [];
    return sum + Number(bytes);
  }, 0);
}

/** Megabytes (of 10^6 bytes) that the processes hold: now, or at most so far. */
export function memoryOf(pids: readonly number[], which: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  let sum = 0;
  for (const pid of pids) {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    sum += (Number(new RegExp(`^${which}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  }
  return sum;
}

/** Nanoseconds that all cores have been busy, and were taken away by the host. */
export function machineTimes(): { readonly busy: number; readonly stolen: number } {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const ticks = line.trim().split(/\s+/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, soft = 0, steal = 0] = ticks;
  return { busy: (user + nice + system + irq + soft) * 1e7, stolen: steal * 1e7 };
}

/** Nanoseconds of CPU that this process has had, and the children that it has waited for. */
export function ownTimes(): number {
  const status = readFileSync('/proc/self/stat', 'utf8');
  const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks) * 1e7, 0);
}

export function describeMachine(): string {
  const all = cpus();
  return `${all.length} cores, ${all[0]?.model ?? 'unknown'}, Linux ${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}`;
}
