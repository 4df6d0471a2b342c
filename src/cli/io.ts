/** What a command may use of the process it runs in. */
export interface CliIo {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}
