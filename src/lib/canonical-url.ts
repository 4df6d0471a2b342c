/** One URL in the form in which everything decides about it. */
export interface CanonicalUrl {
  /** Lower case. */
  readonly scheme: string;
  /** Lower case ASCII, without port. */
  readonly host: string;
  /** Digits, or empty. */
  readonly port: string;
  /**
   * The path as applications may read it, decoded and cleaned; the first is the plain reading. More than one only where
   * the spelling is ambiguous (path parameters, backslashes, double encoding …); the strictest decision counts.
   */
  readonly readings: readonly [string, ...string[]];
  /** Without the question mark, as it was sent (not decoded). */
  readonly query: string;
  /** The URL exactly as the proxy gave it. */
  readonly href: string;
}
