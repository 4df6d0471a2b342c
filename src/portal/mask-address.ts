/** A mail address that its owner recognises and nobody else learns: `j**n@example.com`. */
export function maskAddress(address: string): string {
  const at = address.lastIndexOf('@');
  if (at < 1) return '*'.repeat(address.length);
  const local = Array.from(address.slice(0, at));
  const masked = local.map((letter, i) => (i === 0 || (i === local.length - 1 && i > 1) ? letter : '*'));
  return masked.join('') + address.slice(at);
}
