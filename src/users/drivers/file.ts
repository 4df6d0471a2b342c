import { createHmac, hash } from 'node:crypto';
import { watch } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { messageOf } from '../../lib/message-of.ts';
import type { Random } from '../../lib/random.ts';
import { BackendUnavailable, isPossiblePassword } from '../backend.ts';
import type { PasswordChange, PasswordCheck, UserBackend } from '../backend.ts';
import { blankDigest, hashPassword, InvalidDigest } from '../digest.ts';
import type { Digest } from '../digest.ts';
import type { HashQueue } from '../hash-queue.ts';
import type { PasswordOptions } from '../password-options.ts';
import type { Timers } from '../../lib/timers.ts';
import { readUsersFile } from '../read-users-file.ts';
import { CannotReplaceDigest, replaceDigest } from '../replace-digest.ts';
import { lastRewrite, rewriteUsersFile } from '../rewrite-users-file.ts';
import { InvalidUsersFile, parseUsersFile } from '../users-file.ts';
import type { Person, UsersFile, UsersFileRules } from '../users-file.ts';

/**
 * People from a YAML file, held in memory. The file is read when the backend opens, on `reload`, and, with `watch`, soon
 * after it has changed; a file that cannot be used never replaces one that could. It is written only to set a password,
 * and what one process has written holds for the next check of every other that shares the file.
 *
 * A check costs one hash whoever is asked about: for unknown names it runs against the digest of somebody of the file,
 * always the same one for the same name, so that unknown names cost what known ones do, whatever mixture of algorithms
 * and parameters the file holds. A person without a digest that can be verified, and an empty file, are answered with a
 * digest of the configured parameters.
 */

export interface FileBackendOptions extends UsersFileRules {
  readonly watch: boolean;
  readonly password: PasswordOptions;
}

type Log = (fields: Record<string, unknown>, message: string) => void;

export interface FileBackendDeps {
  readonly random: Random;
  readonly timers: Timers;
  readonly logger: { readonly info: Log; readonly warn: Log; readonly error: Log };
  readonly hashQueue: HashQueue;
  /** Called with the usernames of those who were there before the file was read again and are missing or disabled now. */
  readonly onGone?: (usernames: readonly string[]) => void;
  /** Calls `changed` after anything happened in `folder`; default: `fs.watch`. */
  readonly watchFolder?: WatchFolder;
}

/** Answers how to stop. `failed` is called at most once, when nothing will be heard any more. */
type WatchFolder = (folder: string, changed: () => void, failed: (cause: unknown) => void) => () => void;

/** Editors and rollouts change a file in several steps; it is read so many milliseconds after the first of them. */
const WATCH_DELAY = 250;

/** Milliseconds for which `passwordMark` does not ask again whether another process has written. */
const REWRITE_AGE = 2000;

const FAILURE: PasswordCheck = { status: 'failure' };

/** The digest that stands for nobody. Its parameters are those of the configuration, which may ask for too much. */
function blankOf(options: PasswordOptions, random: Random): Digest {
  try {
    return blankDigest(options, random);
  } catch (error) {
    if (!(error instanceof InvalidDigest)) throw error;
    throw new InvalidDigest(`authentication_backend.file.password.${options.algorithm}: ${error.message}`);
  }
}

/** Opens the backend. Throws `InvalidUsersFile` when the file is missing, unreadable or wrong, naming the mend. */
export async function openFileBackend(
  options: FileBackendOptions,
  deps: FileBackendDeps,
): Promise<UserBackend> {
  const { logger } = deps;
  const { case_insensitive, email: byEmail } = options.search;
  const path = resolve(options.path);
  const nameKey = deps.random.bytes(32);
  const blank = blankOf(options.password, deps.random);
  let directory = emptyDirectory;
  let knownRewrite: bigint | null = null;
  let askedLately = false;
  let closed = false;

  const assertOpen = (): void => {
    if (closed) throw new BackendUnavailable('the users file has been closed');
  };

  const lookUp = (name: string): Person | undefined => {
    const key = case_insensitive ? name.toLowerCase() : name;
    return directory.people.get(key) ?? (byEmail ? directory.byEmail.get(key) : undefined);
  };

  const decoy = (name: string): Digest => {
    if (directory.digests.length === 0) return blank;
    const number = createHmac('sha256', nameKey).update(name).digest().readUIntBE(0, 6);
    return directory.digests[number % directory.digests.length] ?? blank;
  };

  /** Whether something was read that was not read before. */
  const load = async (): Promise<boolean> => {
    // Asked before the file is read, so that none is missed.
    knownRewrite = await lastRewrite(path);
    const text = await readUsersFile(path);
    if (text === directory.text) return false;
    adopt(text, parseUsersFile(text, options));
    return true;
  };

  const adopt = (text: string, file: UsersFile): void => {
    const before = directory;
    directory = createDirectory(text, file, options);
    for (const warning of directory.warnings) logger.warn({}, warning);
    const gone = goneBetween(before, directory);
    if (gone.length > 0) deps.onGone?.(gone);
  };

  // One at a time, so that an older reading never replaces a newer one.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(job: () => Promise<T>): Promise<T> => {
    const mine = turn.then(job);
    turn = mine.catch(() => undefined);
    return mine;
  };
  const loadInTurn = (): Promise<boolean> => inTurn(load);

  const write = async (name: string, digest: string): Promise<PasswordChange> => {
    let changed: { readonly text: string; readonly file: UsersFile } | undefined;
    const edit = (text: string): string | null => {
      const before = text === directory.text ? directory : parseUsersFile(text, options);
      const person = before.people.get(name);
      if (!person || person.disabled) return null;
      changed = replaceDigest(text, before, { name, digest }, options);
      return changed.text;
    };
    try {
      await rewriteUsersFile(path, edit, deps);
    } catch (cause) {
      // Where only the last step on the disk has failed the file is the new one.
      await load().catch(() => undefined);
      if (!(cause instanceof InvalidUsersFile || cause instanceof CannotReplaceDigest)) throw cause;
      throw new BackendUnavailable(`the password of '${name}' was not written: ${cause.message}`, { cause });
    }
    if (!changed) return { status: 'unknown' };
    // Known before the watch hears of it, so that nothing is read again.
    adopt(changed.text, changed.file);
    return { status: 'changed' };
  };

  // Watched before it is read, so that no change falls in between.
  const watching = options.watch ? watchFile(path, onChange, deps) : undefined;
  try {
    await loadInTurn();
  } catch (cause) {
    watching?.stop();
    throw cause;
  }

  async function onChange(): Promise<void> {
    try {
      if (await loadInTurn()) logger.info({ path, users: directory.people.size }, 'users file read again');
    } catch (cause) {
      logger.error(
        { path },
        `the users file has changed but cannot be used, the last good one stays in force: ${messageOf(cause)}`,
      );
    }
  }

  /** A password that another process has written holds here too, without a watch. */
  async function followRewrites(): Promise<void> {
    if ((await lastRewrite(path)) !== knownRewrite) await onChange();
    if (askedLately) return;
    askedLately = true;
    deps.timers.after(REWRITE_AGE, () => {
      askedLately = false;
    });
  }

  return {
    find(name) {
      assertOpen();
      const person = lookUp(name);
      return person && !person.disabled ? person.profile : null;
    },

    passwordMark(username, as = 'lately') {
      assertOpen();
      const mark = (): string | null => {
        const text = lookUp(username)?.digestText;
        return text === undefined ? null : hash('sha256', text, 'base64url');
      };
      return askedLately && as === 'lately' ? mark() : followRewrites().then(mark);
    },

    async checkPassword(name, password, client) {
      assertOpen();
      if (!isPossiblePassword(password)) return FAILURE;
      await followRewrites();
      const person = lookUp(name);
      const digest = person ? (person.digest ?? blank) : decoy(name);
      const matches = await deps.hashQueue.run(digest.memory, () => digest.matches(password), client);
      // The file may have been read again meanwhile: what counts is whether this is the password now.
      const now = lookUp(name);
      if (!matches || !person?.digest || !now || now.disabled || now.digestText !== person.digestText) {
        return FAILURE;
      }
      return { status: 'success', user: now.profile };
    },

    async setPassword(username, password, client) {
      assertOpen();
      const person = directory.people.get(username);
      if (!person || person.disabled) return { status: 'unknown' };
      let digest;
      try {
        digest = await deps.hashQueue.run(
          blank.memory,
          () => hashPassword(password, options.password, deps.random),
          client,
        );
      } catch (cause) {
        if (!(cause instanceof InvalidDigest)) throw cause;
        return { status: 'refused', reason: cause.message };
      }
      assertOpen();
      return inTurn(() => write(username, digest));
    },

    async reload() {
      assertOpen();
      await loadInTurn();
    },

    async close() {
      closed = true;
      watching?.stop();
      await turn;
    },
  };
}

/** The file as it is looked up in. */
interface Directory {
  readonly text: string | null;
  readonly people: ReadonlyMap<string, Person>;
  readonly byEmail: ReadonlyMap<string, Person>;
  readonly digests: readonly Digest[];
  readonly warnings: readonly string[];
}

const emptyDirectory: Directory = {
  text: null,
  people: new Map(),
  byEmail: new Map(),
  digests: [],
  warnings: [],
};

function createDirectory(
  text: string,
  { people, warnings }: UsersFile,
  { search }: UsersFileRules,
): Directory {
  const byEmail = new Map<string, Person>();
  const digests: Digest[] = [];
  for (const person of people.values()) {
    if (person.digest) digests.push(person.digest);
    for (const email of person.profile.emails) {
      byEmail.set(search.case_insensitive ? email.toLowerCase() : email, person);
    }
  }
  return { text, people, byEmail, digests, warnings };
}

function goneBetween(before: Directory, after: Directory): readonly string[] {
  const isThere = (person: Person | undefined): boolean => person !== undefined && !person.disabled;
  return [...before.people]
    .filter(([key, person]) => isThere(person) && !isThere(after.people.get(key)))
    .map(([, person]) => person.profile.username);
}

/**
 * Watches the folder of the file and, where the file is reached over links, the folder where it really lies: editors
 * rename a new file over the old one, and Kubernetes turns a link beside it.
 */
function watchFile(
  path: string,
  onChange: () => Promise<void>,
  { logger, timers, watchFolder = watchWithNode }: FileBackendDeps,
): { stop(): void } {
  const stops = new Map<string, () => void>();
  let cancelTimer: (() => void) | undefined;
  let stopped = false;

  const changed = (): void => {
    // The first event sets the time: a folder where something happens all the time must not put the reading off.
    cancelTimer ??= timers.after(WATCH_DELAY, () => {
      cancelTimer = undefined;
      void onChange().then(follow);
    });
  };

  const watchOne = (folder: string): void => {
    const failed = (cause: unknown): void => {
      stops.get(folder)?.();
      // Kept in the list, so that the same folder is not tried and complained about at every change elsewhere.
      stops.set(folder, () => undefined);
      logger.warn(
        { folder },
        `changes of the users file are not noticed here any more (${messageOf(cause)}); send SIGHUP after changing it`,
      );
    };
    try {
      stops.set(folder, watchFolder(folder, changed, failed));
    } catch (cause) {
      failed(cause);
    }
  };

  const follow = async (): Promise<void> => {
    const target = await realpath(path).catch(() => path);
    if (stopped) return;
    const folders = new Set([dirname(path), dirname(target)]);
    for (const [folder, stop] of stops) {
      if (!folders.has(folder)) {
        stop();
        stops.delete(folder);
      }
    }
    for (const folder of folders) if (!stops.has(folder)) watchOne(folder);
  };

  watchOne(dirname(path));
  void follow();
  return {
    stop() {
      stopped = true;
      cancelTimer?.();
      for (const stop of stops.values()) stop();
      stops.clear();
    },
  };
}

const watchWithNode: WatchFolder = (folder, changed, failed) => {
  const watcher = watch(folder, { persistent: false }, changed);
  watcher.on('error', failed);
  return () => watcher.close();
};
