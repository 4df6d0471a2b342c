import { parentPort } from 'node:worker_threads';
import { hashSync } from 'bcryptjs';
import { sha2crypt } from './sha2crypt.ts';
import type { ThreadJob } from './digest-threads.ts';

/** The thread that computes what has no asynchronous native implementation: bcrypt and SHA-2-crypt. */

function perform(job: ThreadJob): string {
  return job.algorithm === 'bcrypt'
    ? hashSync(job.password, job.setting)
    : sha2crypt(job.variant, Buffer.from(job.password), job.salt, job.rounds);
}

parentPort?.on('message', (job: ThreadJob) => {
  parentPort?.postMessage(perform(job), []);
});
