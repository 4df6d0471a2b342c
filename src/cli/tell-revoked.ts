import type { GatewaySession } from '../authn/gateway-session.ts';
import type { Configuration } from '../config/schema.ts';
import { cookieDomainsOf } from '../gateway-sessions.ts';
import { messageOf } from '../lib/message-of.ts';
import { type Notice, noticeMail } from '../login/notices.ts';
import { storeMail } from '../notifier/mail-queue.ts';
import { openMailTemplates } from '../notifier/mail-templates.ts';
import { deviceSummary } from '../portal/sessions-device.ts';
import { createAuditLog } from '../storage/audit-log.ts';
import { createMailQueue } from '../storage/mail-queue.ts';
import { openStorage } from '../storage/open-storage.ts';
import type { Storage } from '../storage/storage.ts';
import type { CliIo } from './io.ts';
import { storageDepsOf } from './storage-options.ts';

/** Sessions of one person that an operator ended. */
export interface Revoked {
  readonly username: string;
  readonly count: number;
  /** The public ids of those that could be seen before. */
  readonly ended: readonly string[];
  /** One of them as it was, by which the person is known; null when none could be seen before. */
  readonly example: GatewaySession | null;
}

/**
 * Writes it into the audit log, and puts a notice for the person into the queue of mail, which the gateways send; as far as
 * storage and notifier are configured. The sessions have ended already: what fails here is a warning.
 */
export async function tellRevoked(revoked: Revoked, config: Configuration, io: CliIo): Promise<void> {
  if (!config.storage || revoked.count === 0) return;
  let storage: Storage;
  try {
    storage = await openStorage(config.storage, storageDepsOf(io));
  } catch (error) {
    return warn(io, 'nothing is in the audit log and nobody was told', error);
  }
  try {
    await tellRevokedIn(revoked, config, storage, io);
  } finally {
    await storage.database.close();
  }
}

/** As `tellRevoked`, into a storage that is open. */
export async function tellRevokedIn(
  revoked: Revoked,
  config: Configuration,
  storage: Storage,
  io: CliIo,
): Promise<void> {
  const { count, example } = revoked;
  if (count === 0) return;
  await writeDown(revoked, storage).catch((error: unknown) =>
    warn(io, 'this is not in the audit log', error),
  );
  await storeNotice({ kind: 'sessions-ended', count, by: 'operator' }, example, config, storage).catch(
    (error: unknown) => warn(io, 'the person was not told', error),
  );
}

const warn = (io: CliIo, what: string, error: unknown): void =>
  io.err(`warning: the sessions have ended, but ${what}: ${messageOf(error)}\n`);

async function writeDown({ username, count, ended }: Revoked, storage: Storage): Promise<void> {
  const of = { at: storage.clock.now(), username, ip: null };
  await createAuditLog(storage).insertAll([
    ...ended.map((session) => ({ ...of, event: 'session.ended', details: { session, reason: 'revoked' } })),
    { ...of, event: 'sessions.revoked', details: { count, by: 'operator' } },
  ]);
}

/** Puts a notice into the queue of mail, for the person of a session; for nobody when there is no such or no notifier. */
export async function storeNotice(
  notice: Notice,
  example: GatewaySession | null,
  config: Configuration,
  storage: Storage,
): Promise<void> {
  if (!config.notifier || !example) return;
  const { portalUrl } = cookieDomainsOf(config).get(example.cookieDomain) ?? {};
  if (!portalUrl) return;
  const { clock, random } = storage;
  const mail = noticeMail(
    example.payload.profile,
    { ip: null, portalUrl: portalUrl.replace(/\/?$/, '/') },
    notice,
    { at: clock.now(), deviceOf: deviceSummary },
  );
  if (!mail) return;
  const templates = openMailTemplates(config.notifier.template_path, { onFault: () => {} });
  const isStored = await storeMail(mail, { store: createMailQueue(storage), templates, clock, random });
  if (!isStored) throw new Error('the queue of mail is full');
}
