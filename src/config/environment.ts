/** The environment of the process. Nothing else reads it; everything else is given what it needs. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return { ...process.env };
}
