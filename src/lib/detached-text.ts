/**
 * The same text in memory of its own. A part of another text keeps that one whole for as long as it is kept itself: of what is
 * remembered from a request, the whole request.
 */
export function detachedText(text: string): string {
  return Buffer.from(text).toString();
}
