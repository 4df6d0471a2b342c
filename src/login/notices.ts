import type { UserProfile } from '../users/backend.ts';

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
