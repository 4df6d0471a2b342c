import { writeSync } from 'node:fs';
import { openFileBackend } from '../../../src/users/drivers/file.ts';
import { dieAt } from '../../support/die-at.ts';
import { fakeTimers } from '../../support/fake-timers.ts';
import { cheapPasswords, countingQueue, listLogger, random } from './fakes.ts';

/** `<path> <n>`: gives bob the password `new` and dies before the n-th step on the disk; prints the status if it gets so far. */
const [path = '', step = ''] = process.argv.slice(2);

const backend = await openFileBackend(
  {
    path,
    watch: false,
    search: { email: false, case_insensitive: false },
    extra_attributes: {},
    password: cheapPasswords,
  },
  { random, timers: fakeTimers(), logger: listLogger(), hashQueue: countingQueue() },
);
await dieAt(Number(step));
const change = await backend.setPassword?.('bob', 'new');
writeSync(1, `${change?.status}\n`);
process.kill(process.pid, 'SIGKILL');
