import { encode } from 'uqr';

/** A QR code (ISO/IEC 18004) with its quiet zone. */
export interface QrCode {
  /** Modules on each side, the quiet zone included. */
  readonly size: number;
  /** Rows from the top, true for dark. */
  readonly modules: readonly (readonly boolean[])[];
  /**
   * The dark modules as data of an SVG path, for a view box of `0 0 size size`. Needs no style, so it works under the
   * strictest content security policy; the background must be light in dark themes too.
   */
  readonly path: string;
}

/** The standard asks for four modules of quiet zone. */
const QUIET_ZONE = 4;

/** The code of `text` with error correction M. Throws for texts beyond 2,331 bytes, which no code holds. */
export function createQrCode(text: string): QrCode {
  const { size, data } = encode(text, { ecc: 'M', border: QUIET_ZONE });
  const path = data
    .map((row, y) =>
      // Runs of dark modules become one rectangle each: a third of the length.
      [
        ...row
          .map((isDark) => (isDark ? '1' : '0'))
          .join('')
          .matchAll(/1+/g),
      ]
        .map(({ 0: run, index }) => `M${index} ${y}h${run.length}v1h-${run.length}z`)
        .join(''),
    )
    .join('');
  return { size, modules: data, path };
}
