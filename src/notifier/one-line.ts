/**
 * A text that came from outside, as one line: line breaks, control characters, and those that turn the direction of what
 * follows become spaces; at most `longest` characters.
 */
export function oneLine(text: string, longest = 200): string {
  const line = text
    .toWellFormed()
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\s]+/gu, ' ')
    .trim();
  return line.length <= longest ? line : `${line.slice(0, longest - 1).toWellFormed()}…`;
}
