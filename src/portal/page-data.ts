/** What the portal's pages are given. The server renders them with it, and the browser takes over with the same data. */

/** Why a form is shown again. Each code is a key `error.<code>` of the catalogue. */
export type FormError = 'credentials' | 'missing' | 'unavailable' | 'busy' | 'forbidden' | 'expired';

/** Where a person was going. Only ever a target that was found safe. */
export interface PageTarget {
  /** The whole URL, canonical. */
  readonly url: string;
  /** What a person is told: host, with the port if it is not 443. */
  readonly site: string;
}

/** Where a person was going, as forms and links carry it on in their query; empty when nowhere. */
export interface Going {
  readonly rd?: string;
  readonly rm?: string;
}

/** The sign-in form. It posts to `form.action` (`/form/login`, with `rd` and `rm` as the query). */
export interface LoginPage {
  readonly page: 'login';
  /** Where one signs in to, or null when the portal itself was opened. */
  readonly target: PageTarget | null;
  /** Set when a target was given that is not safe: the page says that it leads nowhere. */
  readonly targetRefused: boolean;
  /** The method that the visitor's first request had (`rm`), to be judged again after the sign-in; null when unknown. */
  readonly requestMethod: string | null;
  readonly action: string;
  /** Seconds for which "remember me" holds; null when it is switched off. */
  readonly rememberMe: number | null;
  /** What was typed before, after an error. Never the password. */
  readonly username: string;
  /** Where a forgotten password is reset: here, or where the administrator says; null: nowhere. */
  readonly resetUrl: string | null;
  readonly error: FormError | null;
}

/** Signed in: name, what is next, the sessions, and the way out: it posts to `form/logout`, which ends the session. */
export interface SignedInPage {
  readonly page: 'signed-in';
  readonly displayName: string;
  readonly username: string;
  readonly target: PageTarget | null;
  /** Where a second factor can be shown ahead of the sites that ask for it; null when there is none to show. */
  readonly secondFactor: string | null;
  readonly error: FormError | null;
}

/**
 * A second factor is asked for. Two ways out, both posted to `form/logout`: plain, and with the target's URL as `rd` in the
 * query for signing in there as somebody else.
 */
export interface SecondFactorPage {
  readonly page: 'second-factor';
  readonly displayName: string;
  readonly username: string;
  readonly target: PageTarget | null;
  /** One was shown in this session already, and is to be shown once more. */
  readonly isAgain: boolean;
  /** Posts `code` to `action`; `others` lead to other methods that would do. Null: the person has none that would. */
  readonly form: {
    readonly method: 'totp' | 'recovery-code';
    readonly action: string;
    readonly others: readonly { readonly method: 'totp' | 'recovery-code'; readonly href: string }[];
  } | null;
  /** Where one that would do can be added; null where there is none, or none is needed. */
  readonly enrol: string | null;
  /** Why the form is shown again: a key `second-factor.error.<code>`. */
  readonly error: 'code' | 'missing' | 'busy' | null;
}

/** The password once more: the target asks for a fresh one. Posts `password` to `action`. */
export interface PasswordAgainPage {
  readonly page: 'password-again';
  readonly displayName: string;
  readonly username: string;
  readonly target: PageTarget | null;
  readonly action: string;
  readonly error: 'credentials' | 'missing' | null;
}

/**
 * What protects the account, and the ways to change it: `settings/totp`, `settings/recovery-codes`, `settings/password`,
 * `settings/sessions`; the authenticator is removed by a post to `form/totp/remove`. Times are milliseconds since 1970.
 */
export interface SecurityPage {
  readonly page: 'security';
  /** When the page was made. */
  readonly now: number;
  readonly displayName: string;
  readonly username: string;
  readonly totp: { readonly createdAt: number; readonly lastUsedAt: number | null } | null;
  readonly canAddTotp: boolean;
  /** How many are left. */
  readonly recoveryCodes: number;
  readonly canChangePassword: boolean;
  readonly done: 'totp-added' | 'totp-removed' | null;
  /** There was nothing to remove. */
  readonly error: 'gone' | null;
}

/**
 * An authenticator is set up: first a button that posts to `form/totp/begin`, then the secret with a form that posts a
 * first `code` to `form/totp/finish`; `form/totp/cancel` drops it.
 */
export interface TotpPage {
  readonly page: 'totp';
  readonly going: Going;
  /** Null before it has begun. */
  readonly enrolment: {
    /** `otpauth:`, with the secret. */
    readonly url: string;
    /** In groups of four. */
    readonly secret: string;
    /** Data of an SVG path for a view box of `0 0 size size`. */
    readonly qrCode: { readonly size: number; readonly path: string };
    readonly algorithm: string;
    readonly digits: number;
    /** Seconds. */
    readonly period: number;
  } | null;
  /** The person has one already, which goes on working until the new one is confirmed. */
  readonly isReplacing: boolean;
  /** Fields of the first form with their options; only those with more than one. */
  readonly choices: readonly {
    readonly name: 'algorithm' | 'digits' | 'period';
    readonly options: readonly string[];
    readonly chosen: string;
  }[];
  readonly error: 'code' | 'missing' | 'expired' | null;
}

/** Recovery codes: how many are left, and right after they were made (by a post to `form/recovery-codes`) the codes. */
export interface RecoveryCodesPage {
  readonly page: 'recovery-codes';
  /** Shown this once. */
  readonly codes: readonly string[] | null;
  readonly left: number;
  /** The person has a second factor that they can stand for. */
  readonly canMake: boolean;
}

/** A question with one button (and never a GET that does it): sign out. Posts to `action`. */
export interface LogoutPage {
  readonly page: 'logout';
  readonly action: string;
  readonly displayName: string;
}

/**
 * Where a person is signed in. Each entry has a form that posts its `id` to `form/sessions/end`; with more than one, another
 * posts to `form/sessions/end-others`.
 */
export interface SessionsPage {
  readonly page: 'sessions';
  /** When the page was made, in milliseconds since 1970: times on it are told from here. */
  readonly now: number;
  /** This browser's own first. */
  readonly sessions: readonly SessionEntry[];
  /** What has just been done: one session ended, or all others. */
  readonly done: 'one' | 'others' | null;
  /** The session that was to be ended was not there any more. */
  readonly error: 'gone' | null;
}

/** One session. Times are milliseconds since 1970. */
export interface SessionEntry {
  /** The public id. */
  readonly id: string;
  /** The one in which the page is read. */
  readonly isCurrent: boolean;
  /** Names of products, the same in every language; null where the device did not say. */
  readonly device: { readonly browser: string | null; readonly system: string | null };
  readonly ip: string;
  readonly cookieDomain: string;
  readonly createdAt: number;
  readonly lastActiveAt: number;
}

/**
 * The proof before credentials change: a code from the mail, asked for at `form/elevation/start` and given at
 * `form/elevation/finish`, or a second factor, given at `form/elevation/second-factor`. Each form has `back` in its query.
 */
export interface ElevationPage {
  readonly page: 'elevation';
  readonly displayName: string;
  readonly username: string;
  /** The name of the page to which this leads. */
  readonly back: string;
  readonly going: Going;
  /** Where the code goes to, masked; null for a person without a mail address. */
  readonly address: string | null;
  /** A code was sent; `later`: the mail server has not taken it yet. */
  readonly sent: 'now' | 'later' | null;
  /** The second factor that is asked for, or would do; null when there is none. */
  readonly secondFactor: 'totp' | 'recovery-code' | null;
  /** It comes first: a code from the mail does not do in its place. */
  readonly needsSecondFactor: boolean;
  /** A key `elevation.error.<code>`. */
  readonly error: 'code' | 'second-factor' | 'missing' | 'not-sent' | 'busy' | null;
}

/** A rule for new passwords: a key `password.rule.<rule>`; `count` is the number in it. */
export interface PasswordRequirement {
  readonly rule:
    | 'min_length'
    | 'max_length'
    | 'require_uppercase'
    | 'require_lowercase'
    | 'require_number'
    | 'require_special'
    | 'min_score';
  readonly count: number;
  /** The password that was tried breaks it. */
  readonly isBroken: boolean;
}

/** A key `password.error.<code>`; with `refused` a reason comes, in the words of the user backend. */
export type PasswordError = 'wrong' | 'same' | 'weak' | 'impossible' | 'missing' | 'refused' | 'unavailable';

/** A new password for who knows the old one: posts `old` and `new` to `form/password`. */
export interface PasswordPage {
  readonly page: 'password';
  readonly username: string;
  readonly requirements: readonly PasswordRequirement[];
  readonly isDone: boolean;
  readonly error: PasswordError | null;
  readonly reason: string | null;
}

/** Who has forgotten the password asks for a link: posts `username` to `form/reset-password/start`. */
export interface ResetStartPage {
  readonly page: 'reset-start';
  /** Asked for. Nothing says whether there is such a person. */
  readonly isDone: boolean;
  readonly error: 'missing' | null;
}

/** What a mailed link opens: posts `token` and `new` to `form/reset-password`. */
export interface ResetPage {
  readonly page: 'reset';
  /** `gone`: the link cannot be used (any more). */
  readonly state: 'form' | 'gone' | 'done';
  /** Of the link; empty when the browser keeps the permission. */
  readonly token: string;
  readonly requirements: readonly PasswordRequirement[];
  readonly error: PasswordError | null;
  readonly reason: string | null;
}

/** A link in a mail makes another one, or a code, useless: asks first, and posts `value` to `action`. */
export interface RevokePage {
  readonly page: 'revoke';
  readonly what: 'link' | 'code';
  readonly state: 'ask' | 'gone' | 'done';
  readonly action: string;
  readonly value: string;
}

/** Something went wrong. `code` is a key `problem.<code>` of the catalogue. */
export interface ProblemPage {
  readonly page: 'problem';
  readonly status: number;
  readonly code:
    | 'not-found'
    | 'unavailable'
    | 'bad-request'
    | 'internal'
    | 'forbidden'
    | 'sign-in-again'
    | 'too-many';
  /** What the log knows this request by; an empty one is not shown. */
  readonly requestId: string;
  /** An address that is worth another GET, offered for `unavailable` and `internal`; default: the portal's start page. */
  readonly retry?: string;
}

export type Page =
  | LoginPage
  | SignedInPage
  | SecondFactorPage
  | PasswordAgainPage
  | SecurityPage
  | TotpPage
  | RecoveryCodesPage
  | LogoutPage
  | SessionsPage
  | ProblemPage
  | ElevationPage
  | PasswordPage
  | ResetStartPage
  | ResetPage
  | RevokePage;

/** Everything that a page needs; it is embedded in the page for the browser to take over. */
export interface PageData {
  readonly page: Page;
  /** BCP 47, for `<html lang>`. */
  readonly language: string;
  readonly direction: 'ltr' | 'rtl';
  /** Texts by key, the chosen language over English. Placeholders in braces: `{site}`. */
  readonly texts: Readonly<Record<string, string>>;
  readonly theme: 'light' | 'dark' | 'auto';
  /** The path under which the portal is served: `/` or `/segment/`. Every link begins with it. */
  readonly base: string;
  /** The administrator's own logo and icon, as paths below `base` (see `brandingOf` in assets.ts); default: ours. */
  readonly logo?: string;
  readonly icon?: string;
}

/**
 * `web/dist/server.js` exports `render` of this shape: the whole document, doctype included. No inline script or style.
 * `nonce` is that of the answer's policy: needed only where a policy of the administrator's own does not allow 'self'.
 */
export type RenderPage = (data: PageData, nonce?: string) => string;
