import { randomBytes } from 'node:crypto';

/** The only source of randomness. Everything else takes a Random. */
export interface Random {
  /** `size` bytes from a cryptographically secure generator. */
  bytes(size: number): Buffer;
}

export const systemRandom: Random = { bytes: (size) => randomBytes(size) };
