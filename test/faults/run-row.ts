import { appendFile, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

import { expect } from 'vitest';

import { announce } from '../support/announce.ts';
import { faultsReport, isLongForm } from '../support/environment.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, type Kind, type Load, startLoad } from './load.ts';

/** One row of the table of faults: load, the fault, until recovery, load; what came of it is printed, noted and judged. */
export interface Row {
  readonly id: string;
  readonly fault: string;
  /** Where the load goes. */
  readonly ports: readonly number[];
  /** Requests a second; default 20, in the long form 130. */
  readonly rate?: number;
  /** Milliseconds from the end of the fault to the first good answer, at most; default 4000. */
  readonly recovery?: number;
  /** Requests of these kinds are refused meanwhile, or none at all. Default: any. */
  readonly refuses?: 'nothing' | 'writes' | 'anything';
  /** The store itself forgets what it has answered: that is documented. Default: false. */
  readonly mayLose?: boolean;
  /** Gateways that are gone answer nothing. Default: false. */
  readonly gatewaysEnd?: boolean;
  /** `ports` is that of a proxy, which may say that no gateway answered. Default: false. */
  readonly hasProxy?: boolean;
}

/** What a fault may do with time. */
export interface FaultScript {
  readonly load: Load;
  /** The fault begins now, not when the script was called. */
  begin(): void;
  /** Load while the fault lasts: so many times 1 s, in the long form 5 s. */
  hold(times?: number): Promise<void>;
  /** Everything is there again; otherwise when the script returns. */
  over(): void;
}

export interface Outcome {
  readonly id: string;
  readonly fault: string;
  readonly answers: number;
  readonly refused: number;
  /** Milliseconds; null when nothing was refused. */
  readonly firstError: number | null;
  readonly errorWindow: number;
  readonly recovery: number;
  readonly slowestRefusal: number;
  readonly lost: number;
  readonly resurrected: number;
}

const [RATE, POOL, MARGIN_MS, HOLD_MS] = isLongForm ? [130, 200, 20_000, 5000] : [20, 12, 1000, 1000];
const RECOVERY_MS = 4000;
/** A 503 comes within half a second; asserted is half a second more, and how slow the machine was just then. */
const LATEST_REFUSAL_MS = 500 + 500;
/** The machine stood still: then a store that is well can miss its half second too. */
const STALL_MS = 250;
/** So many good answers in a row, at each gateway, count as recovered. */
const GOOD_IN_A_ROW = 6;
const DEADLINE_MS = 30_000;

const took = ({ sentAt, answeredAt }: Answer): number => answeredAt - sentAt;

/**
 * Milliseconds that the machine itself takes at a time: the slowest answer within a second that asked no store, and for
 * a sign-in the hash, as the slowest one took that was not refused.
 */
function slownessAt(answers: readonly Answer[], at: number, kind: Kind): number {
  const near = answers.filter(
    (one) => !asksStore(one) && one.sentAt < at + 1000 && one.answeredAt > at - 1000,
  );
  const hashed = answers.filter((one) => kind === 'login' && one.kind === 'login' && one.verdict === 'good');
  return Math.max(0, ...near.map(took)) + Math.max(0, ...hashed.map(took));
}

const asksStore = ({ kind }: Answer): boolean => kind !== 'anonymous' && kind !== 'bypass';

/** Runs a row and asserts the bar: no protected page without a session, nothing lost, nobody resurrected, recovered in time. */
export async function runRow(row: Row, script: (fault: FaultScript) => Promise<unknown>): Promise<Outcome> {
  const { id, fault, ports, rate = RATE, recovery: limit = RECOVERY_MS, refuses = 'anything' } = row;
  const load = await startLoad({
    ports,
    rate: isLongForm ? Math.max(rate, RATE) : rate,
    pool: POOL,
    hasProxy: row.hasProxy ?? false,
  });
  await load.goOn(MARGIN_MS);
  let beganAt = performance.now();
  let overAt: number | null = null;
  await script({
    load,
    begin: () => (beganAt = performance.now()),
    hold: (times = 1) => load.goOn(times * HOLD_MS),
    over: () => (overAt = performance.now()),
  });
  const repairedAt = overAt ?? performance.now();
  await eventually(`${id}: recovered`, DEADLINE_MS, () => {
    const later = load.answers.filter((one) => asksStore(one) && one.sentAt > repairedAt);
    return (
      ports.every((port) => {
        const last = later.filter((one) => one.port === port).slice(-GOOD_IN_A_ROW);
        return last.length === GOOD_IN_A_ROW && last.every(({ verdict }) => verdict === 'good');
      }) || undefined
    );
  }).catch((cause: unknown) => {
    throw new Error(`${id} did not recover; the last answers: ${describe(load.answers.slice(-10))}`, {
      cause,
    });
  });
  await load.goOn(MARGIN_MS);
  await load.stop();

  const refused = load.answers
    .filter(({ verdict }) => verdict === 'refused')
    .toSorted((a, b) => a.sentAt - b.sentAt);
  const [first, last] = [refused[0], refused.at(-1)];
  const recovered =
    last &&
    Math.min(
      ...load.answers
        .filter((one) => asksStore(one) && one.verdict === 'good' && one.sentAt > last.sentAt)
        .map(({ answeredAt }) => answeredAt),
    );
  const outcome: Outcome = {
    id,
    fault,
    answers: load.answers.length,
    refused: refused.length,
    firstError: first ? Math.round(first.sentAt - beganAt) : null,
    errorWindow: first && last ? Math.round(last.sentAt - first.sentAt) : 0,
    recovery: Math.max(0, Math.round((recovered ?? 0) - repairedAt)),
    slowestRefusal: Math.round(
      Math.max(
        0,
        ...refused.filter(({ status }) => status === 503).map((one) => one.answeredAt - one.sentAt),
      ),
    ),
    lost: load.lost.length,
    resurrected: load.resurrected,
  };
  await note(outcome);

  expect(load.answers.filter(({ verdict }) => verdict === 'wrong').map(describeOne), `${id}: wrong`).toEqual(
    [],
  );
  const late = load.answers.filter(
    (one) =>
      one.status === 503 &&
      took(one) > LATEST_REFUSAL_MS + slownessAt(load.answers, one.answeredAt, one.kind),
  );
  expect(describe(late), `${id}: late`).toBe('');
  expect(outcome.resurrected, `${id}: resurrected`).toBe(0);
  if (!row.mayLose) expect(load.lost, `${id}: lost`).toEqual([]);
  if (!row.gatewaysEnd)
    expect(describe(refused.filter(({ status }) => status === 0)), `${id}: hung up`).toBe('');
  const owned = refused.filter((one) => slownessAt(load.answers, one.answeredAt, 'session') < STALL_MS);
  if (refuses === 'nothing') expect(describe(owned), `${id}: refused`).toBe('');
  if (refuses === 'writes') {
    const reads = owned.filter(({ kind }) => kind !== 'login' && kind !== 'logout');
    expect(describe(reads), `${id}: refused reads`).toBe('');
  }
  const slowness = slownessAt(load.answers, repairedAt + outcome.recovery, 'session');
  expect(outcome.recovery, `${id}: recovery`).toBeLessThanOrEqual(limit + slowness);
  return outcome;
}

/** Prints an outcome and notes it for docs/faults.md. */
async function note(outcome: Outcome): Promise<void> {
  const { id, fault, answers, refused, firstError, errorWindow, recovery, lost, resurrected } = outcome;
  announce(
    `${id} ${fault}: first error ${firstError ?? '–'} ms, window ${errorWindow} ms, recovery ${recovery} ms, ` +
      `${refused} of ${answers} refused (slowest ${outcome.slowestRefusal} ms), lost ${lost}, resurrected ${resurrected}`,
  );
  if (faultsReport === undefined) return;
  await mkdir(dirname(faultsReport), { recursive: true });
  await appendFile(faultsReport, `${JSON.stringify(outcome)}\n`);
}

const describeOne = ({ kind, status, why, answeredAt, sentAt }: Answer): string =>
  `${kind} ${status} ${why} (${Math.round(answeredAt - sentAt)} ms)`;
const describe = (answers: readonly Answer[]): string => answers.map(describeOne).join('; ');
