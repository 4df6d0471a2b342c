/** Small readers of what a form posted and what its own redirect says. */
import type { RouteRequest } from '../http/route.ts';

/** A field of a posted form; empty when it is not there. */
export function fieldOf({ body }: RouteRequest, name: string): string {
  return body instanceof URLSearchParams ? (body.get(name) ?? '') : '';
}

/** One of the known words; anything else is null. */
export function choice<T extends string>(text: string | null, known: readonly T[]): T | null {
  return known.find((one) => one === text) ?? null;
}
