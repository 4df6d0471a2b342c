import { describe, expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/lib/duration.ts';

describe('parseDuration', () => {
  test.each([
    [5, 5000],
    ['5', 5000],
    ['0', 0],
    ['', 0],
    ['-1', -1000],
    [-1, -1000],
    ['1y', 365 * 86_400_000],
    ['2 years', 2 * 365 * 86_400_000],
    ['1M', 30 * 86_400_000],
    ['1 month', 30 * 86_400_000],
    ['1m', 60_000],
    ['1w', 604_800_000],
    ['1d 2h', 93_600_000],
    ['1h30m', 5_400_000],
    ['90 seconds', 90_000],
    ['2 weeks and 1 day', 15 * 86_400_000],
    ['1 minute and 30 seconds', 90_000],
    ['007s', 7000],
    ['250ms', 250],
    ['1500us', 1.5],
    ['1500µs', 1.5],
    ['2 nanoseconds', 2e-6],
    ['1s1s', 2000],
  ])('%j is %d ms', (text, milliseconds) => expect(parseDuration(text)).toBe(milliseconds));

  test.each([
    '1.5h',
    'h',
    '5 parsecs',
    '1H',
    '5m5',
    '- 1',
    '-5m',
    '1e3',
    'and',
    '1 d x',
    '293y',
    '99999999999999999999',
    1.5,
    Number.NaN,
    Infinity,
    '5\u0660s',
  ])('%j is refused', (text) => expect(() => parseDuration(text)).toThrow(/^must be/));

  test('long nonsense is refused quickly', () => {
    expect(() => parseDuration(`${'1s'.repeat(20_000)}!`)).toThrow('must be a duration');
  });
});

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [-1000, '-1'],
    [90_000, '1m30s'],
    [5_400_000, '1h30m'],
    [2_592_000_000, '30d'],
    [250, '250ms'],
    [1.5, '1ms500000ns'],
  ])('%d ms is %s, and back', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
    expect(parseDuration(text)).toBeCloseTo(milliseconds, 6);
  });
});
