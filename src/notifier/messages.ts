/**
 * What each mail says. A function here turns a happening into a notice: content for our own layout, and the values that
 * templates made for Authelia expect. Every value is one line of text here, whatever came in, and escaped where it is
 * written (`templates/`, `mail-templates.ts`).
 */
import { mailTexts, type MailTexts, type TextKey, type TextValues } from './mail-texts.ts';
import type { MailAddress } from './notifier.ts';
import { oneLine } from './one-line.ts';

export interface MailContext {
  readonly to: MailAddress;
  /** BCP 47; any tag. */
  readonly language: string;
  /** The host of the portal, by which the reader knows who writes. */
  readonly domain: string;
  /** When it happened, in milliseconds since the epoch. */
  readonly at: number;
  /** From where; null when nobody asked over the network, but an operator, for example, at the command line. */
  readonly ip: string | null;
  /** `Firefox on Windows`, when it is known. */
  readonly device?: string;
  /** Where the reader can look and act, for notices. */
  readonly accountUrl?: string;
}

export type MailKind =
  | 'password-reset'
  | 'elevation-code'
  | 'password-changed'
  | 'factor-added'
  | 'factor-removed'
  | 'new-sign-in'
  | 'sessions-ended'
  | 'recovery-codes-made'
  | 'recovery-code-used';

/** A mail before it has its looks. */
export interface MailNotice {
  readonly kind: MailKind;
  readonly to: MailAddress;
  readonly createdAt: number;
  /** After this time it is of no use any more, and is not sent. */
  readonly expiresAt: number;
  readonly content: MailContent;
  /** The template of Authelia's that stands for it. */
  readonly template: TemplateName;
  /** What such a template may use. */
  readonly values: Readonly<Record<string, string>>;
}

export type TemplateName = 'Event' | 'IdentityVerificationOTC' | 'IdentityVerificationJWT';

/** What our layout shows, from top to bottom. */
export interface MailContent {
  readonly locale: string;
  readonly direction: 'ltr' | 'rtl';
  readonly domain: string;
  readonly title: string;
  readonly greeting: string;
  readonly paragraphs: readonly string[];
  readonly code: string | null;
  readonly link: MailLink | null;
  /** Stands above the link once more, written out to be copied; null where it is not worth the room. */
  readonly linkCopy: string | null;
  /** After the code or link. */
  readonly terms: string | null;
  readonly details: readonly (readonly [label: string, value: string])[];
  readonly advice: string;
  readonly revocation: MailLink | null;
  readonly footer: string;
}

export interface MailLink {
  readonly url: string;
  readonly text: string;
}

const minute = 60_000;
/** How long a notice is worth sending, in milliseconds. */
const noticeLife = 24 * 60 * minute;

/** `revokeUrl` makes the link useless. After `expiresAt` neither works. */
export function passwordResetMail(
  context: MailContext,
  reset: { readonly url: string; readonly revokeUrl: string; readonly expiresAt: number },
): MailNotice {
  return notice(context, 'password-reset', 'IdentityVerificationJWT', {
    title: 'password-reset.title',
    text: 'password-reset.text',
    advice: 'password-reset.advice',
    terms: 'password-reset.life',
    expiresAt: reset.expiresAt,
    link: [reset.url, 'password-reset.link'],
    revocation: [reset.revokeUrl, 'password-reset.revoke'],
  });
}

/** A one-time code before security settings change. */
export function elevationCodeMail(
  context: MailContext,
  elevation: { readonly code: string; readonly revokeUrl: string; readonly expiresAt: number },
): MailNotice {
  return notice(context, 'elevation-code', 'IdentityVerificationOTC', {
    title: 'elevation-code.title',
    text: 'elevation-code.text',
    advice: 'elevation-code.advice',
    terms: 'elevation-code.life',
    expiresAt: elevation.expiresAt,
    code: elevation.code,
    revocation: [elevation.revokeUrl, 'elevation-code.revoke'],
  });
}

/** `how`: by somebody who knew the old password, or with a mailed link. */
export function passwordChangedMail(context: MailContext, how: 'change' | 'reset'): MailNotice {
  return notice(context, 'password-changed', 'Event', {
    title: 'password-changed.title',
    text: how === 'reset' ? 'password-reset-done.text' : 'password-changed.text',
    event: 'password-changed.event',
    advice: 'notice.advice.password',
  });
}

export type MailFactor = 'totp' | 'webauthn' | 'duo';

/** `name` is what the person called it. */
export function factorAddedMail(context: MailContext, factor: MailFactor, name?: string): MailNotice {
  return notice(context, 'factor-added', 'Event', {
    title: 'factor-added.title',
    text: 'factor-added.text',
    event: 'factor-added.event',
    details: (say) => factorDetails(say, factor, name),
  });
}

export function factorRemovedMail(context: MailContext, factor: MailFactor, name?: string): MailNotice {
  return notice(context, 'factor-removed', 'Event', {
    title: 'factor-removed.title',
    text: 'factor-removed.text',
    event: 'factor-removed.event',
    details: (say) => factorDetails(say, factor, name),
  });
}

/** `unknown`: what was not seen with this account before. */
export function newSignInMail(context: MailContext, unknown: 'device' | 'network' | 'both'): MailNotice {
  return notice(context, 'new-sign-in', 'Event', {
    title: 'new-sign-in.title',
    text: `new-sign-in.${unknown}`,
    event: 'new-sign-in.event',
    advice: 'new-sign-in.advice',
  });
}

export function sessionsEndedMail(
  context: MailContext,
  ended: { readonly count: number; readonly by: 'person' | 'operator' | 'password' },
): MailNotice {
  return notice(context, 'sessions-ended', 'Event', {
    title: 'sessions-ended.title',
    text: 'sessions-ended.text',
    more: `sessions-ended.by-${ended.by}`,
    event: 'sessions-ended.event',
    count: ended.count,
  });
}

export function recoveryCodesMadeMail(context: MailContext): MailNotice {
  return notice(context, 'recovery-codes-made', 'Event', {
    title: 'recovery-codes-made.title',
    text: 'recovery-codes-made.text',
    event: 'recovery-codes-made.event',
  });
}

/** `left`: how many are unused. */
export function recoveryCodeUsedMail(context: MailContext, left: number): MailNotice {
  return notice(context, 'recovery-code-used', 'Event', {
    title: 'recovery-code-used.title',
    text: 'recovery-code-used.text',
    more: 'recovery-code-used.left',
    event: 'recovery-code-used.event',
    count: left,
  });
}

interface Draft {
  readonly title: TextKey;
  readonly text: TextKey;
  readonly more?: TextKey;
  /** Default: what to do when it was not the reader. */
  readonly advice?: TextKey;
  /** Prefix, event and suffix, for Authelia's template of that name. */
  readonly event?: TextKey;
  readonly count?: number;
  readonly details?: (say: MailTexts['say']) => readonly (readonly [string, string])[];
  readonly code?: string;
  readonly terms?: TextKey;
  readonly link?: readonly [url: string, text: TextKey];
  readonly revocation?: readonly [url: string, text: TextKey];
  readonly expiresAt?: number;
}

function notice(context: MailContext, kind: MailKind, template: TemplateName, draft: Draft): MailNotice {
  const texts = mailTexts(context.language);
  const domain = oneLine(context.domain);
  const name = oneLine(context.to.name, 100);
  const { expiresAt = context.at + noticeLife } = draft;
  const say = (key: TextKey, values: TextValues = {}): string => texts.say(key, { domain, name, ...values });
  const count = draft.count === undefined ? {} : { count: draft.count };
  const linkOf = ([url, text]: readonly [string, TextKey]): MailLink => ({
    url: webAddress(url),
    text: say(text),
  });

  const link =
    draft.link !== undefined
      ? linkOf(draft.link)
      : template === 'Event' && context.accountUrl !== undefined
        ? linkOf([context.accountUrl, 'notice.link'])
        : null;
  const revocation = draft.revocation === undefined ? null : linkOf(draft.revocation);
  const title = say(draft.title);
  const details = [
    ...(draft.details?.(say) ?? []),
    [say('detail.time'), texts.time(context.at)] as const,
    ...(context.device === undefined ? [] : [[say('detail.device'), oneLine(context.device)] as const]),
    ...(context.ip === null ? [] : [[say('detail.address'), oneLine(context.ip)] as const]),
  ];
  const [prefix = '', event = '', suffix = ''] =
    draft.event === undefined
      ? []
      : say(draft.event)
          .split('|')
          .map((part) => part.trim());

  return {
    kind,
    to: { name, address: context.to.address },
    createdAt: context.at,
    expiresAt,
    template,
    content: {
      locale: texts.locale,
      direction: texts.direction,
      domain,
      title,
      greeting: say(name === '' ? 'greeting.nameless' : 'greeting'),
      paragraphs: [say(draft.text, count), ...(draft.more === undefined ? [] : [say(draft.more, count)])],
      code: draft.code ?? null,
      link,
      linkCopy: draft.link === undefined ? null : say('link.copy'),
      terms:
        draft.terms === undefined ? null : say(draft.terms, { count: minutesUntil(expiresAt, context.at) }),
      details,
      advice: say(draft.advice ?? 'notice.advice'),
      revocation,
      footer: say('footer', { name: context.to.address }),
    },
    values: {
      Title: title,
      DisplayName: name,
      Domain: domain,
      RemoteIP: context.ip === null ? say('detail.unknown') : oneLine(context.ip),
      LinkURL: link?.url ?? '',
      LinkText: link?.text ?? '',
      RevocationLinkURL: revocation?.url ?? '',
      RevocationLinkText: revocation?.text ?? '',
      OneTimeCode: draft.code ?? '',
      BodyPrefix: prefix,
      BodyEvent: event,
      BodySuffix: suffix,
    },
  };
}

function factorDetails(
  say: MailTexts['say'],
  factor: MailFactor,
  name: string | undefined,
): (readonly [string, string])[] {
  return [
    [say('detail.method'), say(`factor.${factor}`)],
    ...(name === undefined ? [] : [[say('detail.name'), oneLine(name, 100)] as const]),
  ];
}

function minutesUntil(end: number, start: number): number {
  return Math.max(1, Math.floor((end - start) / minute));
}

/** A link that a mail may carry. Our own code makes them all: another scheme is a fault in it. */
function webAddress(url: string): string {
  const { protocol, href } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:') throw new Error(`a mail must not link to ${protocol}`);
  return href;
}
