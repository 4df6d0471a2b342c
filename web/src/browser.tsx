/** Takes over the page that the server rendered. Everything on it already works; from here on it answers faster. */
import { hydrate } from 'preact';
import type { PageData } from '../../src/portal/page-data.ts';
import { PageView } from './page-view.tsx';

const source = document.getElementById('page');
const main = document.querySelector('main');
if (source && main) {
  const data = JSON.parse(source.textContent) as PageData;
  hydrate(<PageView data={data} />, main);
}
