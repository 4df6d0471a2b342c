import { setTimeout as wait } from 'node:timers/promises';

import type { GatewaySessions } from '../authn/gateway-session.ts';
import type { Configuration } from '../config/schema.ts';
import { cookieDomainsOf, openGatewaySessions, sessionStoreName } from '../gateway-sessions.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRandom } from '../lib/random.ts';
import { errorsTo } from './errors-to.ts';
import type { CliIo } from './io.ts';

/** Opens the sessions that the gateways of this configuration share. */
export type OpenSharedSessions = (config: Configuration, io: CliIo) => Promise<GatewaySessions>;

const UNSHARED = {
  memory:
    'the sessions are in the memory of the gateway, where no other process sees them (no store is configured)',
  filesystem: 'session.filesystem: the gateway holds the folder, and no second process may use it',
} as const;
const WAY_OUT =
  'People end their own sessions at the portal, at settings/sessions; whoever is disabled in the user backend is out. For this command, keep sessions in session.redis or session.postgres.';

/** Why the sessions of this configuration cannot be seen from outside of the gateway, and what to do; null when they can. */
export function unsharedReason(config: Configuration): string | null {
  const store = sessionStoreName(config);
  return store === 'memory' || store === 'filesystem' ? `${UNSHARED[store]}. ${WAY_OUT}` : null;
}

/** For people. */
export function describeStoreFailure(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === 'StoreUnavailable'
    ? `the session store does not answer: ${error.message}`
    : error.message;
}

/** Milliseconds. A person is waiting, and no request: longer than a gateway would. */
const DEADLINE = 5000;
/** Milliseconds between two looks whether the store is there. */
const STEP = 50;

/** Opens them beside the running gateways. Rejects when the store does not answer within 5 s. */
export const openSharedSessions: OpenSharedSessions = async (config, io) => {
  const domains = cookieDomainsOf(config);
  const sessions = await openGatewaySessions(config, {
    clock: systemClock,
    random: systemRandom,
    logger: errorsTo(io),
    events: {
      sessionEnded: () => {},
      sessionBroken: (key) => io.err(`warning: the record ${key} is corrupt and left out\n`),
      storeIs: () => {},
    },
    lifetimesOf: (domain) => domains.get(domain)?.lifetimes ?? null,
    guard: { deadline: DEADLINE, tolerance: Infinity },
  });
  await answering(sessions);
  return sessions;
};

/** A store opens at once and connects by and by. Rejects with what is in the way when it does not answer in time. */
async function answering(sessions: GatewaySessions): Promise<void> {
  for (let waited = 0; ; waited += STEP) {
    try {
      return await sessions.ping();
    } catch (error) {
      if (waited < DEADLINE) await wait(STEP);
      else {
        await sessions.close();
        throw error;
      }
    }
  }
}
