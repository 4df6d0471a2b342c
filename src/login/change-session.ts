import type { GatewaySession } from '../authn/gateway-session.ts';

/** How often a session may change under our hands before we give up. */
const ATTEMPTS = 5;

/**
 * Changes a session by compare-and-set: `change` answers null when somebody else was first, and is then called with the
 * session as `find` reads it again. Null when the session has ended meanwhile.
 */
export async function changeSession<T>(
  session: GatewaySession,
  find: () => Promise<GatewaySession | null>,
  change: (session: GatewaySession) => Promise<T | null>,
): Promise<T | null> {
  let current = session;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const changed = await change(current);
    if (changed !== null) return changed;
    const found = await find();
    if (found?.publicId !== session.publicId) return null;
    current = found;
  }
  throw new Error(
    `the session ${session.publicId} could not be changed: it changed ${ATTEMPTS} times meanwhile`,
  );
}
