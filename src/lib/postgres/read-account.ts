import { readFile } from 'node:fs/promises';
import type { Account } from './connection.ts';
import { errorCode, PostgresRefused, type PostgresSetting } from './errors.ts';

/**
 * Who signs in where. A value that begins with `file://` is the path of a file that holds it, as mounted secrets do; a line
 * break at its end does not count. Rejects with PostgresRefused when a file cannot be read.
 */
export async function readAccount(options: {
  readonly database: string;
  readonly username: string;
  readonly password?: string;
}): Promise<Account> {
  const [database, username, password] = await Promise.all([
    valueOf('database', options.database),
    valueOf('username', options.username),
    options.password === undefined ? undefined : valueOf('password', options.password),
  ]);
  return { database, username, password };
}

async function valueOf(setting: PostgresSetting, value: string): Promise<string> {
  if (!value.startsWith('file://')) return value;
  const path = value.slice('file://'.length);
  try {
    return (await readFile(path, 'utf8')).replace(/\r?\n$/, '');
  } catch (error) {
    throw new PostgresRefused(setting, `the file ${path} cannot be read (${errorCode(error)})`, {
      cause: error,
    });
  }
}
