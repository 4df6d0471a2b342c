import type { Logger } from '../lib/logger.ts';
import type { CliIo } from './io.ts';

/** What a store warns of when it opens is for the gateway's log. */
export function errorsTo(io: CliIo): Logger {
  const say = (_fields: object, message: string): void => io.err(`${message}\n`);
  const silent = (): void => {};
  const logger: Logger = {
    trace: silent,
    debug: silent,
    info: silent,
    warn: silent,
    error: say,
    child: () => logger,
    isEnabled: () => false,
  };
  return logger;
}
