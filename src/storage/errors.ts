/**
 * The database cannot answer: out of reach, silent for too long, locked, read-only, full. Whether a write happened is not
 * known, so nobody may count on either. Never carries SQL, values or secrets.
 */
export class StorageUnavailable extends Error {
  override name = 'StorageUnavailable';
  /** Another process holds a lock for longer than we wait; nothing happened. */
  readonly isLocked: boolean;

  constructor(message: string, options?: ErrorOptions & { readonly isLocked?: boolean }) {
    super(message, options);
    this.isLocked = options?.isLocked ?? false;
  }
}

/** The statement lost a deadlock, or met a concurrent change: nothing of it happened, and it may be tried again. */
export class StorageConflict extends StorageUnavailable {}

/** The database answered, and refused a statement that should have been right: a bug, or somebody else's hand in it. */
export class StorageFault extends Error {
  override name = 'StorageFault';
  /** The engine's own code: SQLSTATE, `ER_…` or `SQLITE_…`. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A row with this key is there already. */
export class DuplicateKey extends StorageFault {
  override name = 'DuplicateKey';
}

/** The storage must not be used as it is configured. The message names the key, or the command, that mends it. */
export class StorageUnfit extends Error {
  override name = 'StorageUnfit';
}
