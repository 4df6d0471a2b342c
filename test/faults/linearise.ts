/**
 * A checker of recorded histories of one session, a register that is signed in or not: is there an order of all operations
 * that keeps to their times (what was answered before another was asked comes before it) and that explains every answer?
 */
export interface Operation {
  readonly action: 'login' | 'logout' | 'read';
  /** For a read: whether the session was let in. */
  readonly isIn?: boolean;
  readonly askedAt: number;
  /** Null: never answered. Then it may have happened at any time since, or not at all; a read is left out. */
  readonly answeredAt: number | null;
}

/** At most 60 operations. */
export function isLinearisable(history: readonly Operation[]): boolean {
  const operations = history.filter(({ action, answeredAt }) => action !== 'read' || answeredAt !== null);
  if (operations.length > 60) throw new Error(`too long a history: ${operations.length} operations`);
  const all = (1n << BigInt(operations.length)) - 1n;
  const answered = operations.reduce(
    (set, { answeredAt }, at) => (answeredAt === null ? set : set | (1n << BigInt(at))),
    0n,
  );
  const failed = new Set<string>();

  const explain = (left: bigint, isIn: boolean): boolean => {
    if ((left & answered) === 0n) return true;
    const state = `${left} ${isIn}`;
    if (failed.has(state)) return false;
    const remaining = operations.flatMap((operation, at) =>
      (left >> BigInt(at)) & 1n ? [{ ...operation, bit: 1n << BigInt(at) }] : [],
    );
    const firstAnswer = Math.min(
      ...remaining.map(({ answeredAt }) => answeredAt ?? Number.POSITIVE_INFINITY),
    );
    for (const { action, isIn: seen, askedAt, bit } of remaining) {
      if (askedAt > firstAnswer || (action === 'read' && seen !== isIn)) continue;
      if (explain(left & ~bit, action === 'read' ? isIn : action === 'login')) return true;
    }
    failed.add(state);
    return false;
  };
  return explain(all, false);
}
