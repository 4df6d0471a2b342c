import type { Events } from '../events.ts';
import type { Clock } from '../lib/clock.ts';
import type { MailQueue } from '../notifier/mail-queue.ts';
import {
  factorAddedMail,
  factorRemovedMail,
  type MailContext,
  type MailNotice,
  newSignInMail,
  passwordChangedMail,
  recoveryCodesMadeMail,
  recoveryCodeUsedMail,
  sessionsEndedMail,
} from '../notifier/messages.ts';
import type { UserProfile } from '../users/backend.ts';
import { type DeviceOf, mailContext } from './mail-context.ts';

/**
 * Mail that tells a person what happened to his account. Nobody waits for it, and nothing fails because of it: a notice that
 * cannot be stored is logged.
 */
export interface Notices {
  tell(person: UserProfile, from: NoticeSource, notice: Notice): void;
}

/** Where it came from. */
export interface NoticeSource {
  /** Null where nobody came over the network. */
  readonly ip: string | null;
  readonly userAgent?: string | undefined;
  /** The portal that was used, as `https://host/base/`; it is named in the mail, and linked. */
  readonly portalUrl: string;
  /** The `Accept-Language` of the request. */
  readonly languages?: string | undefined;
}

export type Notice =
  | { readonly kind: 'factor-added' | 'factor-removed'; readonly factor: 'totp' }
  | { readonly kind: 'recovery-codes-made' }
  | { readonly kind: 'recovery-code-used'; readonly left: number }
  | { readonly kind: 'password-changed'; readonly how: 'change' | 'reset' }
  | {
      readonly kind: 'sessions-ended';
      readonly count: number;
      readonly by: 'person' | 'operator' | 'password';
    }
  | { readonly kind: 'new-sign-in'; readonly unknown: 'device' | 'network' | 'both' };

export interface NoticeDeps {
  /** Null without a notifier: then nobody is told anything. */
  readonly mail: Pick<MailQueue, 'enqueue'> | null;
  readonly clock: Clock;
  readonly events: Pick<Events, 'noticeLost'>;
  readonly deviceOf: DeviceOf;
}

export function createNotices({ mail, clock, events, deviceOf }: NoticeDeps): Notices {
  return {
    tell(person, from, notice) {
      if (!mail) return;
      const lost = (error: unknown): void => events.noticeLost(notice.kind, error);
      try {
        const written = noticeMail(person, from, notice, { at: clock.now(), deviceOf });
        // A queue that is full says so itself.
        if (written) mail.enqueue(written).catch(lost);
      } catch (error) {
        lost(error);
      }
    },
  };
}

/** The mail of a notice; null for a person without an address. */
export function noticeMail(
  person: UserProfile,
  from: NoticeSource,
  notice: Notice,
  { at, deviceOf }: { readonly at: number } & Pick<NoticeDeps, 'deviceOf'>,
): MailNotice | null {
  const context = mailContext(person, from, at, deviceOf);
  if (!context) return null;
  const accountUrl = `${from.portalUrl}${PAGES[notice.kind]}`;
  return mailOf({ ...context, accountUrl }, notice);
}

/** Where the reader can look and act, below the portal. */
const PAGES: Readonly<Record<Notice['kind'], string>> = {
  'factor-added': 'settings/security',
  'factor-removed': 'settings/security',
  'recovery-codes-made': 'settings/security',
  'recovery-code-used': 'settings/security',
  'password-changed': 'settings/sessions',
  'sessions-ended': 'settings/sessions',
  'new-sign-in': 'settings/sessions',
};

function mailOf(context: MailContext, notice: Notice): MailNotice {
  switch (notice.kind) {
    case 'factor-added':
      return factorAddedMail(context, notice.factor);
    case 'factor-removed':
      return factorRemovedMail(context, notice.factor);
    case 'recovery-codes-made':
      return recoveryCodesMadeMail(context);
    case 'recovery-code-used':
      return recoveryCodeUsedMail(context, notice.left);
    case 'password-changed':
      return passwordChangedMail(context, notice.how);
    case 'sessions-ended':
      return sessionsEndedMail(context, notice);
    case 'new-sign-in':
      return newSignInMail(context, notice.unknown);
  }
}
