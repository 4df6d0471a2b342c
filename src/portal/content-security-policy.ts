/**
 * The policy of the portal's pages: nothing but what is used, no inline script or style, Trusted Types on. The nonce is
 * fresh for each page; no element of ours carries it, it is there for templates of administrators.
 */
export function contentSecurityPolicy(template: string | null, nonce: string, formTarget: string | null): string {
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
