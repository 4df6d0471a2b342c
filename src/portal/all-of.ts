import type { Route } from '../http/route.ts';

type Guard = NonNullable<Route['guard']>;

/** One guard after the other: the first that refuses answers. */
export function allOf(...guards: readonly Guard[]): Guard {
  return async (request) => {
    for (const guard of guards) {
      const refusal = await guard(request);
      if (refusal) return refusal;
    }
    return null;
  };
}
