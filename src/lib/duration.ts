/** Length of each unit in milliseconds. A month has 30 days, a year 365. Only `m` and `M` differ by letter case. */
const units: ReadonlyMap<string, number> = new Map([
  ...['y', 'year', 'years'].map((name) => [name, 31_536_000_000] as const),
  ...['M', 'month', 'months'].map((name) => [name, 2_592_000_000] as const),
  ...['w', 'week', 'weeks'].map((name) => [name, 604_800_000] as const),
  ...['d', 'day', 'days'].map((name) => [name, 86_400_000] as const),
  ...['h', 'hour', 'hours'].map((name) => [name, 3_600_000] as const),
  ...['m', 'minute', 'minutes'].map((name) => [name, 60_000] as const),
  ...['s', 'second', 'seconds'].map((name) => [name, 1000] as const),
  ...['ms', 'millisecond', 'milliseconds'].map((name) => [name, 1] as const),
  ...['us', 'µs', 'μs', 'microsecond', 'microseconds'].map((name) => [name, 1e-3] as const),
  ...['ns', 'nanosecond', 'nanoseconds'].map((name) => [name, 1e-6] as const),
]);

/** 292 years, the longest time that the notation can say elsewhere too. */
const longest = 292 * 31_536_000_000;

/**
 * Milliseconds of a duration: a whole number (or its text) counts seconds, anything else is a row of `<number><unit>`
 * blocks such as `1h30m`, `90 seconds` or `2 weeks and 1 day`. The empty text is 0. Negative numbers of seconds are
 * read as they are; blocks are never negative. Throws an Error that says what is allowed.
 */
export function parseDuration(value: string | number): number {
  const text = String(value).trim();
  if (text === '') return 0;
  if (/^-?\d+$/.test(text)) return within(Number(text) * 1000);
  const blocks = text.replaceAll(/\band\b|\s+/g, '');
  if (!/^(?:\d+\p{L}+)+$/u.test(blocks)) {
    throw new Error('must be a duration such as 5m, 1h30m, "90 seconds" or a whole number of seconds');
  }
  let total = 0;
  for (const [, quantity, unit] of blocks.matchAll(/(\d+)(\p{L}+)/gu)) {
    const length = units.get(unit ?? '');
    if (length === undefined) {
      throw new Error(
        `must be a duration; "${unit}" is no unit: y, M, w, d, h, m, s, ms, us, ns or their long names`,
      );
    }
    total += Number(quantity) * length;
  }
  return within(total);
}

function within(milliseconds: number): number {
  if (Math.abs(milliseconds) > longest) throw new Error('must be shorter than 292 years');
  return milliseconds;
}

/** The shortest notation that `parseDuration` reads back to the same length: `1h30m`, `7d`, `0s`, `-1`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds <= 0) return milliseconds === 0 ? '0s' : String(Math.trunc(milliseconds / 1000));
  let rest = milliseconds;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const length = units.get(unit) ?? 1;
    const quantity = Math.floor(rest / length);
    if (quantity > 0) text += `${quantity}${unit}`;
    rest -= quantity * length;
  }
  return rest > 0 ? `${text}${Math.round(rest * 1e6)}ns` : text;
}
