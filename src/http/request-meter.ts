/** Is told of each request that is answered. Its calls stand on the hottest way there is: they must cost next to nothing. */
export interface RequestMeter {
  /** A moment, for `end`. */
  begin(): number;
  end(kind: RequestKind, method: string, status: number, began: number): void;
}

/** `authz`: a proxy asked for an authorization. `other`: the portal, its API, health. */
export type RequestKind = 'authz' | 'other';

/** When nobody wants to know. */
export const noRequestMeter: RequestMeter = { begin: () => 0, end() {} };
