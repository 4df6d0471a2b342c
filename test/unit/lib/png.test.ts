import { crc32, inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';

import { encodePng } from '../../../src/lib/png.ts';

/** The chunks of a PNG file, their checksums verified. */
function chunksOf(png: Buffer): (readonly [type: string, data: Buffer])[] {
  expect(png.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1A\n');
  const chunks: (readonly [string, Buffer])[] = [];
  for (let at = 8; at < png.length;) {
    const end = at + 8 + png.readUInt32BE(at);
    expect(png.readUInt32BE(end)).toBe(crc32(png.subarray(at + 4, end)));
    chunks.push([png.toString('latin1', at + 4, at + 8), png.subarray(at + 8, end)]);
    at = end + 4;
  }
  return chunks;
}

test('an image of three rows, four pixels for each module', () => {
  const chunks = chunksOf(
    encodePng(
      [
        [true, false, true],
        [false, false, false],
        [true, true, true],
      ],
      4,
    ),
  );
  expect(chunks.map(([type]) => type)).toEqual(['IHDR', 'IDAT', 'IEND']);
  // Width, height, one bit, greyscale, and the one method that there is of compression, filter and order.
  expect(chunks[0]?.[1].toString('hex')).toBe('0000000c0000000c0100000000');
  const pixels = inflateSync(chunks[1]?.[1] ?? Buffer.of());
  // Each line: filter 0, then 12 bits, 1 for white, and four that nobody sees.
  expect(pixels.toString('hex').match(/.{6}/g)).toEqual([
    ...Array.from({ length: 4 }, () => '000f00'),
    ...Array.from({ length: 4 }, () => '00fff0'),
    ...Array.from({ length: 4 }, () => '000000'),
  ]);
});
