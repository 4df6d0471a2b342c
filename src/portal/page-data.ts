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
  readonly error: FormError | null;
}

/** Signed in: name, what is next, the sessions, and the way out: it posts to `form/logout`, which ends the session. */
export interface SignedInPage {
  readonly page: 'signed-in';
  readonly displayName: string;
  readonly username: string;
  readonly target: PageTarget | null;
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

export type Page = LoginPage | SignedInPage | SecondFactorPage | LogoutPage | SessionsPage | ProblemPage;

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
