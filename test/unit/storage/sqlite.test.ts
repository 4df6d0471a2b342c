import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { systemRandom } from '../../../src/lib/random.ts';
import { createDatabase, type Database } from '../../../src/storage/database.ts';
import { type SqlEngine, STATEMENT_DEADLINE } from '../../../src/storage/dialect.ts';
import { sqliteDialect } from '../../../src/storage/dialects/sqlite.ts';
import { StorageUnavailable } from '../../../src/storage/errors.ts';
import { fakeTimers } from '../../support/fake-timers.ts';
import { recordingLogger } from '../../support/recording-logger.ts';
import { temporaryFolder, type TemporaryFolder } from '../../support/temporary-folder.ts';

/** Statements that pass their deadline in a transaction, whose answers the thread still owes. */

let folder: TemporaryFolder;
let timers: ReturnType<typeof fakeTimers>;
let engine: SqlEngine;
let database: Database;

beforeEach(async () => {
  folder = await temporaryFolder('sqlite');
  timers = fakeTimers();
  engine = await sqliteDialect.open(
    { path: join(folder.path, 'db.sqlite3') },
    { timers, random: systemRandom, logger: recordingLogger() },
  );
  database = createDatabase('sqlite', engine, null);
  await engine.run(
    'create table sallyport_leases (name text primary key, owner text, held_until integer)',
    [],
  );
  for (const name of ['john', 'jane', 'harry'])
    await engine.run('insert into sallyport_leases values (?, ?, 0)', [name, `${name}'s own`]);
});
afterEach(async () => {
  await engine.close();
  await folder.remove();
});

const ownerOf = async (name: string): Promise<string | undefined> => {
  const { rows } = await engine.run('select owner from sallyport_leases where name = ?', [name]);
  return rows[0]?.['owner'] as string | undefined;
};
/** The deadline of all that has been asked passes when the thread has it and before an answer can come: no event does. */
const stall = async (): Promise<void> => {
  for (let step = 0; step < 20; step++) await Promise.resolve();
  timers.advance(STATEMENT_DEADLINE);
};

/** What it rejects with. */
const failureOf = (running: Promise<unknown>): Promise<unknown> =>
  running.then(
    () => null,
    (error: unknown) => error,
  );
const SELECT = 'select owner from sallyport_leases where name = ?';
const INSERT = 'insert into sallyport_leases values (?, ?, 0)';

describe('a late statement in a transaction', () => {
  test('is rolled back, and whoever waits behind it gets his own rows', async () => {
    const stalled = Promise.withResolvers<void>();
    const failing = failureOf(
      database.transaction(async (sql) => {
        const insert = sql.insertInto('sallyport_leases').values({ name: 'late', owner: 'x', held_until: 0 });
        const failure = failureOf(insert.execute());
        await stall();
        stalled.resolve();
        throw await failure;
      }),
    );
    await stalled.promise;
    const names = ['john', 'jane', 'nobody', 'harry', 'john', 'late', 'jane'];
    expect(await Promise.all(names.map(ownerOf))).toEqual([
      "john's own",
      "jane's own",
      undefined,
      "harry's own",
      "john's own",
      undefined,
      "jane's own",
    ]);
    expect(String(await failing)).toContain(`did not answer within ${STATEMENT_DEADLINE} ms`);
  });

  test('owes its answer to nobody else, whatever is asked in the same session and behind it', async () => {
    const session = await engine.reserve();
    await session.run('begin immediate', []);
    const late = failureOf(session.run(SELECT, ['john']));
    await stall();
    const following = ['jane', 'harry'].map((name) => session.run(SELECT, [name]));
    const others = ['harry', 'john', 'nobody', 'jane'].map(ownerOf);
    expect(await late).toBeInstanceOf(StorageUnavailable);
    expect((await Promise.all(following)).map(({ rows }) => rows)).toEqual([
      [{ owner: "jane's own" }],
      [{ owner: "harry's own" }],
    ]);
    await session.run('rollback', []);
    session.release();
    expect(await Promise.all(others)).toEqual(["harry's own", "john's own", undefined, "jane's own"]);
  });

  test('with a rollback that is late too leaves nothing open', async () => {
    const session = await engine.reserve();
    await session.run('begin immediate', []);
    const late = [session.run(INSERT, ['late', 'x']), session.run('rollback', [])].map(failureOf);
    await stall();
    for (const failure of await Promise.all(late)) expect(failure).toBeInstanceOf(StorageUnavailable);
    session.destroy();
    expect(await Promise.all(['late', 'john', 'jane'].map(ownerOf))).toEqual([
      undefined,
      "john's own",
      "jane's own",
    ]);
  });

  test('keeps back a later one whose caller has given up, too', async () => {
    const session = await engine.reserve();
    const late = [session.run(SELECT, ['john']), session.run(INSERT, ['unwanted', 'x'])].map(failureOf);
    await stall();
    for (const failure of await Promise.all(late)) expect(failure).toBeInstanceOf(StorageUnavailable);
    session.release();
    expect([await ownerOf('john'), await ownerOf('unwanted')]).toEqual(["john's own", undefined]);
  });
});

test('a transaction does not go on in a storage that has closed meanwhile', async () => {
  const session = await engine.reserve();
  await session.run('begin immediate', []);
  await session.run(INSERT, ['first', 'x']);
  await engine.close();
  await expect(session.run(INSERT, ['second', 'x'])).rejects.toThrow(StorageUnavailable);
});
