/**
 * The policy of the portal's pages: nothing but what is used, no inline script or style, Trusted Types on. The nonce is
 * fresh for each page and stands on our own script and style sheet, so that a policy of an administrator may do without 'self'.
 */
export function contentSecurityPolicy(
  template: string | null,
  nonce: string,
  formTarget: string | null,
): string {
  if (template !== null) return template.replaceAll('${NONCE}', nonce);
  return [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}'`,
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "font-src 'self'",
    "manifest-src 'self'",
    `form-action 'self'${formTarget === null ? '' : ` ${formTarget}`}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ');
}
