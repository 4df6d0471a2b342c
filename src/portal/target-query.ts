/** Where a person was going, as the query of the portal's pages and forms carries it: `rd`, and the method of it, `rm`. */
import type { RouteRequest } from '../http/route.ts';
import type { RedirectTarget } from '../login/redirect-target.ts';
import type { Actions } from './actions.ts';
import type { Going, PageTarget } from './page-data.ts';

/** The target that the query names; one that is not safe is refused, which the page tells. */
export function readTarget(
  actions: Pick<Actions, 'targetOf'>,
  request: RouteRequest,
): { readonly target: RedirectTarget | null; readonly refused: boolean } {
  const all = request.query.getAll('rd');
  const [rd] = all;
  if (rd === undefined || rd === '') return { target: null, refused: false };
  const target = all.length === 1 ? actions.targetOf(request, rd, request.query.get('rm')) : null;
  return { target, refused: target === null };
}

/** The query once more, with what else is to be said; empty, or with its question mark. */
export function targetQuery(
  request: RouteRequest,
  target: RedirectTarget | null,
  more: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams(more);
  if (target) {
    query.set('rd', target.href);
    const method = methodIn(request);
    if (method !== null) query.set('rm', method);
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}

/** `rm`: the method of the request that led here. */
export function methodIn(request: RouteRequest): string | null {
  const method = request.query.get('rm');
  return method !== null && /^[A-Z]{1,20}$/.test(method) ? method : null;
}

export function pageTargetOf(target: RedirectTarget | null): PageTarget | null {
  return target && { url: target.href, site: target.site };
}

/** The query as data, for a page whose forms carry it on. */
export function goingOf(request: RouteRequest, target: RedirectTarget | null): Going {
  return Object.fromEntries(new URLSearchParams(targetQuery(request, target)));
}
