/** What people prove who they are with, as rules know it. */

export type FactorMethod = 'password' | 'totp' | 'recovery-code';

export interface CompletedFactor {
  readonly method: FactorMethod;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Two proofs of one kind are one factor: something known, something possessed. */
export const factorKind = {
  password: 'knowledge',
  totp: 'possession',
  'recovery-code': 'possession',
} as const satisfies Record<FactorMethod, 'knowledge' | 'possession'>;

/** What a visitor has proven, and the time at which that is judged. */
export interface Proven {
  readonly factors: readonly CompletedFactor[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

export const nothingProven: Proven = Object.freeze({ factors: Object.freeze([]), now: 0 });

/** What a rule demands beyond its level: that one of these methods was used, and not too long ago. */
export interface ProofDemand {
  readonly methods: readonly FactorMethod[];
  /** Milliseconds; null: any time in the session. */
  readonly maxAge: number | null;
}

export function isMet({ methods, maxAge }: ProofDemand, { factors, now }: Proven): boolean {
  return factors.some(
    ({ method, at }) => methods.includes(method) && (maxAge === null || now - at <= maxAge),
  );
}

/** What a rule with `factors` and `max_age` demands; null when it has neither. */
export function proofDemandOf(rule: {
  readonly twoFactor: boolean;
  /** Empty: any. */
  readonly methods: readonly FactorMethod[];
  readonly maxAge: number | null;
}): ProofDemand | null {
  const { methods, maxAge } = rule;
  if (methods.length > 0) return { methods, maxAge };
  if (maxAge === null) return null;
  const all = Object.keys(factorKind) as FactorMethod[];
  // Of two factors the second one must be fresh: the password alone would not show that its owner holds it still.
  return { methods: rule.twoFactor ? all.filter((one) => factorKind[one] === 'possession') : all, maxAge };
}
