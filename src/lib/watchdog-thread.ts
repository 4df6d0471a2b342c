/** The watchdog's own thread: see watchdog.ts. */
import { write } from 'node:fs';
import { Session } from 'node:inspector';
import { workerData } from 'node:worker_threads';
import type { WatchdogData } from './watchdog.ts';

const { beats, tickMs, limit, exitCode } = workerData as WatchdogData;
const lastWordsMs = 200;
const lastResortMs = 1500;

let seen = 0;
let missed = 0;

const timer = setInterval(() => {
  const beat = Atomics.load(beats, 0);
  if (beat !== seen || Atomics.load(beats, 1) === 1) {
    seen = beat;
    missed = 0;
    return;
  }
  missed += 1;
  if (missed < limit) return;
  clearInterval(timer);
  const seconds = (limit * tickMs) / 1000;
  // In the background: standard error may be a pipe that nobody reads.
  write(
    2,
    `sallyport: the event loop has stood still for ${seconds} s, ending with exit code ${exitCode}\n`,
    endProcess,
  );
  setTimeout(endProcess, lastWordsMs);
}, tickMs);

let ending = false;

/** A thread cannot end its process, and a signal handler would need the loop: the debugger can interrupt what runs. */
function endProcess(): void {
  if (ending) return;
  ending = true;
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), lastResortMs);
  const session = new Session();
  session.connectToMainThread();
  session.post('Runtime.evaluate', { expression: `process.exit(${exitCode})` });
  // Wakes it from Atomics.wait and the like, where an evaluation alone would wait too.
  session.post('Debugger.enable');
  session.post('Debugger.pause');
}
