import { Command } from 'commander';

import { addressKey } from '../lib/address-key.ts';
import { parseDuration } from '../lib/duration.ts';
import { type Ban, type BanKind, createBans } from '../storage/bans.ts';
import { formatTable } from './format-table.ts';
import type { CliIo } from './io.ts';
import { recordDeed } from './record-deed.ts';
import { addStorageOptions, CommandFailure, type StorageOptions, withStorage } from './storage-options.ts';

interface BanOptions extends StorageOptions {
  readonly duration: string;
  readonly permanent?: true;
  readonly reason?: string;
  readonly id?: string;
  readonly all?: true;
  readonly json?: true;
}

const subjects = { ip: 'address', user: 'user' } as const;
/** More than anybody reads; there are filters for more. */
const MOST_LISTED = 1000;
const LONGEST_REASON = 100;

/** `storage bans`: who may not log in, by address or by name. */
export function bansCommand(io: CliIo): Command {
  return new Command('bans')
    .description('list, add and revoke bans')
    .addCommand(kindCommand('ip', io))
    .addCommand(kindCommand('user', io));
}

function kindCommand(kind: BanKind, io: CliIo): Command {
  const name = subjects[kind];
  const sub = (verb: string, description: string): Command =>
    addStorageOptions(new Command(verb)).description(description);
  return new Command(kind)
    .description(`bans by ${name}`)
    .addCommand(
      sub(
        'add',
        `ban ${kind === 'ip' ? 'an address (of IPv6 its /64)' : 'a user, as the user backend spells the name'}`,
      )
        .argument(`<${name}>`)
        .option('-d, --duration <duration>', 'how long, such as 12h or "1 day"', '1 day')
        .option('-p, --permanent', 'for good')
        .option('-r, --reason <text>', 'why, for the list')
        .action((subject: string, options: BanOptions) => add(kind, subject, options, io)),
    )
    .addCommand(
      sub('list', 'list the bans in force, the newest first')
        .option('--all', 'also those that are over')
        .option('--json', 'print JSON')
        .action((options: BanOptions) => list(kind, options, io)),
    )
    .addCommand(
      sub('revoke', `end the bans of ${kind === 'ip' ? 'an address' : 'a user'}, or one by its id`)
        .argument(`[${name}]`)
        .option('-i, --id <id>', 'the id from the list')
        .action((subject: string | undefined, options: BanOptions) => revoke(kind, subject, options, io)),
    );
}

function readSubject(kind: BanKind, text: string): string {
  if (kind === 'user') return text;
  const key = addressKey(text);
  if (key === null) throw new CommandFailure(`${text} is no IP address`);
  return key;
}

async function add(kind: BanKind, text: string, options: BanOptions, io: CliIo): Promise<void> {
  await withStorage(options, io, async (storage) => {
    const subject = readSubject(kind, text);
    const { reason = null } = options;
    if (reason !== null && reason.length > LONGEST_REASON) {
      throw new CommandFailure(`--reason must have at most ${LONGEST_REASON} characters`);
    }
    const now = storage.clock.now();
    const expiresAt = options.permanent ? null : now + readDuration(options.duration);
    const ban = { kind, subject, createdAt: now, expiresAt, source: 'cli', reason };
    const id = await createBans(storage).insert(ban);
    const details = { kind, until: expiresAt, ...(reason !== null && { reason }) };
    await recordDeed(storage, { event: 'ban.added', ...whom(kind, subject), details }, io);
    io.out(
      `${subject} is banned ${expiresAt === null ? 'for good' : `until ${time(expiresAt)}`} (id ${id}).\n`,
    );
  });
}

function readDuration(text: string): number {
  let length;
  try {
    length = parseDuration(text);
  } catch (error) {
    throw new CommandFailure(`--duration ${(error as Error).message}`, { cause: error });
  }
  if (length <= 0)
    throw new CommandFailure('--duration must be longer than nothing; for good is --permanent');
  return length;
}

async function list(kind: BanKind, options: BanOptions, io: CliIo): Promise<void> {
  await withStorage(options, io, async (storage) => {
    const found = await createBans(storage).list(kind, {
      limit: MOST_LISTED,
      ...(options.all ? {} : { inForceAt: storage.clock.now() }),
    });
    if (options.json) return io.out(`${JSON.stringify(found.map(viewOf), null, 2)}\n`);
    if (found.length === 0) return io.out(`No ${subjects[kind]} is banned.\n`);
    io.out(
      formatTable([
        ['id', subjects[kind], 'since', 'until', 'source', 'reason'],
        ...found.map((ban) => [
          String(ban.id),
          ban.subject,
          time(ban.createdAt),
          ban.revokedAt === null
            ? ban.expiresAt === null
              ? 'for good'
              : time(ban.expiresAt)
            : `revoked ${time(ban.revokedAt)}`,
          ban.source,
          ban.reason ?? '',
        ]),
      ]),
    );
  });
}

async function revoke(
  kind: BanKind,
  text: string | undefined,
  options: BanOptions,
  io: CliIo,
): Promise<void> {
  await withStorage(options, io, async (storage) => {
    const bans = createBans(storage);
    const now = storage.clock.now();
    if ((text === undefined) === (options.id === undefined)) {
      throw new CommandFailure(`name either the ${subjects[kind]} or --id <id>`);
    }
    if (options.id !== undefined) {
      if (!/^\d{1,15}$/.test(options.id) || !(await bans.revoke(kind, Number(options.id), now))) {
        throw new CommandFailure(`there is no ban ${options.id} in force; see "storage bans ${kind} list"`);
      }
      await recordDeed(storage, { event: 'ban.revoked', details: { kind, ban: Number(options.id) } }, io);
      return io.out(`Ban ${options.id} is revoked.\n`);
    }
    const subject = readSubject(kind, text ?? '');
    const count = await bans.revokeAll({ kind, subject }, now);
    if (count === 0) throw new CommandFailure(`${subject} is not banned`);
    await recordDeed(storage, { event: 'ban.revoked', ...whom(kind, subject), details: { kind, count } }, io);
    io.out(`${count} ${count === 1 ? 'ban' : 'bans'} of ${subject} revoked.\n`);
  });
}

const whom = (kind: BanKind, subject: string) => (kind === 'user' ? { username: subject } : { ip: subject });

const time = (at: number): string => new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');

const viewOf = ({ id, kind, subject, createdAt, expiresAt, revokedAt, source, reason }: Ban) => ({
  id,
  kind,
  subject,
  created_at: time(createdAt),
  expires_at: expiresAt === null ? null : time(expiresAt),
  revoked_at: revokedAt === null ? null : time(revokedAt),
  source,
  reason,
});
