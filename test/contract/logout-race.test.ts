import { afterEach, describe, expect, test } from 'vitest';

import { createSealer } from '../../src/sessions/seal.ts';
import { guardStore } from '../../src/sessions/guarded-store.ts';
import { sessionDrivers } from '../../src/sessions/registry.ts';
import { StoreUnavailable } from '../../src/sessions/store.ts';
import { openSessions, type Sessions } from '../../src/sessions/sessions.ts';
import { systemTimers } from '../../src/lib/timers.ts';
import { fakeClock, seededRandom } from '../support/fake-clock.ts';
import { sessionStoreHarnesses, type StorePlace } from './session-store-harnesses.ts';

/**
 * Two replicas, one signs out while both read, note activity and write it: once the sign-out was answered, no read that
 * begins later on either of them finds the session, and nothing brings it back.
 */

interface Payload {
  readonly visits: number;
}

const ROUNDS = 10_000;
const AT_ONCE = 20;
/** A change whose answer is missing may have happened or not: both are allowed here. */
function ifUnavailable(error: unknown): void {
  if (!(error instanceof StoreUnavailable)) throw error;
}

/** A busy machine may be late: what was not answered is repeated, as people are told to. */
async function surely<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || tries === 10) throw error;
    }
  }
}

const LIFETIMES = { expiration: 1e12, inactivity: 1e12, rememberMe: -1 };
const shared = Object.entries(sessionDrivers).flatMap(([name, driver]) =>
  driver.shared ? [name as keyof typeof sessionDrivers] : [],
);

describe.each(shared)('signing out on two replicas, sessions in %s', (name) => {
  let place: StorePlace | undefined;
  const replicas: Sessions<Payload>[] = [];
  afterEach(async () => {
    for (const replica of replicas.splice(0)) await replica.close();
    await place?.dispose();
    place = undefined;
  });

  test(
    `${ROUNDS} sign-outs race with reads and writes: never one that comes back`,
    { timeout: 240_000 },
    async () => {
      const clock = fakeClock();
      const random = seededRandom(`race ${name}`);
      const opened = await sessionStoreHarnesses[name].create({ clock });
      place = opened;
      const replica = async (): Promise<Sessions<Payload>> => {
        const store = guardStore(
          await opened.open('gateway'),
          { deadline: 20_000, maxUnderWay: 10_000 },
          { timers: systemTimers, random, onState: () => {} },
        );
        const sessions = openSessions<Payload>({
          timers: systemTimers,
          store,
          isRemote: true,
          sealer: createSealer('gateway', ['secret'], { random }),
          clock,
          random,
          lifetimesOf: () => LIFETIMES,
          onEnd: () => {},
          onBrokenRecord: () => {},
        });
        replicas.push(sessions);
        return sessions;
      };
      const [one, other] = [await replica(), await replica()];
      const find = (on: Sessions<Payload>, token: string) =>
        surely(async () => on.find(token, 'example.com'));

      /** What one request does: read, note activity, and sometimes change the session. */
      const visit = async (on: Sessions<Payload>, token: string, changes: boolean): Promise<void> => {
        const session = await find(on, token);
        if (!session) return;
        on.noteActivity(session);
        if (changes) await on.update(session, { visits: session.payload.visits + 1 }).catch(ifUnavailable);
      };

      let came = 0;
      const round = async (): Promise<void> => {
        const start = {
          userId: 'john',
          cookieDomain: 'example.com',
          remembered: false,
          payload: { visits: 0 },
        };
        const { token } = await surely(() => one.begin(start));
        const session = await find(other, token);
        if (!session) throw new Error('the other replica does not see a session that was begun');
        clock.advance(1001);
        const racing = [visit(one, token, true), visit(other, token, true), visit(other, token, false)];
        const ended = one.end(session, 'logout');
        await ended;
        if (await find(other, token)) came++;
        await Promise.all(racing);
        await Promise.all([one.tend(), other.tend()]);
        for (const on of [one, other]) if (await find(on, token)) came++;
      };
      for (let done = 0; done < ROUNDS; done += AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, round));
      }
      expect(came).toBe(0);
    },
  );
});
