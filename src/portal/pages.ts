import { GatewayError } from '../http/errors.ts';
import { seeOther } from '../http/reply.ts';
import type { Reply, Route, RouteRequest } from '../http/route.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { CookieDomain } from '../sessions/cookie-domains.ts';
import type { Actions } from './actions.ts';
import type { Catalogue } from './catalogue.ts';
import type { FormError, Page, PageData, PageTarget, RenderPage } from './page-data.ts';
import { contentSecurityPolicy } from './content-security-policy.ts';
import { createSecondFactorPages } from './second-factor-page.ts';
import { passwordAgainPage } from './reauthentication-page.ts';
import { createSessionsPages } from './sessions-page.ts';
import { methodIn, pageTargetOf, readTarget, targetQuery } from './target-query.ts';

export interface PageDeps {
  readonly actions: Actions;
  readonly render: RenderPage;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly random: Random;
  readonly theme: PageData['theme'];
  /** The administrator's own logo and icon. */
  readonly branding: Pick<PageData, 'logo' | 'icon'>;
  /** `/` or `/segment/`. */
  readonly base: string;
  /** Where a forgotten password is reset; null: nowhere. */
  readonly resetUrl: string | null;
  /** `server.headers.csp_template`; null: ours. */
  readonly cspTemplate: string | null;
}

/** A page as an answer. A page whose form may lead to another site names it as its target. */
export type ShowPage = (
  request: RouteRequest,
  page: Page,
  status?: number,
  target?: PageTarget | null,
) => Reply;

/** The HTML door of the portal: pages by GET, forms by POST, everything complete without script. */
export function createPages(deps: PageDeps): {
  readonly routes: readonly Route[];
  /** A page that says what went wrong. */
  readonly problem: (request: RouteRequest, status: number) => Reply;
  /** A page as an answer, for the pages of other files. */
  readonly show: ShowPage;
} {
  const { actions, base } = deps;

  const show: ShowPage = (request, page, status = 200, target = null) => {
    const language = deps.catalogue.negotiate(request.header('accept-language'));
    const nonce = deps.random.bytes(18).toString('base64url');
    const direction = deps.catalogue.direction(language);
    const texts = deps.catalogue.texts(language);
    const html = deps.render(
      { page, language, direction, texts, theme: deps.theme, base, ...deps.branding },
      nonce,
    );
    // Browsers ask the policy about where a form's answer redirects to, too.
    const formTarget = target && new URL(target.url).origin;
    return {
      status,
      headers: {
        'Content-Type': 'text/html; charset=utf-8',
        'Content-Security-Policy': contentSecurityPolicy(deps.cspTemplate, nonce, formTarget),
        Vary: 'Accept-Language, Cookie',
      },
      body: html,
    };
  };

  const problem = (request: RouteRequest, status: number): Reply => {
    const code = PROBLEMS[status] ?? (status >= 500 ? 'internal' : 'bad-request');
    // A page that was asked for by GET may be asked for again; what a form posted must not be repeated by a link.
    const retry =
      request.method === 'GET' ? { retry: `${base.slice(0, -1)}${request.path}${searchOf(request)}` } : {};
    return show(request, { page: 'problem', status, code, requestId: request.id, ...retry }, status);
  };

  const targetIn = (request: RouteRequest): ReturnType<typeof readTarget> => readTarget(actions, request);

  const secondFactor = createSecondFactorPages({ actions, base, show });

  const portal = async (request: RouteRequest): Promise<Reply> => {
    const domain = actions.cookieDomainOf(request);
    const session = await actions.sessionOf(request);
    const { target, refused } = targetIn(request);
    const step = await actions.next(session, domain, target);
    if (step.next.kind === 'target' && step.redirect !== null) return seeOther(step.redirect);
    const pageTarget = pageTargetOf(target);
    if (!session) {
      const page = loginPage(
        request,
        domain,
        pageTarget,
        refused,
        `${base}form/login${targetQuery(request, target)}`,
        deps.resetUrl,
      );
      return show(request, page, 200, pageTarget);
    }
    if (step.next.kind === 'password')
      return show(request, passwordAgainPage(request, session, actions, base), 200, pageTarget);
    if (SECOND_FACTOR_STEPS.has(step.next.kind)) return secondFactor.page(request, session, step);
    const { displayName, username } = session.payload.profile;
    const error = formError(request);
    return show(
      request,
      {
        page: 'signed-in',
        displayName,
        username,
        target: pageTarget,
        secondFactor: secondFactor.linkOf(step),
        error,
      },
      200,
      pageTarget,
    );
  };

  const signOutPage = async (request: RouteRequest): Promise<Reply> => {
    actions.cookieDomainOf(request);
    const session = await actions.sessionOf(request);
    const { target } = targetIn(request);
    if (!session) return seeOther(target?.href ?? base);
    const pageTarget = pageTargetOf(target);
    const action = `${base}form/logout${targetQuery(request, target)}`;
    const { displayName } = session.payload.profile;
    return show(request, { page: 'logout', action, displayName }, 200, pageTarget);
  };

  const signIn = async (request: RouteRequest): Promise<Reply> => {
    const form = formOf(request);
    const { target } = targetIn(request);
    const back = (error: FormError): Reply => seeOther(`${base}${targetQuery(request, target, { error })}`);
    const username = form.get('username') ?? '';
    const password = form.get('password') ?? '';
    if (username === '' || password === '') return back('missing');
    const remember = form.get('remember') === 'on';
    try {
      const result = await actions.signIn(request, { username, password, remember, target });
      if (!result) return back('credentials');
      const { redirect } = result;
      return seeOther(redirect ?? `${base}${targetQuery(request, target)}`, result.cookies);
    } catch (error) {
      const name = error instanceof Error ? error.name : '';
      if (OUTAGES.has(name)) return back('unavailable');
      throw error;
    }
  };

  const signOut = async (request: RouteRequest): Promise<Reply> => {
    const cookies = await actions.signOut(request);
    return seeOther(targetIn(request).target?.href ?? base, cookies);
  };

  const page = (path: string, handle: Route['handle']): Route => ({
    method: 'GET',
    path,
    kind: 'page',
    handle,
  });
  const form = (path: string, handle: Route['handle']): Route => ({
    method: 'POST',
    path,
    kind: 'form',
    handle,
  });
  return {
    problem,
    show,
    routes: [
      page('/', portal),
      page('/authenticated', portal),
      page('/logout', signOutPage),
      form('/form/login', signIn),
      form('/form/logout', signOut),
      ...secondFactor.routes,
      ...createSessionsPages({ actions, base, show, clock: deps.clock }),
    ],
  };
}

/** By name: what does not answer is asked for on several floors of the house. */
const OUTAGES: ReadonlySet<string> = new Set([
  'BackendUnavailable',
  'StoreUnavailable',
  'StorageUnavailable',
]);

const PROBLEMS: Readonly<Record<number, Extract<Page, { page: 'problem' }>['code']>> = {
  403: 'forbidden',
  404: 'not-found',
  405: 'not-found',
  429: 'too-many',
  503: 'unavailable',
};

const SECOND_FACTOR_STEPS: ReadonlySet<string> = new Set(['second-factor', 'enrol', 'out-of-reach']);

const FORM_ERRORS: ReadonlySet<string> = new Set<FormError>([
  'credentials',
  'missing',
  'unavailable',
  'busy',
  'forbidden',
  'expired',
]);

function loginPage(
  request: RouteRequest,
  domain: CookieDomain,
  target: PageTarget | null,
  targetRefused: boolean,
  action: string,
  resetUrl: string | null,
): Page {
  const { rememberMe } = domain.lifetimes;
  return {
    page: 'login',
    target,
    targetRefused,
    action,
    requestMethod: methodIn(request),
    rememberMe: rememberMe < 0 ? null : Math.floor(rememberMe / 1000),
    username: '',
    resetUrl,
    error: formError(request),
  };
}

/** Why the form is shown again; only what the form's own redirect says. */
function formError(request: RouteRequest): FormError | null {
  const error = request.query.get('error');
  return error !== null && FORM_ERRORS.has(error) ? (error as FormError) : null;
}

function searchOf(request: RouteRequest): string {
  const text = request.query.toString();
  return text === '' ? '' : `?${text}`;
}

function formOf(request: RouteRequest): URLSearchParams {
  if (request.body instanceof URLSearchParams) return request.body;
  throw new GatewayError('malformed-body');
}
