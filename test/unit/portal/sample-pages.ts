import { fileURLToPath } from 'node:url';
import { openCatalogue } from '../../../src/portal/catalogue.ts';
import type { LoginPage, Page, PageData, SessionsPage } from '../../../src/portal/page-data.ts';
import { accountPages } from './account-pages.ts';
import { factorPages } from './factor-pages.ts';

export const webDist = fileURLToPath(new URL('../../../web/dist', import.meta.url));

export const target = { url: 'https://one.example.com/reports?year=2026&x=1', site: 'one.example.com' };

export const login: LoginPage = {
  page: 'login',
  target,
  targetRefused: false,
  requestMethod: 'GET',
  action: '/form/login?rd=https%3A%2F%2Fone.example.com%2F&rm=GET',
  rememberMe: 2_592_000,
  username: '',
  resetUrl: null,
  error: null,
};

const noon = Date.UTC(2027, 0, 15, 12);

export const sessions: SessionsPage = {
  page: 'sessions',
  now: noon,
  sessions: [
    {
      id: 'own-id_000000001',
      isCurrent: true,
      device: { browser: 'Firefox', system: 'Linux' },
      ip: '203.0.113.5',
      cookieDomain: 'example.com',
      createdAt: noon - 2 * 3_600_000,
      lastActiveAt: noon - 20_000,
    },
    {
      id: 'other-id_0000002',
      isCurrent: false,
      device: { browser: 'Safari', system: 'iPhone' },
      ip: '2001:db8:1234:5678:9abc:def0:1234:5678',
      cookieDomain: 'example.org',
      createdAt: noon - 3 * 86_400_000,
      lastActiveAt: noon - 86_400_000,
    },
    {
      id: 'third-id_0000003',
      isCurrent: false,
      device: { browser: null, system: null },
      ip: '192.0.2.200',
      cookieDomain: 'example.com',
      createdAt: noon - 400 * 86_400_000,
      lastActiveAt: noon - 61_000,
    },
  ],
  done: null,
  error: null,
};

/** One of each variant. */
export const pages: Readonly<Record<string, Page>> = {
  login,
  'signed-in': {
    page: 'signed-in',
    displayName: 'John Doe',
    username: 'john',
    target,
    secondFactor: '/2fa/one-time-password',
    error: null,
  },
  ...factorPages(target, noon),
  logout: { page: 'logout', action: '/form/logout', displayName: 'John Doe' },
  sessions,
  'sessions, one ended': { ...sessions, sessions: sessions.sessions.slice(0, 1), done: 'one' },
  'sessions, others ended': { ...sessions, sessions: sessions.sessions.slice(0, 1), done: 'others' },
  'sessions, one was gone': { ...sessions, error: 'gone' },
  ...accountPages,
  'problem 400': { page: 'problem', status: 400, code: 'bad-request', requestId: 'req-1' },
  'problem 403': { page: 'problem', status: 403, code: 'forbidden', requestId: 'req-1' },
  'problem 403, sign in again': { page: 'problem', status: 403, code: 'sign-in-again', requestId: '' },
  'problem 404': { page: 'problem', status: 404, code: 'not-found', requestId: 'req-1' },
  'problem 429': { page: 'problem', status: 429, code: 'too-many', requestId: 'req-1' },
  'problem 500': { page: 'problem', status: 500, code: 'internal', requestId: 'req-1' },
  'problem 503': { page: 'problem', status: 503, code: 'unavailable', requestId: 'req-1' },
};

const english = openCatalogue({ builtin: `${webDist}/locales` }).texts('en');

export function dataOf(page: Page, more: Partial<PageData> = {}): PageData {
  return { page, language: 'en', direction: 'ltr', texts: english, theme: 'auto', base: '/', ...more };
}

/** The text that a person reads: without the head, the data block and the tags. */
export function readableText(html: string): string {
  return html
    .replace(/^[\s\S]*<body>/, '')
    .replace(/<script[\s\S]*?<\/script>/g, '')
    .replace(/<[^>]*>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&amp;', '&')
    .replaceAll('&quot;', '"')
    .replace(/\s+/g, ' ');
}

/** The opening tag of the first element that has these attributes as they are written here. */
export function tagWith(html: string, ...attributes: readonly string[]): string {
  const tags = html.match(/<[a-z][^>]*>/g) ?? [];
  return tags.find((tag) => attributes.every((attribute) => tag.includes(` ${attribute}`))) ?? '';
}
