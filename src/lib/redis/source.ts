import type { RedisAddress } from '../redis.ts';

/** `under way`: what is written now may be lost, even when a replica has confirmed it. */
export type Replacement = 'none' | 'possible' | 'under way';

/** Where the server is. */
export interface RedisSource {
  /** Null while nobody knows. */
  address(): RedisAddress | null;
  /** Why there is no address. */
  readonly trouble: Error | null;
  /** Whether the server's role must be asked, as it may change. */
  readonly hasRoles: boolean;
  replacement(): Replacement;
  /** Whether so many Sentinels answer that no others could make another server master unnoticed: more than half of them. */
  isWatched(): boolean;
  /** Learns what is true now of address and replacement. False when somebody who should know does not answer at once. */
  askNow(): Promise<boolean>;
  /** Calls `onChange` whenever the address or the trouble changes. */
  open(onChange: () => void): void;
  /** The address is (not) in doubt. */
  setDoubt(isDoubtful: boolean): void;
  close(): void;
}

/** A server that stays where it is. */
export function fixedSource(address: RedisAddress): RedisSource {
  return {
    address: () => address,
    trouble: null,
    hasRoles: false,
    replacement: () => 'none',
    isWatched: () => true,
    askNow: async () => true,
    open() {},
    setDoubt() {},
    close() {},
  };
}
