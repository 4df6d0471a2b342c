/** Says something in the log of a test run even when everything passes: what was left out, and why. */
export function announce(text: string): void {
  process.stderr.write(`${text}\n`);
}
