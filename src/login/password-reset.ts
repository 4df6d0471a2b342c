import { hash } from 'node:crypto';

import type { Events } from '../events.ts';
import type { BackgroundJobs } from '../lib/background-jobs.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { MailQueue } from '../notifier/mail-queue.ts';
import { passwordResetMail } from '../notifier/messages.ts';
import type { RateBuckets } from '../storage/rate-buckets.ts';
import type { ResetLink, ResetLinks } from '../storage/reset-links.ts';
import { type DeviceOf, mailContext } from './mail-context.ts';
import type { NewPassword, PasswordFlaw, WritableUsers } from './new-password.ts';
import type { NoticeSource } from './notices.ts';

/**
 * A new password for somebody who has forgotten the old one and can read the mail of the account.
 *
 * A link carries 256 random bits of which only a digest is stored: who reads the database cannot follow it, and nothing is
 * signed that a leaked key could forge. It is used up by a post, never by opening its page, as scanners of mail open
 * every link. Used up, it becomes a permission of the same kind that lives in one browser for a few minutes; it or the
 * link itself is used up by the new password. The first new password makes every other link and permission void.
 */
export interface PasswordReset {
  /**
   * Mails a link if this names somebody with an address. It answers before it knows, so that neither what it says nor how
   * long it takes tells whether it did.
   */
  request(typed: string, source: NoticeSource): void;
  /** Whether a new password could be chosen with it now. Changes nothing. */
  isUsable(proof: ResetProof): Promise<boolean>;
  /** Uses a link up for a permission: exactly one of several callers gets it, null for the others. */
  accept(link: string, ip: string): Promise<Permission | null>;
  /** A flaw leaves the proof as it was; everything that comes after uses it up. */
  finish(proof: ResetProof, password: string, source: NoticeSource): Promise<ResetResult>;
  /**
   * Makes every link and permission of the person void to whom this link was mailed, also when somebody has used it up
   * meanwhile. False when there was none to be used any more.
   */
  revoke(link: string): Promise<boolean>;
}

/** What was mailed, or what became of it. */
export interface ResetProof {
  readonly kind: 'link' | 'permission';
  readonly token: string;
}

export interface Permission {
  readonly token: string;
  /** Milliseconds. */
  readonly lifetime: number;
}

export type ResetResult =
  | { readonly status: 'changed' }
  /** The proof is unknown, used, revoked or too old. */
  | { readonly status: 'gone' }
  | { readonly status: 'weak'; readonly flaw: PasswordFlaw }
  /** The user backend takes no such password; with the permission another can be tried. */
  | { readonly status: 'refused'; readonly reason: string; readonly permission: Permission }
  /** Something does not answer; with the permission it can be tried again. */
  | { readonly status: 'unavailable'; readonly permission: Permission };

export interface PasswordResetDeps {
  /** Milliseconds for which a link holds. */
  readonly lifespan: number;
  readonly users: WritableUsers;
  readonly links: ResetLinks;
  readonly buckets: RateBuckets;
  readonly mail: MailQueue;
  readonly newPassword: NewPassword;
  readonly jobs: BackgroundJobs;
  readonly deviceOf: DeviceOf;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Pick<Events, 'resetRequested' | 'proofChecked'>;
  /** A new password was not written. */
  readonly onFailure: (error: unknown) => void;
  /** Asked for, and not even looked at: too many such requests are under way. */
  readonly onOverload: () => void;
}

const MINUTE = 60_000;

/** A permission never lives longer, however long a link does. */
const PERMISSION_LIFETIME = 10 * MINUTE;

/** Mails that one person gets, whoever asks for them and from wherever: five at once, then one every ten minutes. */
const MAILS = [{ period: 10 * MINUTE, requests: 5 }];

/** Milliseconds over which the work after an answer is spread, so that the next answer's time tells nothing of it either. */
const SPREAD = 256;

/** Random bytes of a token. */
const SIZE = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

export function createPasswordReset(deps: PasswordResetDeps): PasswordReset {
  const { lifespan, users, links, buckets, mail, newPassword, jobs, clock, random, events } = deps;

  const issue = async (
    kind: ResetProof['kind'],
    { username, ip, expiresAt }: Pick<ResetLink, 'username' | 'ip' | 'expiresAt'>,
  ): Promise<string> => {
    const token = random.bytes(SIZE).toString('base64url');
    await links.insert({ id: idOf({ kind, token }), username, ip, createdAt: clock.now(), expiresAt });
    return token;
  };

  const permit = async (link: ResetLink, lifetime: number): Promise<Permission> => {
    const expiresAt = clock.now() + lifetime;
    return { token: await issue('permission', { ...link, expiresAt }), lifetime };
  };
  /** For another try with what was used up: no longer than that would have held. */
  const permitAgain = (link: ResetLink): Promise<Permission> =>
    permit(link, Math.max(1, Math.min(PERMISSION_LIFETIME, link.expiresAt - clock.now())));

  const send = async (typed: string, source: NoticeSource): Promise<void> => {
    const person = await users.find(typed);
    const now = clock.now();
    const context = person && mailContext(person, source, now, deps.deviceOf);
    if (!person || !context) return;
    const { username } = person;
    const mailbox = hash('sha256', username, 'base64url');
    if ((await buckets.take('reset_password_mail', mailbox, MAILS, now)) !== null) return;
    const expiresAt = now + lifespan;
    const token = await issue('link', { username, ip: source.ip ?? '', expiresAt });
    const url = new URL(`reset-password/step2?token=${token}`, source.portalUrl).href;
    const revokeUrl = new URL(`revoke/reset-password?token=${token}`, source.portalUrl).href;
    await mail.enqueue(passwordResetMail(context, { url, revokeUrl, expiresAt }));
  };

  return {
    request(typed, source) {
      events.resetRequested({ username: typed, ip: source.ip });
      const delay = random.bytes(1).readUInt8() * (SPREAD / 256);
      if (!jobs.start(delay, () => send(typed, source))) deps.onOverload();
    },

    async isUsable(proof) {
      return TOKEN.test(proof.token) && (await links.find(idOf(proof), clock.now())) !== null;
    },

    async accept(token, ip) {
      if (!TOKEN.test(token)) return null;
      const link = await links.consume(idOf({ kind: 'link', token }), clock.now());
      if (!link) return null;
      events.proofChecked({ username: link.username, ip, proof: 'reset-link', success: true });
      return permit(link, Math.min(PERMISSION_LIFETIME, lifespan));
    },

    async finish(proof, password, source) {
      if (!TOKEN.test(proof.token)) return { status: 'gone' };
      const id = idOf(proof);
      const link = await links.find(id, clock.now());
      const person = link && (await users.find(link.username));
      if (!link || !person) return { status: 'gone' };
      const flaw = await newPassword.findFlaw(password, person);
      if (flaw) return { status: 'weak', flaw };
      if (!(await links.consume(id, clock.now()))) return { status: 'gone' };
      if (proof.kind === 'link')
        events.proofChecked({ username: person.username, ip: source.ip, proof: 'reset-link', success: true });
      try {
        const written = await newPassword.write(person, password, { how: 'reset', source });
        if (written.status === 'changed') return written;
        if (written.status === 'unknown') return { status: 'gone' };
        return { status: 'refused', reason: written.reason, permission: await permitAgain(link) };
      } catch (error) {
        deps.onFailure(error);
        return { status: 'unavailable', permission: await permitAgain(link) };
      }
    },

    async revoke(token) {
      if (!TOKEN.test(token)) return false;
      const username = await links.ownerOf(idOf({ kind: 'link', token }));
      return username !== null && (await links.revokeAll(username, clock.now())) > 0;
    },
  };
}

/** What is stored of a token. Neither kind is good for the other. */
function idOf({ kind, token }: ResetProof): string {
  return hash('sha256', `${kind} ${token}`, 'base64url');
}
