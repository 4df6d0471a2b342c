import type { MaybePromise } from '../lib/maybe-promise.ts';
import { ok } from './reply.ts';
import type { Route } from './route.ts';

/** One thing that the gateway needs to answer; `check` throws when it is not there. */
export interface ReadinessPart {
  readonly name: string;
  readonly check: () => MaybePromise<void>;
}

/**
 * `GET /api/health`: the process is alive, whatever it depends on. `GET /api/ready`: 200 when it can answer, else 503; its
 * parts are told to trusted peers only.
 */
export function createHealthRoutes(
  parts: readonly ReadinessPart[],
  deps: { readonly isDraining: () => boolean; readonly isTrusted: (ip: string) => boolean },
): readonly Route[] {
  return [
    { method: 'GET', path: '/api/health', kind: 'json', anyHost: true, handle: () => ok() },
    {
      method: 'GET',
      path: '/api/ready',
      kind: 'json',
      anyHost: true,
      async handle(request) {
        const states: Record<string, 'up' | 'down'> = { listener: deps.isDraining() ? 'down' : 'up' };
        for (const { name, check } of parts) {
          try {
            await check();
            states[name] = 'up';
          } catch {
            states[name] = 'down';
          }
        }
        const ready = Object.values(states).every((state) => state === 'up');
        const reply = ok(deps.isTrusted(request.ip) ? { ready, parts: states } : undefined);
        return ready ? reply : { ...reply, status: 503, headers: { ...reply.headers, 'Retry-After': '2' } };
      },
    },
  ];
}
