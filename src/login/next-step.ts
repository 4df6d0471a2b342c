import type { Requirement } from '../decision/decide.ts';
import { factorKind, type FactorMethod, isMet, type Proven } from '../decision/factors.ts';
import type { AuthenticationLevel } from '../decision/target.ts';

/** The methods that can stand for a second factor. */
export type SecondFactorMethod = Exclude<FactorMethod, 'password'>;

/** What is known when the next step is asked for. */
export interface Situation {
  readonly level: AuthenticationLevel;
  readonly proven: Proven;
  /** What the target demands of this person; null without a safe target. */
  readonly required: Pick<Requirement, 'level' | 'proofs'> | null;
  /** Second factors that this person has; null while nobody has looked: then any may be named. */
  readonly enrolled: readonly SecondFactorMethod[] | null;
  /** Second factors that people can add here. */
  readonly offered: readonly SecondFactorMethod[];
  /** Whether any rule demands a second factor: then a person without a target stays, and may go on to it. */
  readonly usesTwoFactor: boolean;
  /** Whether there is a place to go to when there is no target. */
  readonly hasDefaultRedirection: boolean;
}

export type NextStep =
  /** Show who you are; for who is signed in: once more. */
  | { readonly kind: 'password' }
  /** One of these, which the person has. */
  | { readonly kind: 'second-factor'; readonly methods: readonly SecondFactorMethod[] }
  /** The target wants what the person does not have yet and can add: one of these. */
  | { readonly kind: 'enrol'; readonly methods: readonly SecondFactorMethod[] }
  /** The target wants what cannot be had here. */
  | { readonly kind: 'out-of-reach' }
  /** Off to the target; one that is denied says so itself. */
  | { readonly kind: 'target' }
  | { readonly kind: 'default-redirection' }
  /** Signed in, nowhere to go. Who has a second factor may show it ahead of the sites that ask for it: one of these. */
  | { readonly kind: 'stay'; readonly methods: readonly SecondFactorMethod[] };

/**
 * What a person must do next: the one place that knows, asked by the form, the JSON API and the pages. One step at a time:
 * after it is done, it is asked again.
 */
export function nextStep(situation: Situation): NextStep {
  const { level, proven, required, enrolled, usesTwoFactor, hasDefaultRedirection } = situation;
  if (level === 0) return { kind: 'password' };
  if (required === null) {
    const mayLeave = hasDefaultRedirection && (!usesTwoFactor || level === 2);
    if (mayLeave) return { kind: 'default-redirection' };
    return { kind: 'stay', methods: usesTwoFactor && level < 2 ? (enrolled ?? SECOND_FACTORS) : [] };
  }
  if (required.level === 'deny' || required.level === 'bypass') return { kind: 'target' };
  // A proof that is demanded anyway may be the second factor as well: it is asked for first.
  const open = required.proofs.find((proof) => !isMet(proof, proven));
  if (open)
    return open.methods.includes('password') ? { kind: 'password' } : secondFactor(situation, open.methods);
  return required.level === 'two_factor' && level < 2
    ? secondFactor(situation, SECOND_FACTORS)
    : { kind: 'target' };
}

const SECOND_FACTORS = (Object.keys(factorKind) as FactorMethod[]).filter(isSecondFactor);

function isSecondFactor(method: FactorMethod): method is SecondFactorMethod {
  return factorKind[method] === 'possession';
}

function secondFactor({ enrolled, offered }: Situation, wanted: readonly FactorMethod[]): NextStep {
  const suitable = wanted.filter(isSecondFactor);
  if (enrolled === null) return { kind: 'second-factor', methods: suitable };
  const methods = suitable.filter((method) => enrolled.includes(method));
  if (methods.length > 0) return { kind: 'second-factor', methods };
  const addable = suitable.filter((method) => offered.includes(method));
  return addable.length > 0 ? { kind: 'enrol', methods: addable } : { kind: 'out-of-reach' };
}
