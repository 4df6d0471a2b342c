import { closeSync, constants, type Dirent, fstatSync, openSync, readSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, rename, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type * as Zlib from 'node:zlib';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { createDurableFiles, removeFile, syncFolder, TEMPORARY_SUFFIX } from '../../lib/durable-file.ts';
import { FolderHeld, type FolderLock, lockFolder } from '../../lib/folder-lock.ts';
import { messageOf } from '../../lib/message-of.ts';
import { path, section } from '../../lib/schema.ts';
import { createTurns } from '../../lib/turns.ts';
import type { DriverDeps, SessionDriver } from '../driver.ts';
import { createSessionTable, type SessionTable } from '../session-table.ts';
import { type SessionStore, type StoredSession, StoreUnavailable } from '../store.ts';

/**
 * Sessions in the memory of this process, and in files for the next start. One process only: it holds the folder of its
 * realm (`<path>/<realm>`) by a lock, and reads come from memory alone, so they go on when the disk does not.
 *
 * - `<2 hex digits>/<hex number>.session`: one record. The number is the session's as long as it lives: a change or a
 *   rotation is one rename, a logout one unlink, each on the disk before it is answered.
 * - `activity`: `lastActivity` of all sessions, written at most once a minute and when the store closes. A crash loses at
 *   most that: sessions then seem idle for longer than they were, never for shorter.
 * - `quarantine/`: what could not be read at the start (torn, altered, foreign), each logged. Never read again.
 * - `lock`, `owner`: who holds the folder.
 */
const filesystemSchema = section({
  path: path().describe('Folder in which the sessions are kept; made if it is missing. One process only.'),
}).describe('Keeps sessions in files, so that they survive a restart.');

export const filesystemDriver: SessionDriver<typeof filesystemSchema> = {
  config: filesystemSchema,
  shared: false,
  open: (config, deps) => openFilesystemStore(config.path, deps),
};

const SHARDS = 256;
const MAXIMUM_SESSIONS = 1_000_000;
/** How many expired sessions make room at most when the store is full. */
const ROOM = 1000;
/** Milliseconds between two writings of the activity. */
const ACTIVITY_INTERVAL = 60_000;
/** Files that are changed at once by one call. */
const PARALLEL = 16;
/** Log lines about single files at one start; then only their number. */
const LOGGED_FILES = 20;
/** Files that are read in one turn of the event loop. */
const TURN = 256;

async function openFilesystemStore(
  configuredPath: string,
  { realm, clock, logger }: Omit<DriverDeps, 'random'>,
): Promise<SessionStore> {
  const root = resolve(configuredPath);
  const folder = join(root, encodeURIComponent(realm));
  const lock = await takeFolder(root, folder);
  const table = createSessionTable();
  const files = createDurableFiles();
  const turns = createTurns();

  let nextPlace: number;
  let identity: number;
  try {
    identity = (await stat(folder)).ino;
    nextPlace = await load(folder, table, (name, reason) =>
      logger.warn({ file: name, reason }, 'a file in the sessions folder was put into quarantine'),
    );
  } catch (error) {
    await lock.release();
    throw unusable(root, error);
  }

  let closing: Promise<void> | undefined;
  const open = (): void => {
    if (closing) throw new StoreUnavailable('the filesystem session store is closed');
  };
  /** A change of files; whatever goes wrong there is the store's. */
  const onDisk = async <T>(keys: readonly string[], change: () => Promise<T>): Promise<T> => {
    open();
    try {
      return await turns.take(keys, change);
    } catch (error) {
      if (error instanceof StoreUnavailable) throw error;
      throw new StoreUnavailable(`the sessions folder ${folder} cannot be changed: ${messageOf(error)}`, {
        cause: error,
      });
    }
  };

  /** Files of sessions that were never begun and could not be removed at once. */
  const debris = new Set<number>();

  const write = (place: number, session: StoredSession): Promise<void> =>
    files.write(fileOf(folder, place), [encode(place, session)]);

  const end = (key: string, durable: boolean, condition: (row: { expiresAt: number }) => boolean) =>
    onDisk([key], async () => {
      const row = table.peek(key);
      if (!row || !condition(row)) return null;
      const file = fileOf(folder, row.place);
      await (durable ? files.remove(file) : removeFile(file));
      return table.remove(key);
    });

  const sweep = async (now: number, limit: number): Promise<number> => {
    for (const place of debris) {
      await onDisk([], () => removeFile(fileOf(folder, place)));
      debris.delete(place);
    }
    // One that comes back after a power cut has still expired.
    const expired = table.takeExpired(now, limit);
    const ended = await inParts(expired, (key) => end(key, false, ({ expiresAt }) => expiresAt < now));
    return ended.filter((publicId) => publicId !== null).length;
  };

  let activityChanged = false;
  let activityWrittenAt = clock.now();
  let activityFailed = false;
  let writingActivity: Promise<void> | undefined;
  const writeActivity = async (): Promise<void> => {
    activityChanged = false;
    activityWrittenAt = clock.now();
    try {
      await files.write(join(folder, 'activity'), await encodeActivity(table));
      activityFailed = false;
    } catch (error) {
      activityChanged = true;
      if (!activityFailed)
        logger.warn({ error }, 'the activity of sessions could not be written to its file');
      activityFailed = true;
    }
  };
  const tendActivity = (): void => {
    if (!activityChanged || writingActivity) return;
    // Also after the clock was set back.
    if (Math.abs(clock.now() - activityWrittenAt) < ACTIVITY_INTERVAL) return;
    writingActivity = writeActivity().finally(() => (writingActivity = undefined));
  };

  const close = async (): Promise<void> => {
    await turns.settled();
    await writingActivity;
    if (activityChanged) await writeActivity();
    table.clear();
    await lock.release();
  };

  return {
    findMany(keys) {
      open();
      return keys.map((key) => table.find(key));
    },

    activityOf(key) {
      open();
      return table.peek(key)?.lastActivity ?? null;
    },

    insert: (session) =>
      onDisk([session.key], async () => {
        if (table.peek(session.key)) return false;
        if (table.size >= MAXIMUM_SESSIONS && (await sweep(clock.now(), ROOM)) === 0) {
          throw new StoreUnavailable(`the sessions folder ${folder} is full (${MAXIMUM_SESSIONS} sessions)`);
        }
        const place = nextPlace++;
        try {
          await write(place, session);
        } catch (error) {
          await removeFile(fileOf(folder, place)).catch(() => debris.add(place));
          throw error;
        }
        table.add(session, place);
        return true;
      }),

    replace: (key, version, next) =>
      onDisk([...new Set([key, next.key])], async () => {
        const row = table.peek(key);
        if (row?.version !== version) return false;
        if (next.key !== key && table.peek(next.key)) return false;
        const lastActivity = Math.max(row.lastActivity, next.lastActivity);
        await write(row.place, { ...next, lastActivity });
        table.exchange(key, next);
        return true;
      }),

    touchMany(touches) {
      open();
      for (const { key, at } of touches) if (table.touch(key, at)) activityChanged = true;
      tendActivity();
    },

    delete: (key) => end(key, true, () => true),

    listByUser(userId) {
      open();
      return table.rowsOfUser(userId).flatMap(({ key }) => table.find(key) ?? []);
    },

    async deleteByUser(userId, except) {
      open();
      const ended: string[] = [];
      // A session that is just being rotated has another key after its turn: look again until none that was there is left.
      for (const later = nextPlace; ;) {
        const rows = table
          .rowsOfUser(userId)
          .filter(({ publicId, place }) => publicId !== except && place < later);
        if (rows.length === 0) return ended;
        const keys = rows.map(({ key }) => key);
        for (const publicId of await inParts(keys, (key) => end(key, true, () => true))) {
          if (publicId !== null) ended.push(publicId);
        }
      }
    },

    async sweep(now, limit) {
      open();
      tendActivity();
      return sweep(now, limit);
    },

    async ping() {
      open();
      const found = await stat(folder).catch(() => null);
      if (found?.ino !== identity) {
        throw new StoreUnavailable(`the sessions folder ${folder} was moved, removed or unmounted`);
      }
    },

    close: () => (closing ??= close()),
  };
}

async function inParts<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += PARALLEL) {
    results.push(...(await Promise.all(items.slice(start, start + PARALLEL).map(work))));
  }
  return results;
}

function fileOf(folder: string, place: number): string {
  return join(folder, shardName(place % SHARDS), `${place.toString(16)}.session`);
}

function shardName(shard: number): string {
  return shard.toString(16).padStart(2, '0');
}

/** Makes the folders, readable for nobody else, and locks the realm's. Rejects with the key of the configuration and a mend. */
async function takeFolder(root: string, folder: string): Promise<FolderLock> {
  try {
    for (const one of [root, folder]) {
      await mkdir(one, { recursive: true, mode: 0o700 });
      // Whoever may exchange a link decides which sessions are read.
      if (!(await lstat(one)).isDirectory())
        throw new Error(`${one} is a symbolic link: name the folder itself`);
    }
    await chmod(folder, 0o700);
    const lock = await lockFolder(folder);
    try {
      const shards = Array.from({ length: SHARDS }, (_, shard) => shardName(shard));
      for (const name of [...shards, 'quarantine'])
        await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
      for (const made of [folder, root, dirname(root)]) await syncFolder(made);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return lock;
  } catch (error) {
    throw unusable(root, error);
  }
}

function unusable(root: string, error: unknown): Error {
  const mend =
    error instanceof FolderHeld
      ? 'one process only may use it. Stop that one, or keep sessions in `session.redis` or `session.postgres`, which processes can share'
      : 'name a folder on a local disk that this process may write to';
  return new Error(`session.filesystem.path: ${root} cannot be used: ${messageOf(error)}: ${mend}`, {
    cause: error,
  });
}

/** Reads all files into the table; answers the first number that no file has had. */
async function load(
  folder: string,
  table: SessionTable,
  onBroken: (name: string, reason: string) => void,
): Promise<number> {
  let broken = 0;
  const quarantine = async (name: string, reason: string): Promise<void> => {
    broken++;
    const kept = join(folder, 'quarantine', name.replace('/', '-'));
    const moved = await rename(join(folder, name), kept).then(
      () => true,
      () => false,
    );
    if (broken <= LOGGED_FILES) onBroken(name, moved ? reason : `${reason}; it could not be moved`);
  };

  let activity = new Map<number, number>();
  const noted = await readFile(join(folder, 'activity')).catch((error: NodeJS.ErrnoException) => error);
  if (Buffer.isBuffer(noted)) {
    const decoded = decodeActivity(noted);
    if (decoded) activity = decoded;
    else await quarantine('activity', 'torn or altered');
  } else if (noted.code !== 'ENOENT') await quarantine('activity', noted.message);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (isLeftover(entry)) await removeFile(join(folder, entry.name));
  }

  let seen = 0;
  let highest = -1;
  for (const place of activity.keys()) highest = Math.max(highest, place);
  for (let shard = 0; shard < SHARDS; shard++) {
    const directory = shardName(shard);
    for (const entry of await readdir(join(folder, directory), { withFileTypes: true })) {
      const name = `${directory}/${entry.name}`;
      const place = placeOf(entry.name);
      // Other work gets its turn.
      if (++seen % TURN === 0) await nextTurn();
      if (isLeftover(entry)) {
        await removeFile(join(folder, name));
        continue;
      }
      if (!entry.isFile() || place === null || place % SHARDS !== shard) {
        await quarantine(name, 'not a file of this store');
        continue;
      }
      highest = Math.max(highest, place);
      const session = readSession(join(folder, name), place);
      if (typeof session === 'string') await quarantine(name, session);
      else if (table.peek(session.key)) await quarantine(name, 'the same key stands in another file');
      else {
        table.add(session, place);
        table.touch(session.key, activity.get(place) ?? 0);
      }
    }
  }
  if (broken > LOGGED_FILES) onBroken('quarantine', `${broken} files altogether`);
  return highest + 1;
}

/** What a crash left behind while it was being written: never answered for. */
function isLeftover(entry: Dirent): boolean {
  return entry.isFile() && entry.name.endsWith(TEMPORARY_SUFFIX);
}

function placeOf(name: string): number | null {
  const digits = /^(0|[1-9a-f][0-9a-f]{0,12})\.session$/.exec(name)?.[1];
  return digits === undefined ? null : Number.parseInt(digits, 16);
}

/** Large enough for any record that is written here. */
const MAXIMUM_FILE = 1_048_576;
const scratch = Buffer.allocUnsafeSlow(65_536);

/**
 * The session in a file, or why there is none. Synchronous: nothing is served before all are read, and that takes a
 * fraction of the time so.
 */
function readSession(file: string, place: number): StoredSession | string {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { size } = fstatSync(descriptor);
    if (size > MAXIMUM_FILE) return `${size} bytes are too many`;
    const bytes = size <= scratch.length ? scratch : Buffer.allocUnsafeSlow(size);
    const length = readSync(descriptor, bytes, 0, size, 0);
    return decode(place, bytes.subarray(0, length)) ?? 'torn, altered or of an unknown format';
  } catch (error) {
    return messageOf(error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/*
 * A record: mark (4 bytes), format (1), CRC-32 of all that follows (4); place, version, createdAt, expiresAt,
 * lastActivity (8 each, floating point); lengths of key, public id, user id, sid and sealed (4 each), then these.
 * Little endian, text in UTF-8. The checksum finds torn and altered files; forged ones are the seal's matter.
 */
const RECORD_MARK = 'SPsr';
const ACTIVITY_MARK = 'SPsa';
const FORMAT = 1;
const HEAD = 9;
const FIXED = HEAD + 5 * 8 + 5 * 4;
/** The length that stands for no sid. */
const NO_TEXT = 0xffff_ffff;

/** Loaded with the first record, as whoever keeps no sessions in files should not wait for it at each start. */
let zlib: typeof Zlib | undefined;
function crc32(data: Buffer, value?: number): number {
  zlib ??= process.getBuiltinModule('node:zlib');
  return zlib.crc32(data, value);
}

function encode(place: number, session: StoredSession): Buffer {
  const texts = [session.key, session.publicId, session.userId, session.sid];
  const parts = [...texts.map((text) => (text === null ? null : Buffer.from(text))), session.sealed];
  const record = Buffer.concat([Buffer.alloc(FIXED), ...parts.filter((part) => part !== null)]);
  if (record.length > MAXIMUM_FILE) throw new RangeError(`a session of ${record.length} bytes is too large`);
  let at = HEAD;
  for (const number of [place, session.version, session.createdAt, session.expiresAt, session.lastActivity]) {
    at = record.writeDoubleLE(number, at);
  }
  for (const part of parts) at = record.writeUInt32LE(part?.length ?? NO_TEXT, at);
  writeHead(record, RECORD_MARK, crc32(record.subarray(HEAD)));
  return record;
}

function decode(place: number, record: Buffer): StoredSession | null {
  if (record.length < FIXED || !hasHead(record, RECORD_MARK, crc32(record.subarray(HEAD)))) return null;
  const number = (index: number): number => record.readDoubleLE(HEAD + index * 8);
  if (number(0) !== place) return null;
  let end = FIXED;
  const part = (index: number): Buffer | null => {
    const length = record.readUInt32LE(HEAD + 5 * 8 + index * 4);
    return length === NO_TEXT ? null : record.subarray(end, (end += length));
  };
  const text = (index: number): string | null => part(index)?.toString() ?? null;
  const [key, publicId, userId, sid, sealed] = [text(0), text(1), text(2), text(3), part(4)];
  if (key === null || publicId === null || userId === null || !sealed || end !== record.length) return null;
  const [version, createdAt, expiresAt, lastActivity] = [number(1), number(2), number(3), number(4)];
  return { key, version, publicId, userId, sid, createdAt, expiresAt, lastActivity, sealed };
}

/** Sessions in one piece of the activity file; between two pieces other work gets its turn. */
const ACTIVITY_PIECE = 8192;

/** The same head; then place and lastActivity (8 bytes each, floating point) of each session. */
async function encodeActivity(table: SessionTable): Promise<Buffer[]> {
  const head = Buffer.alloc(HEAD);
  const pieces = [head];
  let checksum = 0;
  const rows = table.rows();
  for (let isDone = false; !isDone;) {
    const piece = Buffer.allocUnsafeSlow(ACTIVITY_PIECE * 16);
    let at = 0;
    while (at < piece.length) {
      const step = rows.next();
      if (step.done) {
        isDone = true;
        break;
      }
      at = piece.writeDoubleLE(step.value.place, at);
      at = piece.writeDoubleLE(step.value.lastActivity, at);
    }
    const filled = piece.subarray(0, at);
    checksum = crc32(filled, checksum);
    pieces.push(filled);
    await nextTurn();
  }
  writeHead(head, ACTIVITY_MARK, checksum);
  return pieces;
}

function decodeActivity(bytes: Buffer): Map<number, number> | null {
  if (bytes.length < HEAD || !hasHead(bytes, ACTIVITY_MARK, crc32(bytes.subarray(HEAD)))) return null;
  const activity = new Map<number, number>();
  for (let at = HEAD; at + 16 <= bytes.length; at += 16)
    activity.set(bytes.readDoubleLE(at), bytes.readDoubleLE(at + 8));
  return activity;
}

function writeHead(bytes: Buffer, mark: string, checksum: number): void {
  bytes.write(mark, 'latin1');
  bytes.writeUInt8(FORMAT, 4);
  bytes.writeUInt32LE(checksum, 5);
}

function hasHead(bytes: Buffer, mark: string, checksum: number): boolean {
  return bytes.toString('latin1', 0, 4) === mark && bytes[4] === FORMAT && bytes.readUInt32LE(5) === checksum;
}
