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
export async function riseSession(
  sessions: Pick<GatewaySessions, 'rise' | 'listOf'>,
  session: GatewaySession,
  change: (payload: GatewayPayload) => GatewayPayload,
): Promise<RaisedSession | null> {
  let current: GatewaySession | undefined = session;
  for (let attempt = 0; current !== undefined && attempt < ATTEMPTS; attempt++) {
    const raised = await sessions.rise(current, change(current.payload));
    if (raised) return raised;
    const living = await sessions.listOf(session.userId);
    current = living.find(({ publicId }) => publicId === session.publicId);
  }
  return null;
}
