/** The only place of the tests that reads the environment. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** The checkout. */
export const root = join(import.meta.dirname, '../..');

/** In continuous integration everything must be there: what is missing fails instead of being skipped. */
export const mustBeComplete = Boolean(process.env.CI);

/** The gateway under test: the checkout's own command, or another one, for example of an installed package. */
export const gatewayCommand = process.env.SALLYPORT_COMMAND ?? join(root, 'bin/sallyport');

/** `npm run faults`: each row of the faults under its whole load, and for as long as it takes. */
export const isLongForm = process.env.SALLYPORT_FAULTS === 'long';

/** Where each row of the faults is noted, one JSON object a line; undefined: nowhere. */
export const faultsReport = process.env.SALLYPORT_FAULTS_REPORT;

/** The search path of started programs; servers live in sbin, which is not on every user's path. */
export const searchPath = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** The absolute path of a program, or undefined when it is not installed. */
export function findProgram(name: string): string | undefined {
  const candidates = name.includes('/') ? [name] : searchPath.split(':').map((folder) => join(folder, name));
  return candidates.find((candidate) => {
    try {
      accessSync(candidate, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
