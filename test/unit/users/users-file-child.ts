import { existsSync, writeSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { openFileBackend } from '../../../src/users/drivers/file.ts';
import { cheapPasswords, countingQueue, listLogger, random } from './fakes.ts';

/**
 * A process that writes to a users file beside others: `<path> <name> <times> <go>` opens it, waits until the file `go` is
 * there, and gives the person one password after the other, the last one being `<name> <times>`.
 */
const [path = '', name = '', times = '', go = ''] = process.argv.slice(2);

const backend = await openFileBackend(
  {
    path,
    watch: false,
    search: { email: false, case_insensitive: false },
    extra_attributes: {},
    password: cheapPasswords,
  },
  {
    random,
    // Unlike the system's, these keep a process alive that does nothing but wait for the lock.
    timers: {
      after(ms, run) {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    },
    logger: listLogger(),
    hashQueue: countingQueue(),
  },
);
writeSync(1, 'ready\n');
while (!existsSync(go)) await wait(5);
for (let i = 1; i <= Number(times); i++) {
  const change = await backend.setPassword?.(name, `${name} ${i}`);
  if (change?.status !== 'changed') throw new Error(`not changed: ${JSON.stringify(change)}`);
}
await backend.close();
writeSync(1, 'done\n');
