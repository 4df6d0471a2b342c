import { describe, expect, test } from 'vitest';

import { createQrCode } from '../../../src/lib/qr-code.ts';

const URL =
  'otpauth://totp/Example:jane?issuer=Example&secret=GEZDGNBVGY3TQOJQ&algorithm=SHA1&digits=6&period=30';

/** Paints the path, which must be made of upright rectangles one module high. */
function paint(path: string, size: number): boolean[][] {
  const rows = Array.from({ length: size }, () => Array.from({ length: size }, () => false));
  const rest = path.replaceAll(
    /M(\d+) (\d+)h(\d+)v1h-(\d+)z/g,
    (_all, x: string, y: string, width: string, back: string) => {
      expect(back).toBe(width);
      rows[Number(y)]?.fill(true, Number(x), Number(x) + Number(width));
      return '';
    },
  );
  expect(rest).toBe('');
  return rows;
}

describe('a QR code', () => {
  test('is square, with four light modules around and the three finder patterns', () => {
    const { size, modules } = createQrCode(URL);
    // Versions 1 to 40 have 21 to 177 modules, four more each.
    expect((size - 8 - 17) % 4).toBe(0);
    expect(modules.map((row) => row.length)).toEqual(Array.from({ length: size }, () => size));
    for (const [y, row] of modules.entries()) {
      for (const [x, isDark] of row.entries()) {
        if (Math.min(x, y, size - 1 - x, size - 1 - y) < 4) expect(isDark).toBe(false);
      }
    }
    const finder = ['1111111', '1000001', '1011101', '1011101', '1011101', '1000001', '1111111'];
    for (const [top, left] of [
      [4, 4],
      [4, size - 11],
      [size - 11, 4],
    ] as const) {
      const found = modules.slice(top, top + 7).map((row) =>
        row
          .slice(left, left + 7)
          .map((isDark) => (isDark ? '1' : '0'))
          .join(''),
      );
      expect(found).toEqual(finder);
    }
  });

  test('its path paints its modules', () => {
    const { size, modules, path } = createQrCode(URL);
    expect(paint(path, size)).toEqual(modules);
  });

  test('grows with the text, is the same for the same text, and has an end', () => {
    expect(createQrCode('x').size).toBe(29);
    expect(createQrCode(URL)).toEqual(createQrCode(URL));
    expect(createQrCode('é'.repeat(1_165)).size).toBe(185);
    expect(() => createQrCode('é'.repeat(1_166))).toThrow();
  });
});
