import type { MailContext } from '../notifier/messages.ts';
import type { UserProfile } from '../users/backend.ts';
import type { NoticeSource } from './notices.ts';

/** `Firefox on Windows`, for what a browser calls itself. */
export type DeviceOf = (userAgent: string) => string;

/** To whom and about what circumstances a mail is; null for a person without an address. It goes to the first one. */
export function mailContext(
  person: UserProfile,
  source: NoticeSource,
  at: number,
  deviceOf: DeviceOf,
): MailContext | null {
  const [address] = person.emails;
  if (address === undefined) return null;
  return {
    to: { name: person.displayName || person.username, address },
    language: firstLanguage(source.languages),
    domain: new URL(source.portalUrl).host,
    at,
    ip: source.ip,
    ...(source.userAgent && { device: deviceOf(source.userAgent) }),
    accountUrl: source.portalUrl,
  };
}

/** The first tag of an `Accept-Language` header (RFC 9110, section 12.5.4); English where there is none. */
function firstLanguage(header = ''): string {
  return /^[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*/.exec(header.trim())?.[0] ?? 'en';
}
