/** A value now, or a promise of it where somebody else must be asked. Callers test `instanceof Promise` on the hot path. */
export type MaybePromise<T> = T | Promise<T>;
