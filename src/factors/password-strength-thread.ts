import { parentPort } from 'node:worker_threads';
import { ZxcvbnFactory } from '@zxcvbn-ts/core';
import { adjacencyGraphs, dictionary as common } from '@zxcvbn-ts/language-common';
import { dictionary as english } from '@zxcvbn-ts/language-en';
import type { StrengthJob } from './password-strength.ts';

/**
 * The worker thread of `password-strength.ts`: answers a job with the score of zxcvbn, 0 to 4. On a thread because its
 * dictionaries take a third of a second to load and some passwords a second to look at.
 */

/** More ways to read a password as leet speak are not tried; the default of 100 makes long ones cost half a second. */
const LEET_READINGS = 20;

const zxcvbn = new ZxcvbnFactory({
  dictionary: { ...common, ...english },
  graphs: adjacencyGraphs,
  l33tMaxSubstitutions: LEET_READINGS,
});

parentPort?.on('message', ({ password, about }: StrengthJob) => {
  parentPort?.postMessage(zxcvbn.check(password, [...about]).score);
});
