import type { Configuration } from './config/schema.ts';
import type { Events } from './events.ts';
import type { Clock } from './lib/clock.ts';
import type { Logger } from './lib/logger.ts';
import type { Random } from './lib/random.ts';
import { systemTimers } from './lib/timers.ts';
import { version } from './lib/version.ts';
import { createMailQueue, type MailQueue } from './notifier/mail-queue.ts';
import { openMailTemplates } from './notifier/mail-templates.ts';
import { openNotifier } from './notifier/registry.ts';
import { createMailQueue as createMailRows } from './storage/mail-queue.ts';
import { startHousekeeping } from './storage/housekeeping.ts';
import { openStorage } from './storage/open-storage.ts';
import type { Storage } from './storage/storage.ts';

/** The wiring of what outlives sessions: the database, and the mail that waits in it. */
export interface GatewayStorage {
  readonly storage: Storage;
  /** Null without a notifier. */
  readonly mail: MailQueue | null;
  close(): Promise<void>;
}

const DAY = 86_400_000;

interface GatewayStorageDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly events: Events;
}

/**
 * Opens `storage` and `notifier`; null where no storage is configured. Rejects, naming key and mend, when the configuration
 * cannot work; a database or mail server that is only out of reach is waited for in the background.
 */
export async function openGatewayStorage(
  config: Configuration,
  { clock, random, logger, events }: GatewayStorageDeps,
): Promise<GatewayStorage | null> {
  if (!config.storage) return null;
  const timers = systemTimers;
  const storage = await openStorage(config.storage, { clock, random, logger, timers, application: version });
  const housekeeping = startHousekeeping(
    storage,
    {
      retention: config.storage.retention,
      // A reload may lengthen what is counted; a day of it is little to keep.
      throttleWindow: Math.max(config.regulation.ban_time, DAY),
    },
    { timers, logger },
  );
  const close = async (): Promise<void> => {
    housekeeping.stop();
    await storage.database.close();
  };
  if (!config.notifier) return { storage, mail: null, close };
  const templates = openMailTemplates(config.notifier.template_path, {
    onFault: (fault) =>
      logger.error({ error: fault }, 'a mail template fails; the mail goes out in our own looks'),
  });
  const notifier = openNotifier(config.notifier, { timers, random });
  const mail = createMailQueue({
    notifier,
    store: createMailRows(storage),
    templates,
    clock,
    timers,
    random,
    events,
  });
  if (!config.notifier.disable_startup_check) {
    // Nobody waits for a mail server at start: mail waits in the queue.
    notifier.check().catch((error: unknown) => events.mailServerIs('down', error));
  }
  return {
    storage,
    mail,
    async close() {
      await mail.close();
      await notifier.close();
      await close();
    },
  };
}
