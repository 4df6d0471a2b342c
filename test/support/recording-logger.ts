import type { Logger, LogLevel } from '../../src/lib/logger.ts';

export interface LogEntry {
  readonly level: LogLevel;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A logger that keeps what it is told. */
export function recordingLogger(): Logger & { readonly entries: readonly LogEntry[] } {
  const entries: LogEntry[] = [];
  const at = (level: LogLevel) => (fields: Record<string, unknown>, message: string) => {
    entries.push({ level, fields, message });
  };
  const logger = {
    entries,
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: () => logger,
    isEnabled: () => true,
  };
  return logger;
}
