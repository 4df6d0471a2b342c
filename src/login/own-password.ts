import type { Events } from '../events.ts';
import type { Throttle } from '../factors/throttle.ts';
import { addressShare } from '../lib/address-share.ts';
import type { UserBackend } from '../users/backend.ts';

interface OwnPassword {
  readonly username: string;
  readonly password: string;
  readonly ip: string;
  readonly proof: 'password' | 'old-password';
}

interface OwnPasswordDeps {
  readonly users: UserBackend;
  readonly throttle: Throttle;
  readonly events: Pick<Events, 'proofChecked'>;
}

/**
 * Whether somebody who is signed in knows his password: counted by the throttle before it is looked at. Somebody who is
 * banned does not, whatever he types. Throws what the throttle and the user backend throw.
 */
export async function knowsOwnPassword(
  { username, password, ip, proof }: OwnPassword,
  { users, throttle, events }: OwnPasswordDeps,
): Promise<boolean> {
  const attempt = await throttle.begin({ username, ip, proof });
  if (attempt === 'banned') return false;
  let result;
  try {
    result = await users.checkPassword(username, password, `form ${addressShare(ip)}`);
  } catch (error) {
    await attempt.takeBack();
    throw error;
  }
  const success = result.status === 'success' && result.user.username === username;
  await (success ? attempt.succeeded() : attempt.failed());
  events.proofChecked({ username, ip, proof, success });
  return success;
}
