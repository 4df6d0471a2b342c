/** Points in time, told in the visitor's language. */
import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/** From when and where times are told. */
export interface Viewpoint {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** An IANA name; undefined: that of the browser. */
  readonly timeZone: string | undefined;
}

/** Milliseconds between two looks at the clock. */
const step = 30_000;

/** The server's view first, so that both render the same; then the browser's own time and time zone, kept up to date. */
export function useViewpoint(serverNow: number): Viewpoint {
  const [viewpoint, setViewpoint] = useState<Viewpoint>({ now: serverNow, timeZone: 'UTC' });
  useEffect(() => {
    // A clock that is wrong here must not tell wrong distances: only what has passed since the page was made counts.
    const start = performance.now();
    const look = (): void =>
      setViewpoint({ now: serverNow + performance.now() - start, timeZone: undefined });
    look();
    const timer = setInterval(look, step);
    return () => clearInterval(timer);
  }, [serverNow]);
  return viewpoint;
}

/** A distance (`2 hours ago`), and the date and time; these with a time zone where it may not be the visitor's. */
export function Moment({
  at,
  viewpoint,
  language,
}: {
  readonly at: number;
  readonly viewpoint: Viewpoint;
  readonly language: string;
}): JSX.Element {
  return (
    <time datetime={new Date(at).toISOString()}>
      {`${relativeTime(at - viewpoint.now, language)} `}
      <span class="exact">{exactTime(at, viewpoint.timeZone, language)}</span>
    </time>
  );
}

const units = [
  ['year', 365 * 86_400_000],
  ['month', 30 * 86_400_000],
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const;

/** `distance` in milliseconds, negative in the past. Less than a minute is now. */
function relativeTime(distance: number, language: string): string {
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const [unit, length] = units.find(([, length]) => Math.abs(distance) >= length) ?? ['second', Infinity];
  return format.format(length === Infinity ? 0 : Math.trunc(distance / length), unit);
}

function exactTime(at: number, timeZone: string | undefined, language: string): string {
  return new Intl.DateTimeFormat(language, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
    ...(timeZone !== undefined && { timeZone, timeZoneName: 'short' }),
  }).format(at);
}
