import type { z } from 'zod';

import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../lib/logger.ts';
import type { Random } from '../lib/random.ts';
import type { SessionStore } from './store.ts';

/**
 * A place where sessions are kept. A driver is one file (or folder) in `drivers/` and one line in `registry.ts`; its section of the
 * configuration (`session.<name>`), the documentation and the contract suite follow from that line.
 */
export interface SessionDriver<Config extends z.ZodType | null = z.ZodType | null> {
  /** The schema of `session.<name>`; null for memory, which is what remains when no section is there. */
  readonly config: Config;
  /** Whether several processes can share the sessions. */
  readonly shared: boolean;
  /**
   * Opens a store for one realm. Rejects, naming key and mend, when the configuration cannot work (a wrong password, a
   * folder that another process holds); a server that is only down at the moment is no reason: the store opens, its
   * operations throw `StoreUnavailable` until the server is there.
   */
  open(config: Config extends z.ZodType ? z.output<Config> : null, deps: DriverDeps): Promise<SessionStore>;
}

export interface DriverDeps {
  /** `gateway`, or `outpost:<uuid>`. */
  readonly realm: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}
