/** Is told of each request that is answered. Its calls stand on the hottest way there is: they must cost next to nothing. */
export interface RequestMeter {
  /** A moment, for `end`. */
  begin(): number;
  /** `began` is null for what was answered at once: then no clock is read, which would cost more than the counting. */
  end(kind: RequestKind, method: string, status: number, began: number | null): void;
}

/** `authz`: a proxy asked for an authorization. `other`: the portal, its API, health. */
export type RequestKind = 'authz' | 'other';

/** When nobody wants to know. */
export const noRequestMeter: RequestMeter = { begin: () => 0, end() {} };
