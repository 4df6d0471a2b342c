import { describe, expect, test } from 'vitest';

import {
  createTotpSecret,
  formatTotpSecret,
  InvalidTotpSecret,
  matchTotpCode,
  parseTotpSecret,
  totpCode,
  type TotpKey,
  totpStep,
  totpUrl,
} from '../../../src/factors/totp.ts';
import { seededRandom } from '../../support/fake-clock.ts';

const SEEDS = {
  SHA1: '12345678901234567890',
  SHA256: '12345678901234567890123456789012',
  SHA512: '1234567890123456789012345678901234567890123456789012345678901234',
};

function key(changes: Partial<TotpKey> = {}): TotpKey {
  return { algorithm: 'SHA1', digits: 6, period: 30, secret: Buffer.from(SEEDS.SHA1), ...changes };
}

describe('RFC 6238, appendix B', () => {
  test.each([
    [59, '94287082', '46119246', '90693936'],
    [1111111109, '07081804', '68084774', '25091201'],
    [1111111111, '14050471', '67062674', '99943326'],
    [1234567890, '89005924', '91819424', '93441116'],
    [2000000000, '69279037', '90698825', '38618901'],
    [20000000000, '65353130', '77737706', '47863826'],
  ])('at %i seconds', (seconds, ...codes) => {
    for (const [i, algorithm] of (['SHA1', 'SHA256', 'SHA512'] as const).entries()) {
      const one = key({ algorithm, digits: 8, secret: Buffer.from(SEEDS[algorithm]) });
      const step = totpStep(one, seconds * 1000);
      expect(step).toBe(Math.floor(seconds / 30));
      expect(totpCode(one, step)).toBe(codes[i]);
      expect(matchTotpCode(one, codes[i] ?? '', seconds * 1000, 0)).toBe(step);
    }
  });

  test('six digits are the last six of eight', () => {
    expect(totpCode(key(), 1)).toBe('287082');
  });
});

describe('a match', () => {
  const NOW = 1_800_000_000_000;
  const present = totpStep(key(), NOW);

  test.each([0, 1, 3])('reaches %i steps to each side and no further', (skew) => {
    for (let distance = -5; distance <= 5; distance++) {
      const step = present + distance;
      expect([distance, matchTotpCode(key(), totpCode(key(), step), NOW, skew)]).toEqual([
        distance,
        Math.abs(distance) <= skew ? step : null,
      ]);
    }
  });

  test('changes with the period, to the millisecond', () => {
    const one = key({ period: 60 });
    const code = totpCode(one, 30_000_000);
    expect(matchTotpCode(one, code, NOW - 1, 0)).toBeNull();
    expect(matchTotpCode(one, code, NOW, 0)).toBe(30_000_000);
    expect(matchTotpCode(one, code, NOW + 59_999, 0)).toBe(30_000_000);
    expect(matchTotpCode(one, code, NOW + 60_000, 0)).toBeNull();
  });

  test('does not mind spaces', () => {
    const code = totpCode(key(), present);
    for (const typed of [` ${code}`, `${code}\n`, `${code.slice(0, 3)} ${code.slice(3)}`]) {
      expect([typed, matchTotpCode(key(), typed, NOW, 1)]).toEqual([typed, present]);
    }
  });

  test('is none for anything else', () => {
    const code = totpCode(key(), present);
    const fullWidth = [...code].map((digit) => String.fromCodePoint(0xff10 + Number(digit))).join('');
    for (const typed of [
      '',
      code.slice(1),
      `${code}0`,
      `0${code}`,
      `-${code}`,
      fullWidth,
      'abcdef',
      '1e5000',
      '💥💥💥',
    ]) {
      expect([typed, matchTotpCode(key(), typed, NOW, 1)]).toEqual([typed, null]);
    }
    expect(matchTotpCode(key({ secret: Buffer.from(SEEDS.SHA256) }), code, NOW, 1)).toBeNull();
  });

  test('has no steps before the epoch', () => {
    expect(matchTotpCode(key(), totpCode(key(), 0), 0, 2)).toBe(0);
    expect(matchTotpCode(key(), totpCode(key(), 1), 0, 2)).toBe(1);
  });
});

describe('a secret', () => {
  test('is as long as asked, from the given source, and comes back from Base32', () => {
    for (const size of [20, 32, 33, 64]) {
      const secret = createTotpSecret(size, seededRandom(size));
      expect(Buffer.from(secret)).toEqual(seededRandom(size).bytes(size));
      const text = formatTotpSecret(secret);
      expect(text).toMatch(/^[A-Z2-7]+$/);
      expect(Buffer.from(parseTotpSecret(text))).toEqual(Buffer.from(secret));
    }
  });

  test('a part of a larger buffer is taken, not all of it', () => {
    const pool = Buffer.from(`xx${SEEDS.SHA1}yy`);
    expect(totpCode(key({ secret: pool.subarray(2, 22) }), 1)).toBe('287082');
  });

  test('is read in any common spelling', () => {
    const text = 'GEZDGNBVGY3TQOJQGEZDGNBVGY';
    expect(Buffer.from(parseTotpSecret(text)).toString()).toBe(SEEDS.SHA1.slice(0, 16));
    for (const typed of [text.toLowerCase(), `${text}======`, ` ${text.replaceAll(/.{4}/g, '$& ')}\n`]) {
      expect(Buffer.from(parseTotpSecret(typed)).toString()).toBe(SEEDS.SHA1.slice(0, 16));
    }
  });

  test.each([
    ['too short', 'GEZDGNBVGY3TQOJQGEZDGNBV', /at least 16 bytes.*it has 15/],
    ['empty', '', /at least 16 bytes.*it has 0/],
    ['with a digit of no Base32', 'GEZDGNBVGY3TQOJQGEZDGNBVG1', /must be Base32/],
    ['of no whole number of bytes', 'GEZDGNBVGY3TQOJQGEZDGNBVGYA', /must be Base32/],
    ['hexadecimal', '3132333435363738393031323334353637383930', /must be Base32/],
  ])('%s is refused without being repeated', (_name, text, message) => {
    expect(() => parseTotpSecret(text)).toThrow(InvalidTotpSecret);
    expect(() => parseTotpSecret(text)).toThrow(message);
    expect(() => parseTotpSecret(text)).not.toThrow(/GEZD|3132/);
  });
});

test('the URL names issuer and person, and carries everything', () => {
  const url = new URL(
    totpUrl(key({ algorithm: 'SHA256', digits: 8, period: 60 }), 'Example & Co', 'zoë@x.org'),
  );
  expect(`${url.protocol}//${url.host}${decodeURIComponent(url.pathname)}`).toBe(
    'otpauth://totp/Example & Co:zoë@x.org',
  );
  expect(Object.fromEntries(url.searchParams)).toEqual({
    issuer: 'Example & Co',
    secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
    algorithm: 'SHA256',
    digits: '8',
    period: '60',
  });
});
