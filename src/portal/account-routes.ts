import type { PasswordRules } from '../factors/password-policy.ts';
import type { Route } from '../http/route.ts';
import type { Elevation } from '../login/elevation.ts';
import type { PasswordChange } from '../login/password-change.ts';
import type { PasswordReset } from '../login/password-reset.ts';
import type { Reauthentication } from '../login/reauthentication.ts';
import type { Actions } from './actions.ts';
import { createElevationApi } from './elevation-api.ts';
import { createElevationGuard, type ElevationGuard } from './elevation-guard.ts';
import { createElevationPages } from './elevation-page.ts';
import type { ShowPage } from './pages.ts';
import { createPasswordApi, createPasswordChangeApi, createPasswordResetApi } from './password-api.ts';
import { createPasswordPages } from './password-page.ts';
import type { RateLimitGuard } from './rate-limit-guard.ts';
import { createResetPages } from './reset-pages.ts';
import { createReauthenticationForm } from './reauthentication-page.ts';
import { createRevokePages } from './revoke-pages.ts';

/** What people can do about their accounts here; null is not offered. */
export interface AccountFlows {
  readonly rules: PasswordRules;
  readonly reauthentication: Reauthentication;
  readonly elevation: Elevation | null;
  readonly reset: PasswordReset | null;
  /** Only together with `elevation`. */
  readonly change: PasswordChange | null;
}

interface AccountRoutesDeps {
  readonly actions: Actions;
  readonly flows: AccountFlows;
  readonly limited: RateLimitGuard;
  /** `/` or `/segment/`. */
  readonly base: string;
  readonly show: ShowPage;
}

/** Both doors of elevation and passwords, and the guard for whatever else changes credentials. */
export function createAccountRoutes(deps: AccountRoutesDeps): {
  readonly routes: readonly Route[];
  /** Null where nobody can be elevated: then nothing that needs it may be offered. */
  readonly guard: ElevationGuard | null;
} {
  const { actions, limited, base, show } = deps;
  const { rules, reauthentication, elevation, reset, change } = deps.flows;
  const guard =
    elevation &&
    createElevationGuard({
      actions,
      elevation,
      base,
      signInAgain: (request) =>
        show(request, { page: 'problem', status: 403, code: 'sign-in-again', requestId: '' }, 403),
    });
  const routes = [
    ...createPasswordApi({ actions, rules, reauthentication }),
    ...createReauthenticationForm({ actions, reauthentication, base, show }),
    ...(elevation
      ? [
          ...createElevationApi({ actions, elevation, limited }),
          ...createElevationPages({ actions, elevation, limited, base, show }),
        ]
      : []),
    ...(change && guard
      ? [
          ...createPasswordChangeApi({ actions, change, elevated: guard.json }),
          ...createPasswordPages({ actions, change, rules, elevated: guard.page('password'), base, show }),
        ]
      : []),
    ...(reset
      ? [
          ...createPasswordResetApi({ actions, reset, limited }),
          ...createResetPages({ actions, reset, rules, limited, base, show }),
        ]
      : []),
    ...createRevokePages({
      actions,
      revoke: {
        ...(reset && { link: (token) => reset.revoke(token) }),
        ...(elevation && { code: (id) => elevation.revoke(id) }),
      },
      limited,
      base,
      show,
    }),
  ];
  return { routes, guard };
}
