import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common';
import { dictionary as english } from '@zxcvbn-ts/language-en';
import type { StrengthJob } from './password-strength.ts';

/**
 * The worker thread of `password-strength.ts`: answers a job with the score of zxcvbn, 0 to 4. On a thread because its
 * dictionaries take a third of a second to load and some passwords a second to look at.
 */

/**
 * What bounds an estimate to about a tenth of a second: more readings as leet speak are not tried (the library's 100 make
 * it five times as long), and what comes behind the first characters cannot make the score better.
 */
const zxcvbn = new ZxcvbnFactory({
  dictionary: { ...common, ...english },
  graphs: adjacencyGraphs,
  l33tMaxSubstitutions: 20,
  maxLength: 72,
});

parentPort?.on('message', ({ password, about }: StrengthJob) => {
  parentPort?.postMessage(zxcvbn.check(password, [...about]).score, []);
});
