/**
 * A replica in a process of its own: `storage-child.ts <config as JSON> <task>`. Tasks: `die <n>` kills it when the clock is
 * asked for the n-th time; `consume <prefix> <count>` uses ids up and prints how many it got; `hold` keeps the write lock of
 * an SQLite file until standard input ends.
 */
import { once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';

import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { systemTimers } from '../../src/lib/timers.ts';
import { createConsumeOnce } from '../../src/storage/consume-once.ts';
import { storageSchema } from '../../src/storage/config.ts';
import { openStorage } from '../../src/storage/open-storage.ts';
import { recordingLogger } from '../support/recording-logger.ts';

const [config = '', task = '', first = '', second = ''] = process.argv.slice(2);
const parsed = storageSchema.parse(JSON.parse(config));

if (task === 'hold') {
  const database = new DatabaseSync(parsed.local?.path ?? '');
  database.exec('begin immediate');
  process.stdout.write('held\n');
  await once(process.stdin.resume(), 'end');
} else {
  let asked = 0;
  const clock = {
    now() {
      asked++;
      if (task === 'die' && asked === Number(first)) process.kill(process.pid, 'SIGKILL');
      return systemClock.now();
    },
  };
  const storage = await openStorage(parsed, {
    clock,
    random: systemRandom,
    timers: systemTimers,
    logger: recordingLogger(),
    application: '0.0.0-child',
  });
  if (task === 'consume') {
    const consume = createConsumeOnce(storage);
    let won = 0;
    for (let index = 0; index < Number(second); index++) {
      if (await consume('child', `${first}${index}`, systemClock.now())) won++;
    }
    process.stdout.write(`${won}\n`);
  }
  await storage.database.close();
}
