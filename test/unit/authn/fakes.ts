import type { AuthnRequest } from '../../../src/authn/scheme.ts';
import type { HeaderName, RequestHead } from '../../../src/http/request-head.ts';
import type { CookieDomain } from '../../../src/sessions/cookie-domains.ts';
import {
  BackendUnavailable,
  type PasswordCheck,
  type UserBackend,
  type UserProfile,
} from '../../../src/users/backend.ts';

type Headers = Partial<Record<HeaderName, string>>;
type Flaws = Partial<Record<HeaderName, 'repeated' | 'aliased'>>;

export function fakeHead(
  headers: Headers = {},
  more: {
    readonly method?: string;
    readonly target?: string;
    readonly peer?: string;
    readonly secure?: boolean;
    readonly flaws?: Flaws;
  } = {},
): RequestHead {
  const {
    method = 'GET',
    target = '/api/authz/forward-auth',
    peer = '127.0.0.1',
    secure = false,
    flaws = {},
  } = more;
  return { method, target, peer, secure, header: (name) => headers[name], flaw: (name) => flaws[name] };
}

export const exampleCom: CookieDomain = {
  domain: 'example.com',
  cookieName: 'authelia_session',
  sameSite: 'lax',
  lifetimes: { expiration: 3_600_000, inactivity: 300_000, rememberMe: 2_592_000_000 },
  portalUrl: 'https://auth.example.com/',
  defaultRedirectionUrl: null,
};

export function authnRequest(
  head: RequestHead,
  parameters: Readonly<Record<string, string>> = {},
): AuthnRequest {
  return { head, cookieDomain: exampleCom, ip: '203.0.113.5', parameter: (name) => parameters[name] };
}

export interface FakePerson {
  readonly password: string;
  readonly groups?: readonly string[];
  readonly disabled?: boolean;
}

/** Users in memory; names are found in any letter case, as some backends do. Counts what it is asked. */
export function fakeUsers(people: Record<string, FakePerson>) {
  let failing: Error | null = null;
  let asynchronous = false;
  const counts = { find: 0, check: 0 };
  const profileOf = (name: string): UserProfile | null => {
    const found = Object.entries(people).find(([key]) => key === name.toLowerCase());
    if (!found || found[1].disabled) return null;
    const [username, { groups = [] }] = found;
    return { username, displayName: username.toUpperCase(), emails: [`${username}@example.com`], groups };
  };
  const backend: UserBackend = {
    find(name) {
      counts.find++;
      if (failing) throw failing;
      const profile = profileOf(name);
      return asynchronous ? Promise.resolve(profile) : profile;
    },
    async checkPassword(name, password): Promise<PasswordCheck> {
      counts.check++;
      // A hash takes its time.
      await new Promise((resolve) => setImmediate(resolve));
      if (failing) throw failing;
      const user = profileOf(name);
      return user && people[user.username]?.password === password
        ? { status: 'success', user }
        : { status: 'failure' };
    },
    passwordMark(name) {
      const user = profileOf(name);
      return user ? (people[user.username]?.password ?? null) : null;
    },
    reload: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  return {
    backend,
    people,
    counts,
    fail(on = true) {
      failing = on ? new BackendUnavailable('down') : null;
    },
    answerLater() {
      asynchronous = true;
    },
  };
}
