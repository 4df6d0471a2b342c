/** What a command may use of the process it runs in. */
export interface CliIo {
  out(text: string): void;
  err(text: string): void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Ends the process. */
  exit(code: number): void;
}
