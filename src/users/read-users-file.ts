import { readFile } from 'node:fs/promises';

import { InvalidUsersFile, usersFileExample } from './users-file.ts';

/** The text of the file. Throws `InvalidUsersFile`, naming the mend. */
export async function readUsersFile(path: string): Promise<string> {
  let bytes;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new InvalidUsersFile(`${path}: ${readFailure(cause)}`, { cause });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new InvalidUsersFile(`${path}: this is no text in UTF-8; save the file in that encoding`, {
      cause,
    });
  }
}

function readFailure(cause: unknown): string {
  switch ((cause as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return `there is no such file. Name the users file in authentication_backend.file.path, or make this one:\n\n${usersFileExample}\n`;
    case 'EACCES':
    case 'EPERM':
      return 'this process may not read it; give its user the right to read the file and to enter its folders';
    case 'EISDIR':
      return 'this is a folder; authentication_backend.file.path must name a file';
    default:
      return `cannot be read: ${(cause as Error).message}`;
  }
}
