import type { AuthenticationLevel, Level } from '../decision/target.ts';

/** What is known when the next step is asked for. */
export interface Situation {
  readonly level: AuthenticationLevel;
  /** What the target demands of this person; null without a safe target. */
  readonly required: Level | null;
  /** Whether any rule demands two factors: then a person without a target stays, and may go on to the second. */
  readonly usesTwoFactor: boolean;
  /** Whether there is a place to go to when there is no target. */
  readonly hasDefaultRedirection: boolean;
}

export type NextStep =
  /** Show who you are. */
  | 'password'
  /** The target wants more than was shown. */
  | 'second-factor'
  /** Off to the target; one that is denied says so itself. */
  | 'target'
  | 'default-redirection'
  /** Signed in, nowhere to go. */
  | 'stay';

/** What a person must do next: the one place that knows, asked by the form, the JSON API and the page. */
export function nextStep({ level, required, usesTwoFactor, hasDefaultRedirection }: Situation): NextStep {
  if (level === 0) return 'password';
  if (required === 'two_factor' && level < 2) return 'second-factor';
  if (required !== null) return 'target';
  return hasDefaultRedirection && (!usesTwoFactor || level === 2) ? 'default-redirection' : 'stay';
}
