/** An absolute URL cut at its marks, nothing decoded or judged: scheme, authority, and the rest as it stands. */
export function splitUrl(text: string): { scheme: string; authority: string; uri: string } | null {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#\\]*)(.*)$/s.exec(text);
  if (!match) return null;
  return { scheme: match[1] as string, authority: match[2] as string, uri: match[3] as string };
}
