import type { RequestMeter } from '../http/request-meter.ts';
import type { Stopwatch } from '../lib/clock.ts';
import type { Cell, Distribution } from '../lib/metrics.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';

/** Any other would be a series that a client can make. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

interface OfStatus {
  authz: Cell | null;
  readonly seconds: Distribution;
  readonly methods: Map<string, Cell>;
}

/** Counts and times requests. What a status needs is looked up once and kept. */
export function meterRequests(metrics: GatewayMetrics, stopwatch: Stopwatch): RequestMeter {
  const known = new Map<number, OfStatus>();

  const ofStatus = (status: number): OfStatus => {
    const seconds = metrics.requestSeconds.of({ code: String(status) });
    const made: OfStatus = { authz: null, seconds, methods: new Map() };
    known.set(status, made);
    return made;
  };

  const ofMethod = ({ methods }: OfStatus, status: number, method: string): Cell => {
    const name = METHODS.has(method) ? method : 'other';
    const cell = metrics.requests.of({ code: String(status), method: name });
    if (name === method) methods.set(method, cell);
    return cell;
  };

  return {
    begin: () => stopwatch.now(),
    end(kind, method, status, began) {
      const one = known.get(status) ?? ofStatus(status);
      (one.methods.get(method) ?? ofMethod(one, status, method)).value++;
      if (kind === 'authz') (one.authz ??= metrics.authz.of({ code: String(status) })).value++;
      one.seconds.observe(began === null ? 0 : (stopwatch.now() - began) / 1000);
    },
  };
}
