import type { FormError, LoginPage } from '../../src/portal/page-data.ts';

/** What the form says after a try; `network` when nobody answered. */
export type SignInError = FormError | 'network';

/** How a try ended. `redirect` is where to go now; null: to the portal, which knows the next step. */
export type SignInOutcome =
  | { readonly status: 'signed-in'; readonly redirect: string | null }
  | { readonly status: 'failed'; readonly error: SignInError };

export interface Credentials {
  readonly username: string;
  readonly password: string;
  readonly remember: boolean;
}

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

const errors = new Map<number, SignInError>([
  [401, 'credentials'],
  [403, 'forbidden'],
  [429, 'busy'],
]);

/** Milliseconds. A password check may queue on the server, so this is generous. */
const deadline = 30_000;

/** Sends the credentials to `api/firstfactor` once. Never throws: whatever goes wrong is an outcome. */
export async function signIn(
  page: LoginPage,
  base: string,
  credentials: Credentials,
  fetch: Fetch,
): Promise<SignInOutcome> {
  let response: Response;
  try {
    response = await fetch(`${base}api/firstfactor`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify({
        username: credentials.username,
        password: credentials.password,
        keepMeLoggedIn: credentials.remember,
        ...(page.target && { targetURL: page.target.url }),
        ...(page.requestMethod !== null && { requestMethod: page.requestMethod }),
      }),
      signal: AbortSignal.timeout(deadline),
    });
  } catch {
    return { status: 'failed', error: 'network' };
  }
  if (!response.ok) return { status: 'failed', error: errors.get(response.status) ?? 'unavailable' };
  try {
    const answer = (await response.json()) as { status?: unknown; data?: { redirect?: unknown } } | null;
    if (answer?.status === 'OK') return { status: 'signed-in', redirect: webAddress(answer.data?.redirect) };
  } catch {
    // Not the gateway's answer: some proxy's page, or cut off.
  }
  return { status: 'failed', error: 'unavailable' };
}

/** Where a tab finds out what is next: the portal with the target it was opened for. */
export function portalAddress(page: LoginPage, base: string): string {
  if (page.target === null) return base;
  const query = new URLSearchParams({ rd: page.target.url });
  if (page.requestMethod !== null) query.set('rm', page.requestMethod);
  return `${base}?${query}`;
}

function webAddress(value: unknown): string | null {
  return typeof value === 'string' && /^https?:\/\//i.test(value) ? value : null;
}
