import { createEqualTime } from '../../../src/factors/equal-time.ts';
import { createMemoryThrottleStore } from '../../../src/factors/memory-throttle-store.ts';
import { createPasswordFactor } from '../../../src/factors/password-factor.ts';
import { createThrottle, type Regulation, type ThrottleDeps } from '../../../src/factors/throttle.ts';
import type { LoggedAttempt } from '../../../src/storage/attempt-log.ts';
import type { UserBackend } from '../../../src/users/backend.ts';
import { fakeClock, seededRandom } from '../../support/fake-clock.ts';
import { immediateTimers } from '../../support/fake-timers.ts';

const REGULATION: Regulation = {
  modes: ['user'],
  max_retries: 3,
  find_time: 120_000,
  ban_time: 300_000,
};

/** A throttle over counts in memory, and what it told. */
export function fakeThrottle(regulation: Partial<Regulation> = {}, over: Partial<ThrottleDeps> = {}) {
  const clock = over.clock ?? fakeClock();
  const banned: unknown[] = [];
  const refused: unknown[] = [];
  const faults: unknown[] = [];
  const logged: LoggedAttempt[] = [];
  // Nobody's turn lasts too long.
  const timers = immediateTimers(5000);
  const deps: ThrottleDeps = {
    ...createMemoryThrottleStore(),
    attempts: {
      insert: async (attempt) => void logged.push(attempt),
    },
    clock,
    timers,
    random: seededRandom('throttle'),
    events: {
      banned: (event) => banned.push(event),
      attemptRefused: (event) => refused.push(event),
    },
    onFault: (error) => faults.push(error),
    ...over,
  };
  return {
    throttle: createThrottle({ ...REGULATION, ...regulation }, deps),
    deps,
    clock,
    timers,
    banned,
    refused,
    faults,
    logged,
  };
}

/** The password as a factor over such a throttle, with timers that are up at once. */
export function fakePassword(
  users: UserBackend,
  regulation: Partial<Regulation> = {},
  over: Partial<ThrottleDeps> = {},
) {
  const fake = fakeThrottle(regulation, over);
  const checked: { username: string; ip: string; success: boolean }[] = [];
  const unknown: string[] = [];
  const repeated: string[] = [];
  const { clock, timers } = fake;
  const password = createPasswordFactor({
    users,
    throttle: fake.throttle,
    equalTime: createEqualTime({ clock, timers, random: seededRandom('equal time') }),
    onChecked({ username, ip, success, isUnknown, isRepeated }) {
      checked.push({ username, ip, success });
      if (isUnknown) unknown.push(username);
      if (isRepeated) repeated.push(username);
    },
  });
  return { ...fake, password, checked, unknown, repeated };
}
