import {
  type Account,
  type Connection,
  openConnection,
  type OpenOptions,
  type PostgresServer,
} from './connection.ts';
import { PostgresRefused, PostgresUnavailable } from './errors.ts';

/** How long a server may be silent before the next one is tried as well. */
const HEAD_START_MS = 300;

/**
 * The first server, in this order, that lets us in and takes writes. While one is silent, the others are asked again: one
 * of them may be about to take its place. Rejects with PostgresRefused or PostgresUnavailable.
 */
export function openFirstWritable(
  servers: readonly PostgresServer[],
  account: Account,
  options: OpenOptions,
): Promise<Connection> {
  const { timers } = options;
  return new Promise((resolve, reject) => {
    const untried = [...servers];
    const errors = new Map<PostgresServer, Error>();
    let pending = 0;
    let isDone = false;
    const attempt = async (server: PostgresServer | undefined): Promise<void> => {
      if (server === undefined || isDone) return;
      pending++;
      const stop = timers.after(HEAD_START_MS, () => void attempt(untried.shift()));
      try {
        const connection = await openConnection(server, account, options);
        if (isDone) void connection.end();
        else resolve(connection);
        isDone = true;
      } catch (error) {
        pending--;
        errors.set(server, error as Error);
        if (untried.length > 0) void attempt(untried.shift());
        else if (pending > 0) timers.after(HEAD_START_MS, () => void attempt(server));
        else if (!isDone) {
          isDone = true;
          reject(worst([...errors.values()]));
        }
      } finally {
        stop();
      }
    };
    void attempt(untried.shift());
  });
}

/** What somebody can mend comes first; what is left is told of all servers. */
function worst(errors: readonly Error[]): Error {
  const refused = errors.find((error) => error instanceof PostgresRefused);
  const [first] = errors;
  if (refused !== undefined || errors.length === 1)
    return refused ?? first ?? new PostgresUnavailable('no server');
  const texts = errors.map((error) => error.message);
  return new PostgresUnavailable(texts.join('; '), { cause: first?.cause });
}
