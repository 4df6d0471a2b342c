import type { GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';
import type { Events } from '../events.ts';
import { deviceSummary } from './sessions-device.ts';

/**
 * What a person does with the sessions of his own; `ip` is the address from which he does it. Throws `StoreUnavailable`;
 * then nothing may be taken for done.
 */
export interface SessionActions {
  /** The living sessions of the person, on all cookie domains: `own` first, then the one that was used last. */
  list(own: GatewaySession): Promise<readonly GatewaySession[]>;
  /** Ends the one with this public id, for the very next request everywhere. False when the person has no such session. */
  end(own: GatewaySession, publicId: string, ip: string): Promise<boolean>;
  /** Ends all but `own`; answers how many were there. */
  endOthers(own: GatewaySession, ip: string): Promise<number>;
}

export function createSessionActions(
  sessions: GatewaySessions,
  events: Pick<Events, 'sessionsRevoked'>,
): SessionActions {
  const revoked = (username: string, ip: string, count: number): void => {
    if (count > 0) events.sessionsRevoked({ username, ip, count, by: 'person' });
  };
  return {
    async list({ userId, publicId }) {
      const isOwn = (session: GatewaySession): number => Number(session.publicId === publicId);
      const all = await sessions.listOf(userId);
      return all.toSorted((a, b) => isOwn(b) - isOwn(a) || b.lastActivity - a.lastActivity);
    },
    async end({ userId }, publicId, ip) {
      const ended = await endByPublicId(sessions, userId, publicId);
      revoked(userId, ip, Number(ended));
      return ended;
    },
    async endOthers({ userId, publicId }, ip) {
      const count = await sessions.endAllOf(userId, 'revoked', publicId);
      revoked(userId, ip, count);
      return count;
    },
  };
}

/** How often a session may change its key under our hands before we give up. */
const ATTEMPTS = 5;

/** Ends the session of this user with this public id. False when there is none. */
export async function endByPublicId(
  sessions: GatewaySessions,
  userId: string,
  publicId: string,
): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const session = (await sessions.listOf(userId)).find((one) => one.publicId === publicId);
    if (!session) return false;
    if (await sessions.end(session, 'revoked')) return true;
    // It is gone, or has got another key in between: then it must not live on.
  }
  throw new Error(`the session ${publicId} could not be ended: it changed ${ATTEMPTS} times meanwhile`);
}

/** A session as it is told in JSON; times as RFC 3339. */
export interface SessionView {
  readonly id: string;
  readonly created_at: string;
  readonly last_active_at: string;
  /** The absolute end; one that is not remembered may end earlier, by inactivity. */
  readonly expires_at: string;
  readonly remembered: boolean;
  readonly cookie_domain: string;
  readonly device: { readonly user_agent: string; readonly summary: string; readonly ip: string };
}

export function sessionView(session: GatewaySession): SessionView {
  const { userAgent, ip } = session.payload.device;
  return {
    id: session.publicId,
    created_at: timestamp(session.createdAt),
    last_active_at: timestamp(session.lastActivity),
    expires_at: timestamp(session.expiresAt),
    remembered: session.remembered,
    cookie_domain: session.cookieDomain,
    device: { user_agent: userAgent, summary: deviceSummary(userAgent), ip },
  };
}

function timestamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
