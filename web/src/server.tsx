import { renderToString } from 'preact-render-to-string';
import type { JSX } from 'preact';
import type { PageData, RenderPage } from '../../src/portal/page-data.ts';
import { PageView } from './page-view.tsx';
import { createTranslate } from './translate.ts';
import type { Translate } from './translate.ts';

/** Names below `static/`; put in by build.js. */
declare const ASSETS: { readonly script: string; readonly style: string; readonly logo: string };

/** Renders the whole document. Pure: the same data gives the same text. */
export const render: RenderPage = (data, nonce) =>
  `<!doctype html>\n${renderToString(<PageDocument data={data} {...(nonce !== undefined && { nonce })} />)}\n`;

function PageDocument({ data, nonce }: { readonly data: PageData; readonly nonce?: string }): JSX.Element {
  const t = createTranslate(data);
  const file = (name: string): string => `${data.base}static/${name}`;
  const logo = data.logo === undefined ? file(ASSETS.logo) : data.base + data.logo;
  const icon = data.icon === undefined ? file(ASSETS.logo) : data.base + data.icon;
  return (
    <html
      lang={data.language}
      dir={data.direction}
      data-theme={data.theme === 'auto' ? undefined : data.theme}
    >
      <head>
        <meta charset="utf-8" />
        <title>{titleOf(data, t)}</title>
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content={data.theme === 'auto' ? 'light dark' : data.theme} />
        <meta name="robots" content="noindex, nofollow" />
        <link rel="stylesheet" href={file(ASSETS.style)} nonce={nonce} />
        <link rel="icon" href={icon} />
        <script type="module" src={file(ASSETS.script)} nonce={nonce} />
      </head>
      <body>
        <div class="page">
          <header class="brand">
            <img src={logo} alt="" width="36" height="36" />
            <span>{t.text('brand')}</span>
          </header>
          <main class="card">
            <PageView data={data} />
          </main>
        </div>
        <script type="application/json" id="page" dangerouslySetInnerHTML={{ __html: dataBlock(data) }} />
      </body>
    </html>
  );
}

/** Without `<` nothing in the data can end the element or open a comment. */
function dataBlock(data: PageData): string {
  return JSON.stringify(data).replaceAll('<', '\\u003c');
}

/** An error stands first in the title, where a screen reader says it at once after the page has loaded. */
function titleOf({ page }: PageData, t: Translate): string {
  const name = page.page === 'problem' ? `problem.${page.code}` : `${page.page}.title`;
  const key = 'error' in page && page.error !== null ? 'title.error' : 'title';
  return t.text(key, { page: t.text(name), brand: t.text('brand') });
}
