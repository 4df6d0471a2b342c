import type { Timers } from '../lib/timers.ts';
import type { AuditLog, AuditRecord } from './audit-log.ts';
import { StorageUnavailable } from './errors.ts';

/**
 * Writes audit records in the background and in order. Whoever hands one in never waits and never fails; while the storage
 * does not answer, records wait in memory, and those that find no room are counted. The gap is written into the log itself
 * as soon as that is possible. A record may be there twice when the storage went away before it confirmed.
 */
export interface AuditWriter {
  write(record: AuditRecord): void;
  /** How many wait. */
  readonly waiting: number;
  /** Begins to write; what came before waits until then. */
  start(log: AuditLog): void;
  /** Writes what waits, within `deadline` milliseconds. Later records are lost. */
  close(deadline: number): Promise<void>;
}

export interface AuditWriterDeps {
  readonly timers: Timers;
  readonly clock: { now(): number };
  /** `refused`: the storage answers, and does not take this record. `closed`: there was no time left to write it. */
  readonly onLost: (records: number, why: LostWhy, error?: unknown) => void;
  /** How many may wait; default 2000. */
  readonly limit?: number;
}

export type LostWhy = 'full' | 'refused' | 'closed';

/** Records that are written with one statement. */
const BATCH = 50;
/** Milliseconds between two tries while the storage does not answer. */
const PAUSE = 2000;

export function createAuditWriter({ timers, clock, onLost, limit = 2000 }: AuditWriterDeps): AuditWriter {
  const waiting: AuditRecord[] = [];
  let log: AuditLog | null = null;
  let working: Promise<void> | null = null;
  let cancelPause: (() => void) | null = null;
  let isClosed = false;
  /** Records for which there was no room, and that no record tells of yet. */
  let lost = 0;

  const lose = (records: number, why: LostWhy, error?: unknown): void => {
    lost += records;
    onLost(records, why, error);
  };

  const work = (): void => {
    if (log === null || working !== null || cancelPause !== null) return;
    if (waiting.length === 0 && lost === 0) return;
    working = workOnce(log);
  };

  const workOnce = async (into: AuditLog): Promise<void> => {
    const isDone = await writeAll(into);
    working = null;
    if (isDone) work();
    else if (!isClosed) {
      cancelPause = timers.after(PAUSE, () => {
        cancelPause = null;
        work();
      });
    }
  };

  /** False when the storage does not answer; what could not be written still waits. */
  const writeAll = async (into: AuditLog): Promise<boolean> => {
    /** How many are written one by one, since one of them is refused, which must not keep the others out. */
    let alone = 0;
    while (waiting.length > 0 || lost > 0) {
      const gap = lost;
      const records = gap > 0 ? [gapOf(gap, clock.now())] : waiting.slice(0, alone > 0 ? 1 : BATCH);
      try {
        await into.insertAll(records);
      } catch (error) {
        if (error instanceof StorageUnavailable) return false;
        if (records.length > 1) {
          alone = records.length;
          continue;
        }
        if (gap > 0) onLost(1, 'refused', error);
        else lose(1, 'refused', error);
      }
      if (gap > 0) lost -= gap;
      else waiting.splice(0, records.length);
      alone = Math.max(0, alone - records.length);
    }
    return true;
  };

  return {
    write(record) {
      if (isClosed) return onLost(1, 'closed');
      if (waiting.length >= limit) return lose(1, 'full');
      waiting.push(record);
      work();
    },

    get waiting() {
      return waiting.length;
    },

    start(opened) {
      log = opened;
      work();
    },

    async close(deadline) {
      isClosed = true;
      cancelPause?.();
      cancelPause = null;
      work();
      if (working !== null) {
        await new Promise<void>((resolve) => {
          const cancel = timers.after(deadline, resolve);
          void working?.finally(() => {
            cancel();
            resolve();
          });
        });
      }
      const left = waiting.splice(0).length;
      if (left > 0) onLost(left, 'closed');
    },
  };
}

function gapOf(records: number, at: number): AuditRecord {
  return { at, event: 'audit.lost', username: null, ip: null, details: { records } };
}
