import type { GatewayPayload, GatewaySession, GatewaySessions } from '../authn/gateway-session.ts';

/** A session under its new token. */
export interface RaisedSession {
  readonly token: string;
  readonly session: GatewaySession;
}

/** How often a session may be changed by others under our hands before we give up. */
const ATTEMPTS = 5;

/**
 * Changes the payload of a session under a new token, also when something else about it changes at the same time. Null when
 * the session has ended meanwhile. Throws `StoreUnavailable`.
 */
export function riseSession(
  sessions: Pick<GatewaySessions, 'rise' | 'listOf'>,
  session: GatewaySession,
  change: (payload: GatewayPayload) => GatewayPayload,
): Promise<RaisedSession | null> {
  return untilChanged(sessions, session, (current) => sessions.rise(current, change(current.payload)));
}

/** As `riseSession`, under the token that it has: for what gives no rights. */
export function updateSession(
  sessions: Pick<GatewaySessions, 'update' | 'listOf'>,
  session: GatewaySession,
  change: (payload: GatewayPayload) => GatewayPayload,
): Promise<GatewaySession | null> {
  return untilChanged(sessions, session, (current) => sessions.update(current, change(current.payload)));
}

async function untilChanged<T>(
  sessions: Pick<GatewaySessions, 'listOf'>,
  session: GatewaySession,
  change: (current: GatewaySession) => Promise<T | null>,
): Promise<T | null> {
  let current: GatewaySession | undefined = session;
  for (let attempt = 0; current !== undefined && attempt < ATTEMPTS; attempt++) {
    const changed = await change(current);
    if (changed !== null) return changed;
    const living = await sessions.listOf(session.userId);
    current = living.find(({ publicId }) => publicId === session.publicId);
  }
  return null;
}
