import { setTimeout as pause } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { announce } from '../support/announce.ts';
import { isLongForm, mustBeComplete } from '../support/environment.ts';
import { seededRandom } from '../support/fake-clock.ts';
import { missingPostgres, startPostgresServer, testAccount } from '../support/postgres-server.ts';
import type { RawAnswer } from '../support/raw-http.ts';
import { missingRedis, startRedisServer } from '../support/redis-server.ts';
import { openRelay, type Relay } from '../support/relay.ts';
import { isLinearisable, type Operation } from './linearise.ts';
import { keep, keepOpen, startReplica } from './stage.ts';
import { ask, PRIVATE, sessionOf, signIn, signOut } from './visitor.ts';

/**
 * Many sessions are signed in, read and signed out at once on two gateways, of which one loses its connections to the
 * store again and again. What was answered must be explained by one order of events.
 */

const SESSIONS = isLongForm ? 1000 : 120;
const AT_ONCE = 12;
const CUTS_EVERY_MS = 400;

interface Place {
  /** What must be installed, or undefined when everything is. */
  readonly missing: string | undefined;
  readonly start: () => Promise<{ readonly port: number; stop(): Promise<void> }>;
  readonly section: (port: number) => Readonly<Record<string, unknown>>;
}

const places: Readonly<Record<string, Place>> = {
  Redis: {
    missing: missingRedis(),
    start: () => startRedisServer(),
    section: (port) => ({ redis: { host: '127.0.0.1', port } }),
  },
  PostgreSQL: {
    missing: missingPostgres(),
    start: () => startPostgresServer(),
    section: (port) => ({ postgres: { address: `tcp://127.0.0.1:${port}`, ...testAccount } }),
  },
};

describe.each(Object.entries(places))('histories of sessions in %s', (name, { missing, start, section }) => {
  if (missing !== undefined && !mustBeComplete)
    announce(`SKIPPED: ${missing} is not installed (scripts/install-test-servers)`);

  test.skipIf(missing !== undefined && !mustBeComplete)(
    'what was signed out stays so, for everybody who asks later',
    { timeout: 300_000 },
    async () => {
      const server = keep(await start());
      const relay = keepOpen(await openRelay(server.port));
      const replicas = await Promise.all([
        startReplica(section(relay.port)),
        startReplica(section(server.port)),
      ]);
      const random = seededRandom(`histories ${name}`);
      const below = (limit: number): number => random.bytes(2).readUInt16BE() % limit;
      const somewhere = (): number => replicas[below(2)]?.port ?? 0;
      let unanswered = 0;

      const live = async (): Promise<readonly Operation[] | null> => {
        const history: Operation[] = [];
        const record = async (
          action: Operation['action'],
          send: () => Promise<RawAnswer>,
        ): Promise<RawAnswer | null> => {
          const askedAt = performance.now();
          const answer = await send().catch(() => null);
          const isAnswer = answer !== null && answer.status !== 503;
          if (!isAnswer) unanswered++;
          const isIn = answer?.status === 200;
          history.push({ action, isIn, askedAt, answeredAt: isAnswer ? performance.now() : null });
          return answer;
        };
        const began = await record('login', () => signIn(somewhere()));
        const cookie = began?.status === 200 ? sessionOf(began) : undefined;
        if (cookie === undefined) return null;
        const reader = async (): Promise<void> => {
          for (let n = 0; n < 8; n++) {
            await pause(below(20));
            await record('read', () => ask(somewhere(), PRIVATE, cookie));
          }
        };
        const leaver = async (): Promise<void> => {
          await pause(40 + below(80));
          await record('logout', () => signOut(somewhere(), cookie));
        };
        await Promise.all([reader(), reader(), reader(), leaver(), leaver()]);
        await record('logout', () => signOut(replicas[1].port, cookie));
        for (const { port } of replicas) await record('read', () => ask(port, PRIVATE, cookie));
        return history;
      };

      const histories: (readonly Operation[])[] = [];
      const breaking = breakAgainAndAgain(relay);
      const lives = async (): Promise<void> => {
        while (histories.length < SESSIONS) {
          const history = await live();
          if (history) histories.push(history);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, lives));
      const cuts = await breaking.stop();
      const operations = histories.reduce((sum, { length }) => sum + length, 0);
      announce(
        `Histories, ${name}: ${histories.length} sessions, ${operations} operations, ${unanswered} without an answer, ${cuts} cuts`,
      );
      expect(unanswered).toBeGreaterThan(0);
      expect(histories.filter((history) => !isLinearisable(history))).toEqual([]);
    },
  );
});

function breakAgainAndAgain(relay: Relay): { stop(): Promise<number> } {
  let isOver = false;
  let cuts = 0;
  const run = async (): Promise<void> => {
    while (!isOver) {
      await pause(CUTS_EVERY_MS);
      // By turns: an answer that is lost, and a connection that ends.
      if (cuts++ % 2 === 0) relay.swallow('answers', 1, () => {});
      await pause(CUTS_EVERY_MS / 4);
      await relay.cut();
      await pause(CUTS_EVERY_MS / 2);
      await relay.heal();
    }
  };
  const running = run();
  return {
    async stop() {
      isOver = true;
      await running;
      return cuts;
    },
  };
}
