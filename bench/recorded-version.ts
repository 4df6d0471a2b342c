/** The version of which `bench/results.json` has the figures: the last commit that changed them. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

import { root } from '../test/support/environment.ts';

export interface RecordedVersion {
  readonly commit: string;
  /** Its tree, with its dependencies and its portal built. */
  readonly path: string;
}

/** Throws where there is no repository with its history, or where that version can no longer be installed. */
export function checkOutRecordedVersion(folder: string): RecordedVersion {
  const git = (...args: readonly string[]): Buffer =>
    execFileSync('git', ['-C', root, ...args], {
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  if (git('rev-parse', '--is-shallow-repository').toString().trim() !== 'false')
    throw new Error('the clone is shallow');
  const commit = git('log', '-1', '--format=%H', '--', 'bench/results.json').toString().trim();
  const path = join(folder, 'recorded');
  mkdirSync(path);
  execFileSync('tar', ['-x', '-C', path], { input: git('archive', commit) });
  const lockOf = (tree: string): string => readFileSync(join(tree, 'package-lock.json'), 'utf8');
  if (lockOf(path) === lockOf(root)) {
    symlinkSync(join(root, 'node_modules'), join(path, 'node_modules'));
    execFileSync(process.execPath, [join(path, 'web/build.js')], { cwd: join(path, 'web'), stdio: 'ignore' });
  } else execFileSync('npm', ['ci'], { cwd: path, stdio: 'ignore' });
  return { commit, path };
}
