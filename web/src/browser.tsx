/** Takes over the page that the server rendered. Everything on it already works; from here on it answers faster. */
import { hydrate } from 'preact';
import type { ComponentType } from 'preact';
import type { Page, PageData } from '../../src/portal/page-data.ts';
import type { ViewProps } from './parts.tsx';
import { LoginView } from './pages/login.tsx';
import { createTranslate } from './translate.ts';

type Live = 'login' | 'sessions' | 'security' | 'password' | 'reset';
type View<P> = ComponentType<ViewProps<P>>;

/**
 * The pages that script improves; all others stay as they came. The form that everybody sees first is here, the rest is
 * fetched when it is needed.
 */
const views: { readonly [K in Live]: () => Promise<View<Extract<Page, { page: K }>>> } = {
  login: async () => LoginView,
  sessions: async () => (await import('./pages/sessions.tsx')).SessionsView,
  security: async () => (await import('./pages/security.tsx')).SecurityView,
  password: async () => (await import('./pages/password.tsx')).PasswordView,
  reset: async () => (await import('./pages/reset.tsx')).ResetView,
};

async function takeOver(source: Element, main: Element): Promise<void> {
  const data = JSON.parse(source.textContent) as PageData;
  const { page, base } = data;
  if (!Object.hasOwn(views, page.page)) return;
  // Each view takes the page of its own name.
  const PageView = (await views[page.page as Live]()) as View<Page>;
  hydrate(<PageView page={page} base={base} t={createTranslate(data)} />, main);
}

const source = document.getElementById('page');
const main = document.querySelector('main');
if (source && main) void takeOver(source, main);
