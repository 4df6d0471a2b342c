import { Command } from 'commander';

import { parseDuration } from '../lib/duration.ts';
import { type AuditFilter, type AuditRecord, createAuditLog } from '../storage/audit-log.ts';
import { formatTable } from './format-table.ts';
import type { CliIo } from './io.ts';
import { addStorageOptions, CommandFailure, type StorageOptions, withStorage } from './storage-options.ts';

interface AuditOptions extends StorageOptions {
  readonly user?: string;
  readonly event?: string;
  readonly since?: string;
  readonly limit: string;
  readonly json?: true;
}

const MOST_LISTED = 100_000;
/** Records that are read at one time. */
const PAGE = 500;

/** `sallyport audit`: what happened, as the gateways and the command line wrote it down. */
export function auditCommand(io: CliIo): Command {
  return new Command('audit').description('read the audit log').addCommand(
    addStorageOptions(new Command('list').description('list what happened, the newest first'))
      .option('--user <name>', 'only of this person; the name as the user backend spells it')
      .option('--event <name>', 'only this event, such as proof.failed')
      .option('--since <when>', 'only what is not older: "7d", or a time such as 2026-01-31T00:00:00Z')
      .option('--limit <number>', `at most so many, up to ${MOST_LISTED}`, '200')
      .option('--json', 'print JSON')
      .action((options: AuditOptions) => list(options, io)),
  );
}

type Entry = AuditRecord & { readonly id: number };

async function list(options: AuditOptions, io: CliIo): Promise<void> {
  await withStorage(options, io, async (storage) => {
    const limit = readLimit(options.limit);
    const filter = {
      ...(options.user !== undefined && { username: options.user }),
      ...(options.event !== undefined && { event: options.event }),
      ...(options.since !== undefined && { since: readSince(options.since, storage.clock.now()) }),
    };
    const log = createAuditLog(storage);
    const found: Entry[] = [];
    while (found.length < limit) {
      const wanted = Math.min(PAGE, limit - found.length);
      const page = await log.list({ ...filter, limit: wanted, ...before(found) });
      found.push(...page);
      if (page.length < wanted) break;
    }
    if (options.json) return io.out(`${JSON.stringify(found.map(viewOf), null, 2)}\n`);
    if (found.length === 0) return io.out('There is nothing.\n');
    io.out(
      formatTable([
        ['id', 'time', 'event', 'user', 'address', 'details'],
        ...found.map((entry) => [
          String(entry.id),
          new Date(entry.at).toISOString(),
          entry.event,
          printable(entry.username ?? ''),
          entry.ip ?? '',
          detailsText(entry.details),
        ]),
      ]),
    );
  });
}

function before(found: readonly Entry[]): Pick<AuditFilter, 'before'> {
  const last = found.at(-1);
  return last ? { before: last.id } : {};
}

function readLimit(text: string): number {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= MOST_LISTED) return limit;
  throw new CommandFailure(`--limit must be a whole number from 1 to ${MOST_LISTED}`);
}

/** RFC 3339 with its offset, so that nobody has to guess a zone; or how long ago. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/;

function readSince(text: string, now: number): number {
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  try {
    return now - parseDuration(text);
  } catch {
    throw new CommandFailure('--since must be a duration such as 7d, or a time such as 2026-01-31T00:00:00Z');
  }
}

function detailsText(details: AuditRecord['details']): string {
  return Object.entries(details)
    .map(([name, value]) => `${name}=${printable(String(value))}`)
    .join(' ');
}

/** Some of it was typed by strangers, and is shown in a terminal. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '?');
}

const viewOf = ({ id, at, event, username, ip, details }: Entry) => ({
  id,
  at: new Date(at).toISOString(),
  event,
  username,
  ip,
  details,
});
