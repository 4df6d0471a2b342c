/** How new password digests are made: `authentication_backend.file.password` of the configuration. */
export interface PasswordOptions {
  readonly algorithm: 'argon2' | 'scrypt' | 'pbkdf2' | 'sha2crypt' | 'bcrypt';
  readonly argon2: {
    readonly variant: 'argon2id' | 'argon2i' | 'argon2d';
    readonly iterations: number;
    /** KiB, at least eight for each lane. */
    readonly memory: number;
    readonly parallelism: number;
    readonly key_length: number;
    readonly salt_length: number;
  };
  readonly scrypt: {
    /** Only `scrypt` can be made; `yescrypt` is refused when a digest is made. */
    readonly variant: 'scrypt' | 'yescrypt';
    /** The binary logarithm of N. */
    readonly iterations: number;
    readonly block_size: number;
    readonly parallelism: number;
    readonly key_length: number;
    readonly salt_length: number;
  };
  readonly pbkdf2: {
    readonly variant: 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';
    readonly iterations: number;
    readonly salt_length: number;
  };
  readonly sha2crypt: {
    readonly variant: 'sha256' | 'sha512';
    readonly iterations: number;
    /** Characters, at most 16. */
    readonly salt_length: number;
  };
  readonly bcrypt: {
    readonly variant: 'standard' | 'sha256';
    readonly cost: number;
  };
}

/** What PBKDF2 takes when no number of iterations is given. */
export const PBKDF2_ITERATIONS = {
  sha1: 1_600_000,
  sha224: 900_000,
  sha256: 700_000,
  sha384: 280_000,
  sha512: 310_000,
} as const;

export const DEFAULT_PASSWORD_OPTIONS: PasswordOptions = {
  algorithm: 'argon2',
  argon2: {
    variant: 'argon2id',
    iterations: 3,
    memory: 65_536,
    parallelism: 4,
    key_length: 32,
    salt_length: 16,
  },
  scrypt: {
    variant: 'scrypt',
    iterations: 16,
    block_size: 8,
    parallelism: 1,
    key_length: 32,
    salt_length: 16,
  },
  pbkdf2: { variant: 'sha512', iterations: PBKDF2_ITERATIONS.sha512, salt_length: 16 },
  sha2crypt: { variant: 'sha512', iterations: 50_000, salt_length: 16 },
  bcrypt: { variant: 'standard', cost: 12 },
};
