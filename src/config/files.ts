/** Which files make up the configuration, and their text. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileFault } from './file-fault.ts';
import type { Problem } from './problem.ts';

const largest = 16 * 1024 * 1024;

/** Replaces each folder by its `*.yml` and `*.yaml` files, sorted by name; folders inside are left out. */
export function listFiles(sources: readonly string[]): {
  readonly files: readonly string[];
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const report = (file: string, message: string): void => {
    problems.push({ severity: 'error', key: '', message, file });
  };
  const files = sources.flatMap((source): readonly string[] => {
    try {
      if (!statSync(source).isDirectory()) return [source];
      const found = readdirSync(source, { withFileTypes: true })
        .filter((entry) => /\.ya?ml$/.test(entry.name) && !entry.isDirectory())
        .map((entry) => join(source, entry.name))
        .toSorted();
      if (found.length === 0) report(source, 'is a folder without a .yml or .yaml file');
      return found;
    } catch (error) {
      report(source, `cannot be read: ${fileFault(error)}`);
      return [];
    }
  });
  return { files, problems };
}

/** The text of a file, or why there is none. */
export function readText(file: string): string | Error {
  try {
    if (!statSync(file).isFile() && statSync(file).size > 0)
      return new Error('cannot be read: it is no regular file');
    const bytes = readFileSync(file);
    if (bytes.length > largest) return new Error('is larger than 16 MiB');
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    return new Error(
      error instanceof TypeError ? 'is not UTF-8 text' : `cannot be read: ${fileFault(error)}`,
    );
  }
}
