/**
 * Writes a moment by a layout in Go's notation, where every part is spelled as it would be for the reference time
 * `Mon Jan 2 15:04:05 MST 2006` (https://pkg.go.dev/time#pkg-constants). Text that is no part of it stays.
 * `epochMs` is in milliseconds; parts are local time, as Go's are.
 */
export function formatTimeLayout(layout: string, epochMs: number): string {
  const date = new Date(epochMs);
  return layout.replace(parts, (part) => writers[part]?.(date) ?? fraction(part, date));
}

/** The layout of RFC 3339 with seconds. */
export const rfc3339 = '2006-01-02T15:04:05Z07:00';

const pad = (value: number, width = 2, fill = '0'): string => String(value).padStart(width, fill);
const named =
  (options: Intl.DateTimeFormatOptions) =>
  (date: Date): string =>
    new Intl.DateTimeFormat('en-US', options).format(date);
const hour12 = (date: Date): number => date.getHours() % 12 || 12;
const dayOfYear = (date: Date): number =>
  Math.round(
    (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - Date.UTC(date.getFullYear(), 0, 0)) /
      86_400_000,
  );

function offset(date: Date, separator: string | null, utc?: string): string {
  const minutes = -date.getTimezoneOffset();
  if (minutes === 0 && utc !== undefined) return utc;
  const size = Math.abs(minutes);
  const hours = `${minutes < 0 ? '-' : '+'}${pad(Math.floor(size / 60))}`;
  return separator === null ? hours : `${hours}${separator}${pad(size % 60)}`;
}

function fraction(part: string, date: Date): string {
  const digits = part.slice(1);
  const value = pad(date.getMilliseconds(), 3).padEnd(digits.length, '0').slice(0, digits.length);
  if (digits.startsWith('0')) return `${part.charAt(0)}${value}`;
  const significant = value.replace(/0+$/, '');
  return significant === '' ? '' : `${part.charAt(0)}${significant}`;
}

const writers: Readonly<Record<string, (date: Date) => string>> = {
  January: named({ month: 'long' }),
  Jan: named({ month: 'short' }),
  Monday: named({ weekday: 'long' }),
  Mon: named({ weekday: 'short' }),
  MST: (date) =>
    new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' })
      .formatToParts(date)
      .find(({ type }) => type === 'timeZoneName')?.value ?? 'UTC',
  '2006': (date) => pad(date.getFullYear(), 4),
  '06': (date) => pad(date.getFullYear() % 100),
  '01': (date) => pad(date.getMonth() + 1),
  '1': (date) => String(date.getMonth() + 1),
  '002': (date) => pad(dayOfYear(date), 3),
  '02': (date) => pad(date.getDate()),
  _2: (date) => pad(date.getDate(), 2, ' '),
  '2': (date) => String(date.getDate()),
  '15': (date) => pad(date.getHours()),
  '03': (date) => pad(hour12(date)),
  '3': (date) => String(hour12(date)),
  '04': (date) => pad(date.getMinutes()),
  '4': (date) => String(date.getMinutes()),
  '05': (date) => pad(date.getSeconds()),
  '5': (date) => String(date.getSeconds()),
  PM: (date) => (date.getHours() < 12 ? 'AM' : 'PM'),
  pm: (date) => (date.getHours() < 12 ? 'am' : 'pm'),
  'Z07:00': (date) => offset(date, ':', 'Z'),
  Z0700: (date) => offset(date, '', 'Z'),
  '-07:00': (date) => offset(date, ':'),
  '-0700': (date) => offset(date, ''),
  '-07': (date) => offset(date, null),
};

/** Longer parts first, so that `01` is not read as `0` and `1`. */
const parts = new RegExp(
  [...Object.keys(writers).sort((a, b) => b.length - a.length), '[.,](?:0+|9+)(?!\\d)'].join('|'),
  'g',
);
