/** Something that is wrong (`error`: the configuration is not used) or deserves a look (`warning`). */
export interface Problem {
  readonly severity: 'error' | 'warning';
  /** `access_control.rules[3].policy`, or empty when it is about a whole file or a variable. */
  readonly key: string;
  /** What is wrong and what is allowed; reads on after the key. Never shows a secret. */
  readonly message: string;
  readonly file?: string;
  /** From 1. */
  readonly line?: number;
  /** From 1. */
  readonly column?: number;
}

/** One line: `error: configuration.yml:3:5: session.name: must not be empty`. */
export function formatProblem(problem: Problem): string {
  const place = [problem.file, problem.line, problem.column].filter((part) => part !== undefined).join(':');
  return [problem.severity, place, problem.key, problem.message].filter((part) => part !== '').join(': ');
}
