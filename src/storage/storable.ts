/**
 * Whether a text that somebody sent can stand in a key at all. What cannot is found nowhere, and is not asked for: PostgreSQL
 * refuses a NUL, MySQL what is too long.
 */
export function isStorable(text: string): boolean {
  return text.length <= 255 && !text.includes('\0');
}
