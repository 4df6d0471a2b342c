import type { NotifierConfig } from './config.ts';
import { openFileNotifier } from './drivers/file.ts';
import { openSmtpNotifier, type SmtpNotifierDeps } from './drivers/smtp.ts';
import type { Notifier } from './notifier.ts';

/** The notifiers by their key in the configuration. A driver is one file and one line here. */
export const notifierDrivers = { filesystem: openFileNotifier, smtp: openSmtpNotifier } as const;

/**
 * The notifier that the configuration names. Nothing is tried yet: call `check` unless `disable_startup_check` is set.
 */
export function openNotifier(config: NotifierConfig, deps: SmtpNotifierDeps): Notifier {
  if (config.smtp !== undefined) return notifierDrivers.smtp(config.smtp, deps);
  if (config.filesystem !== undefined) return notifierDrivers.filesystem(config.filesystem);
  throw new Error('notifier: needs one of filesystem and smtp');
}
