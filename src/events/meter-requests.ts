import type { RequestMeter } from '../http/request-meter.ts';
import type { Stopwatch } from '../lib/clock.ts';
import type { Cell, Distribution } from '../lib/metrics.ts';
import type { GatewayMetrics } from './gateway-metrics.ts';

/** Any other would be a series that a client can make. */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

interface OfStatus {
  readonly authz: () => Cell;
  readonly seconds: Distribution;
  readonly methods: ReadonlyMap<string, () => Cell>;
  readonly otherMethod: () => Cell;
}

/** Counts and times requests. What a status needs is looked up once and kept. */
export function meterRequests(metrics: GatewayMetrics, stopwatch: Stopwatch): RequestMeter {
  const known = new Map<number, OfStatus>();
  const ofStatus = (status: number): OfStatus => {
    const code = String(status);
    const cell = (method: string) => once(() => metrics.requests.of({ code, method }));
    const made: OfStatus = {
      authz: once(() => metrics.authz.of({ code })),
      seconds: metrics.requestSeconds.of({ code }),
      methods: new Map(METHODS.map((method) => [method, cell(method)])),
      otherMethod: cell('other'),
    };
    known.set(status, made);
    return made;
  };
  return {
    begin: () => stopwatch.now(),
    end(kind, method, status, began) {
      const one = known.get(status) ?? ofStatus(status);
      (one.methods.get(method) ?? one.otherMethod)().value++;
      if (kind === 'authz') one.authz().value++;
      one.seconds.observe((stopwatch.now() - began) / 1000);
    },
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
