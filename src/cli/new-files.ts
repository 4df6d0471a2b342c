/** Files that a command makes: for their owner only where they are secret, and never in the place of others unasked. */
import { closeSync, lstatSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export interface NewFile {
  path: string;
  text: string | Uint8Array;
  /** Readable by its owner only. */
  secret?: boolean;
}

/** Throws if one of the files is there, unless `force`. Asked before the work is done; `writeFiles` holds to it as well. */
export function refuseExisting(paths: readonly string[], force: true | undefined): void {
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined) throw new Error(`${twice} would be written twice: give the files different names`);
  if (force) return;
  for (const path of paths) {
    if (isThere(path)) throw existsAlready(path);
  }
}

/** Links that lead nowhere are there, too. */
function isThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function existsAlready(path: string): Error {
  return new Error(
    `${path} exists already, so nothing was written; choose another folder, or replace it with --force`,
  );
}

/** All or none: what was written is taken back when one fails. Makes the folders. */
export function writeFiles(files: readonly NewFile[], force: true | undefined): void {
  const written: string[] = [];
  for (const file of files) {
    const path = force ? `${file.path}.${process.pid}.new` : file.path;
    try {
      mkdirSync(dirname(file.path), { recursive: true });
      const descriptor = openSync(path, 'wx', file.secret ? 0o600 : 0o644);
      written.push(path);
      try {
        writeFileSync(descriptor, file.text);
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      for (const done of written) rmSync(done, { force: true });
      if (codeOf(error) === 'EEXIST' && isThere(path)) throw existsAlready(path);
      throw new Error(`cannot write ${file.path} (${codeOf(error)})`, { cause: error });
    }
  }
  if (force) for (const { path } of files) renameSync(`${path}.${process.pid}.new`, path);
}

/** The system's code of an error (`EACCES`), or its text. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
