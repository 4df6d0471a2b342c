import type { Events } from '../events.ts';
import { addressShare } from '../lib/address-share.ts';
import type { Clock } from '../lib/clock.ts';
import type { DeviceSight, KnownDevices } from '../storage/known-devices.ts';
import type { UserProfile } from '../users/backend.ts';
import type { Notice, Notices, NoticeSource } from './notices.ts';

/**
 * Notes who has signed in and from where, and tells the person of a device or network that was not seen before: whose
 * password somebody else knows hears of it. Nobody waits for it, and nothing fails because of it.
 */
export interface SignInRecord {
  note(signIn: SignIn): void;
}

export interface SignIn {
  readonly person: UserProfile;
  /** The public id of the session. */
  readonly session: string;
  readonly from: SignInSource;
}

export interface SignInSource extends NoticeSource {
  readonly ip: string;
}

export interface SignInRecordDeps {
  /** Null where nothing is kept: then no device is known, and nobody is told. */
  readonly knownDevices: KnownDevices | null;
  /** Null without mail. */
  readonly notices: Notices | null;
  readonly events: Pick<Events, 'signedIn'>;
  readonly clock: Clock;
  /** What a device is called, without versions that change every other week. */
  readonly deviceOf: (userAgent: string) => string;
  readonly onFault: (error: unknown) => void;
}

export function createSignInRecord(deps: SignInRecordDeps): SignInRecord {
  const { knownDevices, notices, events, clock, deviceOf, onFault } = deps;

  /** The first sign-in of all tells nobody anything. */
  const look = async (signIn: SignIn): Promise<Sight> => {
    if (!knownDevices) return NOTHING;
    const { person, from } = signIn;
    const { ip, userAgent = '' } = from;
    const now = clock.now();
    const device = await knownDevices.see(person.username, `device ${deviceOf(userAgent)}`, now);
    const network = await knownDevices.see(person.username, `network ${networkOf(ip)}`, now);
    if (device === 'first') return { device, unknown: null };
    const isNew = { device: device === 'new', network: network === 'new' };
    const unknown =
      isNew.device && isNew.network ? 'both' : isNew.device ? 'device' : isNew.network ? 'network' : null;
    return { device, unknown };
  };

  const note = async (signIn: SignIn): Promise<void> => {
    const { person, session, from } = signIn;
    const { device, unknown } = await look(signIn).catch((error: unknown) => {
      onFault(error);
      return NOTHING;
    });
    events.signedIn({ username: person.username, ip: from.ip, session, device });
    if (unknown === null) return;
    notices?.tell(person, from, { kind: 'new-sign-in', unknown });
  };

  return { note: (signIn) => void note(signIn) };
}

interface Sight {
  readonly device: DeviceSight | null;
  readonly unknown: Extract<Notice, { kind: 'new-sign-in' }>['unknown'] | null;
}

const NOTHING: Sight = { device: null, unknown: null };

/**
 * About what one provider gives to its customers: the first 16 bits of an IPv4 address, the first 32 of IPv6. Smaller ones
 * change for most people every day, and a notice that comes every day is read by nobody. `ip` is canonical text.
 */
function networkOf(ip: string): string {
  if (!ip.includes(':')) return ip.split('.').slice(0, 2).join('.');
  return addressShare(ip).split(':').slice(0, 2).join(':');
}
